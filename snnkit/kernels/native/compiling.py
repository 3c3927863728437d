"""Compile the C kernels for this machine's processor, and keep them in a folder from which they can be loaded.

The name of a file holds a digest of its content. A file that was cut short or changed would end the process with
SIGBUS when it is mapped, so it is never loaded, but compiled again.
"""

import atexit
import contextlib
import errno
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from snnkit.base.cache import private_folder, user_cache
from snnkit.base.files import scratch_folder

log = logging.getLogger(__name__)

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
COMPILING_BYTES = 8 * 2**20  # free space that a compiler needs at most, with its temporary files
DIGEST_CHARACTERS = 16
SHARED_MEMORY = Path("/dev/shm")


class UnavailableError(Exception):
    """The kernels cannot be compiled or kept here; the reference runs instead."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


def find_compiler() -> str:
    """Return the path of a C compiler. Raises UnavailableError if there is none."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise UnavailableError(
            "no C compiler: neither $CC nor cc, gcc or clang is on the PATH",
            "install gcc or clang, or name a C compiler in CC",
        )
    return compiler


def build_key(compiler: str) -> str:
    """Return a digest of all that a compiled file depends on.

    Raises UnavailableError if the sources cannot be read or the compiler cannot start.
    """
    try:
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(SOURCE_FOLDER.glob("*.[ch]"))))
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}", "install snnsearch again") from error
    digest.update(repr((COMPILER_FLAGS, CONTRACTION_FLAGS, TARGET_FLAGS, _version(compiler), _processor())).encode())
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def folders() -> tuple[Callable[[], Path], ...]:
    """Functions that return the folders to keep compiled kernels in, the best one first. They raise OSError."""
    return _cache_folder, lambda: _private_folder(Path(tempfile.gettempdir())), lambda: _private_folder(SHARED_MEMORY)


def compiled(compiler: str, name: str, key: str, folder: Path) -> Path:
    """Return the kernels of ``name``.c in ``folder``, intact; compile them if necessary.

    Raises:
        OSError: nothing can be written to ``folder``, it has too little space, or programs in it may not run.
        UnavailableError: the compiler fails.
    """
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise OSError(errno.EACCES, "on a file system that is mounted noexec", str(folder))
    stored = sorted(folder.glob(f"{name}-{key}-*.so"))
    for path in stored:
        if path.name == _file_name(name, key, path):
            return path
    for path in stored:
        log.warning("event=kernel_damaged path=%s action=compile", path)
    if _free_bytes(folder) < COMPILING_BYTES:  # the compiler would take long to find out
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    path = _compile_into(compiler, name, key, folder)
    for damaged in set(stored) - {path}:
        damaged.unlink(missing_ok=True)
    return path


def _cache_folder() -> Path:
    folder = user_cache() / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _private_folder(parent: Path) -> Path:
    """Return a folder in ``parent`` that only this user can write to, because code in it is run. Raises OSError.

    The process that creates it removes it at its end. Workers start later and end before.
    """
    folder = parent / f"snnsearch-kernels-{os.getuid()}"
    existed = folder.exists()
    private_folder(folder, "belongs to another user, or others may write to it")
    if not existed:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _file_name(name: str, key: str, path: Path) -> str:
    """The name that a file with the content of ``path`` has in the cache."""
    return f"{name}-{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_CHARACTERS]}.so"


def _compile_into(compiler: str, name: str, key: str, folder: Path) -> Path:
    with scratch_folder(folder, name) as scratch:
        output = scratch / "kernels.so"
        _compile(compiler, name, output)
        with output.open("r+b") as file:
            os.fsync(file.fileno())
        return output.replace(folder / _file_name(name, key, output))


def _compile(compiler: str, name: str, output: Path) -> None:
    """Compile ``name``.c to ``output`` with the first variant that the compiler accepts; temporary files go beside it.

    Raises OSError if the file system is full, UnavailableError if the compiler fails.
    """
    environment = os.environ | {"TMPDIR": str(output.parent), "LC_ALL": "C"}
    for variant in TARGET_FLAGS:
        command = [compiler, *COMPILER_FLAGS, CONTRACTION_FLAGS[name], *variant, str(SOURCE_FOLDER / f"{name}.c")]
        command += ["-o", str(output), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
        if done.returncode == 0:
            log.info("kernel=native compiled=%s command=%r", name, " ".join(command))
            return
    _raise_if_full(output.parent, done.stderr)
    raise UnavailableError(
        f"{' '.join(command)}: {done.stderr.strip()[-500:]}", "correct that, or name another C compiler in CC"
    )


def _raise_if_full(folder: Path, stderr: str) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in stderr or (number == errno.ENOSPC and _free_bytes(folder) < COMPILING_BYTES):
            raise OSError(number, os.strerror(number), str(folder))


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _version(compiler: str) -> str:
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise UnavailableError(
            f"{compiler} cannot be started: {error.strerror}", "name another C compiler in CC"
        ) from error
    return done.stdout


def _processor() -> str:
    """The processor that ``-march=native`` compiles for. Machines of several kinds may share a home folder."""
    lines: list[str] = []
    with contextlib.suppress(OSError):  # only Linux has it
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    features = {line for line in lines if line.startswith(("flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(features)])
