"""The C kernels, compiled for this machine's processor when they are first asked for, and kept in the user's cache."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from snnkit.base.cache import user_cache

log = logging.getLogger(__name__)

DTYPES = (torch.float32, torch.bfloat16)  # in memory
LANES = 16  # as in lanes.h
FOLDER = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-Wno-psabi")
OWN_FLAGS = {  # a fused multiply-add rounds once where the reference rounds twice, and spikes would differ
    "fire": "-ffp-contract=off",
    "depthwise": "-ffp-contract=fast",
}
# Tried in turn until one compiles: for this processor and with threads, then without what a compiler does not know.
VARIANTS = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-mcpu=native", "-fopenmp"),
    ("-march=native",),
    (),
)


@functools.cache
def _say(reason: str) -> None:
    """Once for all kernels."""
    remedy = "training is slower; install gcc or clang, or name a C compiler in CC"
    log.warning("kernel=reference reason=%r remedy=%r", reason, remedy)


def ready() -> bool:
    """Whether all kernels can be used; compiles those that were not yet."""
    return None not in [library(name) for name in OWN_FLAGS]


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where its memory begins; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


class CannotCompile(Exception):  # noqa: N818  # an outcome: the reference runs instead
    pass


class Library(ctypes.CDLL):
    _func_restype_ = ctypes.c_int64  # sizes are 64 bits wide


@functools.cache
def library(name: str) -> Library | None:
    """The compiled kernels of ``name``.c; None where they cannot be used, and the log says once why and what to do."""
    if os.environ.get("SNNSEARCH_KERNEL") == "reference":
        log.info("kernel=reference of=%s reason=SNNSEARCH_KERNEL", name)
        return None
    try:
        path = _compiled(name)
        loaded = Library(str(path))
    except (CannotCompile, OSError) as error:
        _say(str(error))
        return None
    log.info("kernel=native of=%s library=%s", name, path)
    return loaded


def _compiled(name: str) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotCompile("no C compiler: neither $CC nor cc, gcc or clang is on the PATH")
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(FOLDER.glob("*.[ch]"))))
    digest.update(repr((FLAGS, OWN_FLAGS, VARIANTS, _version(compiler), _processor())).encode())
    path = _cache() / f"{name}-{digest.hexdigest()[:16]}.so"
    if not path.exists():
        _compile(compiler, name, path)
    return path


def _compile(compiler: str, name: str, path: Path) -> None:
    """Under a name of its own first: processes that compile at the same time do not see each other's half."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        output = Path(folder) / path.name
        for variant in VARIANTS:
            command = [compiler, *FLAGS, OWN_FLAGS[name], *variant, str(FOLDER / f"{name}.c"), "-o", str(output), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                output.replace(path)
                log.info("kernel=native compiled=%s command=%r", path, " ".join(command))
                return
    raise CannotCompile(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _cache() -> Path:
    """A folder in the user's cache, or where that cannot be written one of this process."""
    try:
        folder = user_cache() / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # the latter where nobody's home is known
        return Path(tempfile.mkdtemp(prefix="snnsearch-"))


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _processor() -> str:
    """What ``-march=native`` depends on: a home folder may be shared by machines of several kinds."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = {line for line in lines if line.startswith(("flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(features)])
