"""Which code of stored studies this user has allowed to run.

Code that the user's own file names is theirs to run, and is allowed from then on. Code that a study, a database or a
resolved space brings along is not: somebody else may have written it. It runs if this user has launched it on this
machine before, or has allowed it with ``snnsearch trust``.

A file in the user's cache folder, with the SHA-256 of the code as its name, stands for allowed code.
"""

from pathlib import Path

from search.plugins.sources import Source
from snnkit.base.cache import private_folder, user_cache


def allow(source: Source) -> None:
    """Remember that the user allows this code. Raises OSError if that cannot be written."""
    (_folder() / source.content_digest()).touch(mode=0o600)


def is_allowed(source: Source) -> bool:
    """Return whether the user has allowed this code. Code that is not stored is installed already."""
    if not source.is_stored:
        return True
    try:
        return (_folder() / source.content_digest()).is_file()
    except OSError:
        return False


def _folder() -> Path:
    cache = user_cache()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return private_folder(cache / "trusted-code", "another user owns it; set HOME or XDG_CACHE_HOME")
