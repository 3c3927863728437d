"""Names of studies and benchmarks, which are names of folders too."""

import re
import unicodedata

MAX_NAME_LETTERS = 64
MAX_NAME_BYTES = 200  # a file system allows 255, and names of files are derived from it
ALLOWED = f"small letters of any script, digits and '-', {MAX_NAME_LETTERS} at most"
_NAME = re.compile(r"[^\W_](?:(?:-|[^\W_])*[^\W_])?")


def is_folder_name(name: str) -> bool:
    """Return whether a new run may be called ``name``."""
    short = len(name) <= MAX_NAME_LETTERS and len(name.encode(errors="replace")) <= MAX_NAME_BYTES
    return short and _NAME.fullmatch(name) is not None and name == unicodedata.normalize("NFC", name.lower())


def as_folder_name(text: str) -> str:
    """Turn ``text`` into a name for a new run: other letters become ``-``. Empty if it has no letter that fits."""
    small = unicodedata.normalize("NFC", text.lower())
    fitting = re.sub(r"[\W_]+", "-", small).strip("-")[:MAX_NAME_LETTERS]
    return fitting.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("-")
