"""The folders of data sets, and of the stores of their verified arrays."""

import os
from pathlib import Path

from snnkit.base.cache import user_cache

STORES_FOLDER = "snnsearch-arrays"  # below the data folder: the stores of verified arrays


def data_root(root: Path | None = None) -> Path:
    """Return ``root`` if given, else the folder in SNNSEARCH_DATA, else the user's cache folder."""
    if root is not None:
        return root.expanduser()
    return Path(os.environ.get("SNNSEARCH_DATA") or user_cache()).expanduser()


def store_folder(name: str, root: Path, side: int | None = None) -> Path:
    """Return the folder of the store: below ``root``, or in the user's cache if ``root`` is read-only."""
    path = Path(STORES_FOLDER, name) if side is None else Path(STORES_FOLDER, f"{side}px", name)
    return root / path if (root / path).is_dir() or _is_writable(root) else user_cache() / path


def _is_writable(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
