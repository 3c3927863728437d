"""GitHub Markdown of plain values: whatever they hold shows as it is."""

from collections.abc import Mapping, Sequence

from reports.document.table import Table


def table(shown: Table) -> str:
    """Rows between bars; a column that shares its heading with others bears it in front of its own."""
    groups = [name for name, span in shown.groups for _ in range(span)] or [""] * len(shown.columns)
    heads = [text(": ".join(filter(None, pair))) for pair in zip(groups, shown.columns, strict=True)]
    rule = ["--:" if numeric else ":--" for numeric in shown.numeric]
    rows = [[text(cell) for cell in row] for row in shown.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, rule, *rows])


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {text(line)}" for line in lines)


def rules(named: Mapping[str, str]) -> str:
    """A line for each name, which stands as code."""
    return "\n".join(f"- {code(name)}: {text(told)}" for name, told in named.items())


def code(plain: str) -> str:
    """Code in a line, between more backticks than stand together inside."""
    marks = "`" * (1 + max((len(run) for run in _backticks(plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{marks}{pad}{' '.join(plain.split())}{pad}{marks}"


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
