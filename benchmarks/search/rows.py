"""Rows of a CSV file as instances of a dataclass whose fields are text, numbers or truth values."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar


class IsDataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=IsDataclass)


def read_rows(kind: type[R], path: Path) -> list[R]:
    """Return all rows. Raises OSError."""
    with path.open(newline="") as file:
        return [kind(**{f.name: f.type(row[f.name]) for f in fields(kind)}) for row in csv.DictReader(file)]  # type: ignore[operator]  # the types of a dataclass's fields


def append_rows(kind: type[R], path: Path, rows: Iterable[R], digits: int = 6) -> None:
    """Append ``rows``, after a header if the file is new. Floats keep ``digits`` significant digits. Raises OSError."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.{digits}g}" if isinstance(v, float) else v for k, v in asdict(row).items()})
