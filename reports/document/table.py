"""A table as text, before it is Markdown or HTML; and a cell of a CSV file."""

from dataclasses import dataclass

from reports.records.study import Leaf


@dataclass(frozen=True)
class Table:
    """Text cells by row; ``numeric`` says which columns are aligned to the right."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()  # over the columns from the left: what they share, and how many
    published: frozenset[int] = frozenset()  # rows that are not ours


def csv_cell(value: Leaf) -> Leaf:
    """Text on one line, with an apostrophe before what a spreadsheet would take for a formula and run; whole numbers
    without a point."""
    if isinstance(value, str):
        line = " ".join(value.split())
        return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
    return int(value) if isinstance(value, float) and value.is_integer() else value
