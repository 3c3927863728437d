"""What identifies the cause of a failed trial. A run stops if several trials in a row fail by the same cause."""

import errno
from traceback import walk_tb

WORKER_DIED = "worker died"
_PACKAGES = ("search", "snnkit", "reports")


def failure_kind(error: Exception) -> str:
    """Return the type of ``error`` with the name of its error number or the function of ours that raised it.

    Messages are no part of it, because they name files, sizes or addresses that differ between candidates. Examples:
    ``OSError ENOSPC``, ``RuntimeError in snnkit.nn.layers.ConvLayer.forward``.
    """
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} {errno.errorcode.get(error.errno, error.errno)}"
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    ours = [
        f"{module}.{frame.f_code.co_qualname}"
        for module, frame in zip(modules, frames, strict=True)
        if module.partition(".")[0] in _PACKAGES
    ]
    return f"{name} in {ours[-1]}" if ours else name
