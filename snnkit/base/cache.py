"""The folder for what can be made again: compiled kernels, downloaded data, copies of remote runs."""

from pathlib import Path

from platformdirs import user_cache_path


def user_cache() -> Path:
    r"""Return this user's cache folder for snnsearch; it need not exist yet.

    ``$XDG_CACHE_HOME/snnsearch`` or ``~/.cache/snnsearch`` on Linux, ``~/Library/Caches/snnsearch`` on macOS,
    ``%LOCALAPPDATA%\snnsearch`` on Windows. Raises RuntimeError if the user has no home folder.
    """
    folder = user_cache_path("snnsearch", appauthor=False, opinion=False)
    if not folder.is_absolute():
        raise RuntimeError(f"no cache folder: the home folder is unknown; set HOME or XDG_CACHE_HOME (got {folder})")
    return folder
