"""A table of text, before it becomes Markdown or HTML, and the cells of CSV files."""

from dataclasses import dataclass

from reports.records.study import Leaf


@dataclass(frozen=True)
class Table:
    """A table of text cells. Numeric columns are aligned to the right."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    label: str  # for screen readers
    groups: tuple[tuple[str, int], ...] = ()  # headings above the columns, each with its number of columns
    published: frozenset[int] = frozenset()  # indices of rows that show published figures
    wide: frozenset[int] = frozenset()  # indices of columns of long text, which is wrapped


def csv_cell(value: Leaf) -> Leaf:
    """Prepare a value for a CSV file.

    Text is put on one line. An apostrophe precedes text that a spreadsheet would run as a formula. Whole numbers are
    written without a decimal point.
    """
    if isinstance(value, str):
        line = " ".join(value.split())
        return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
    return int(value) if isinstance(value, float) and value.is_integer() else value
