"""Load the compiled C kernels from the user's cache, or from another folder if that one cannot be used."""

import ctypes
import functools
import logging
import os
from pathlib import Path

import torch
from torch import Tensor

from snnkit.kernels.native.compiling import (
    CONTRACTION_FLAGS,
    UnavailableError,
    build_key,
    compiled,
    find_compiler,
    folders,
)

log = logging.getLogger(__name__)

DTYPES = (torch.float32, torch.bfloat16)  # of tensors in memory


@functools.cache
def _warn_once(reason: str, remedy: str) -> None:
    """Warn once, for all kernels, that the reference runs instead."""
    log.warning("kernel=reference reason=%r remedy=%r", reason, f"training is slower; {remedy}")


def ready() -> bool:
    """Compile the kernels if necessary. Return whether all of them can be used."""
    return None not in [library(name) for name in CONTRACTION_FLAGS]


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Address of the tensor's memory; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


class Library(ctypes.CDLL):
    _func_restype_ = ctypes.c_int64  # sizes are 64 bits wide

    @functools.cached_property
    def lanes(self) -> int:
        """Floats in a vector of the processor that the kernels were compiled for."""
        found: int = self.snn_lanes()
        return found


@functools.cache
def library(name: str) -> Library | None:
    """Return the compiled kernels of ``name``.c, or None if they cannot be used. The log says why, once."""
    if os.environ.get("SNNSEARCH_KERNEL") == "reference":
        log.info("kernel=reference of=%s reason=SNNSEARCH_KERNEL", name)
        return None
    try:
        loaded, path = _load(name)
    except UnavailableError as error:
        _warn_once(str(error), error.remedy)
        return None
    log.info("kernel=native of=%s library=%s", name, path)
    return loaded


def _load(name: str) -> tuple[Library, Path]:
    """Load from the first folder that can hold the kernels and run them. Raises UnavailableError if none can."""
    compiler = find_compiler()
    key = build_key(compiler)
    failures = []
    for find_folder in folders():
        try:
            path = compiled(compiler, name, key, find_folder())
            return Library(str(path)), path
        except OSError as error:
            failures.append(_describe(error))
            log.info("event=kernel_folder_unusable reason=%r", failures[-1])
    lacking = any("cannot open shared object file" in failure for failure in failures)
    raise UnavailableError(
        "; ".join(failures),
        "install the missing library, or name another C compiler in CC"
        if lacking
        else "set XDG_CACHE_HOME to a folder that is writable, has free space and is not mounted noexec",
    )


def _describe(error: OSError) -> str:
    """The folder and what is wrong with it. Errors of the loader name the file themselves."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
