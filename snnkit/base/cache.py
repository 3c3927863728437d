"""Where what can be made again is kept."""

import os
import sys
from pathlib import Path


def user_cache() -> Path:
    """This user's folder, as the operating system has them. Raises RuntimeError where no home is known."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "snnsearch"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/snnsearch").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "snnsearch"
