"""The folder for what can be made again: compiled kernels, downloaded data, copies of remote runs."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def user_cache() -> Path:
    r"""Return this user's cache folder for snnsearch; it need not exist yet.

    ``$XDG_CACHE_HOME/snnsearch`` or ``~/.cache/snnsearch`` on Linux, ``~/Library/Caches/snnsearch`` on macOS,
    ``%LOCALAPPDATA%\snnsearch`` on Windows; a folder in the temporary folder for a user without a home. Raises
    PermissionError if another user owns that one: compiled kernels are loaded from it.
    """
    with contextlib.suppress(RuntimeError):  # no home folder
        folder = user_cache_path("snnsearch", appauthor=False, opinion=False)
        if folder.is_absolute():
            return folder
    folder = Path(tempfile.gettempdir(), f"snnsearch-{os.getuid()}")
    return private_folder(folder, "another user owns it; set HOME or XDG_CACHE_HOME")


def private_folder(folder: Path, refusal: str) -> Path:
    """Return ``folder``, created if necessary, to which only this user can write: code in it is run.

    Raises PermissionError that says ``refusal`` if others may write to it or own it, and OSError.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, refusal, str(folder))
    return folder
