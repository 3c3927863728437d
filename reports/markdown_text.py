"""GitHub Markdown of plain values: whatever they hold shows as it is."""

from collections.abc import Sequence

from .table import Table


def table(shown: Table) -> str:
    """Rows between bars; a column that shares its heading with others bears it in front of its own."""
    groups = [name for name, span in shown.groups for _ in range(span)] or [""] * len(shown.columns)
    heads = [": ".join(filter(None, pair)) for pair in zip(groups, shown.columns, strict=True)]
    rule = ["--:" if numeric else ":--" for numeric in shown.numeric]
    rows = [[text(cell) for cell in row] for row in shown.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, rule, *rows])


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {text(line) if not line.startswith('`') else line}" for line in lines)


def text(plain: str) -> str:
    """Text that shows as it is: no HTML, no table cell ended, no emphasis begun."""
    escaped = plain.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "|*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return " ".join(escaped.split())


def fence(code: str, language: str) -> str:
    """A fenced block, with a fence longer than any run of backticks inside."""
    marks = "`" * max(3, 1 + max((len(run) for run in _backticks(code)), default=0))
    return f"{marks}{language}\n{code.rstrip()}\n{marks}"


def _backticks(code: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in code).split() if run]
