"""Compile the C kernels for this machine's processor on first use, and keep them in the user's cache."""

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
from snnkit.base.files import atomic_write

log = logging.getLogger(__name__)

DTYPES = (torch.float32, torch.bfloat16)  # of tensors in memory
LANES = 16  # as in lanes.h
SOURCE_FOLDER = Path(__file__).parent
COMPILER_FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-Wno-psabi")
CONTRACTION_FLAGS = {  # a fused multiply-add rounds once, the reference twice: spikes would differ
    "lif": "-ffp-contract=off",
    "depthwise": "-ffp-contract=fast",
}
# Tried in turn until one compiles. The later ones leave out flags that some compilers do not know.
TARGET_FLAGS = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-mcpu=native", "-fopenmp"),
    ("-march=native",),
    (),
)


@functools.cache
def _warn_once(reason: str) -> None:
    """Warn once, for all kernels, that the reference runs instead."""
    remedy = "training is slower; install gcc or clang, or name a C compiler in CC"
    log.warning("kernel=reference reason=%r remedy=%r", reason, remedy)


def ready() -> bool:
    """Compile the kernels if necessary. Return whether all of them can be used."""
    return None not in [library(name) for name in CONTRACTION_FLAGS]


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Address of the tensor's memory; null for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


class CompileError(Exception):
    """The kernels cannot be compiled here; the reference runs instead."""


class Library(ctypes.CDLL):
    _func_restype_ = ctypes.c_int64  # sizes are 64 bits wide


@functools.cache
def library(name: str) -> Library | None:
    """Return the compiled kernels of ``name``.c, or None if they cannot be used. The log says why, once."""
    if os.environ.get("SNNSEARCH_KERNEL") == "reference":
        log.info("kernel=reference of=%s reason=SNNSEARCH_KERNEL", name)
        return None
    try:
        path = _compiled(name)
        loaded = Library(str(path))
    except (CompileError, OSError) as error:
        _warn_once(str(error))
        return None
    log.info("kernel=native of=%s library=%s", name, path)
    return loaded


def _compiled(name: str) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CompileError("no C compiler: neither $CC nor cc, gcc or clang is on the PATH")
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(SOURCE_FOLDER.glob("*.[ch]"))))
    digest.update(repr((COMPILER_FLAGS, CONTRACTION_FLAGS, TARGET_FLAGS, _version(compiler), _processor())).encode())
    path = _cache() / f"{name}-{digest.hexdigest()[:16]}.so"
    if not path.exists():
        _compile(compiler, name, path)
    return path


def _compile(compiler: str, name: str, path: Path) -> None:
    """Compile ``name``.c to ``path`` with the first variant that the compiler accepts. Raises CompileError."""
    with atomic_write(path) as output:
        for variant in TARGET_FLAGS:
            command = [compiler, *COMPILER_FLAGS, CONTRACTION_FLAGS[name], *variant, str(SOURCE_FOLDER / f"{name}.c")]
            command += ["-o", str(output), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                log.info("kernel=native compiled=%s command=%r", path, " ".join(command))
                return
        raise CompileError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _cache() -> Path:
    """The kernels' folder in the user's cache, or a temporary one if the cache is not writable."""
    try:
        folder = user_cache() / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: the home folder is unknown
        return Path(tempfile.mkdtemp(prefix="snnsearch-"))


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _processor() -> str:
    """The processor that ``-march=native`` compiles for. Machines of several kinds may share a home folder."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = {line for line in lines if line.startswith(("flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(features)])
