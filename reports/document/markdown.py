"""Render a document as GitHub Markdown. All text is escaped, so it shows exactly as it is."""

from collections.abc import Iterator, Sequence

from reports.document.model import (
    Block,
    Bullets,
    Code,
    Definitions,
    Document,
    Figure,
    Folded,
    PageOnly,
    Section,
    Text,
)
from reports.document.table import Table


def render_markdown(document: Document) -> str:
    """Return the report as GitHub Markdown."""
    blocks = [f"# {text(document.title)}", text(document.summary)]
    if document.key_figures:
        figures = tuple((figure.label, f"{figure.value}, {figure.detail}") for figure in document.key_figures)
        blocks.append(_definitions(Definitions(figures)))
    if document.facts:
        blocks.append(_definitions(document.facts))
    blocks.append(text(document.note))
    for section in document.sections:
        blocks += _block(section, level=2)
    return "\n\n".join(filter(None, blocks)) + "\n"


def _block(block: Block, level: int) -> Iterator[str]:
    """Yield the paragraphs of a block; its headings have ``level`` or more number signs."""
    match block:
        case Text():
            yield text(block.text)
        case Bullets():
            yield "\n".join(f"- {text(item)}" for item in block.items)
        case Definitions():
            yield _definitions(block)
        case Table():
            yield _table(block)
        case Code():
            yield f"{text(block.summary)}:" if block.summary else ""
            yield _fence(block.text, block.language)
        case Figure():
            yield from _blocks(block.text, level)
        case PageOnly():
            return
        case Section():
            yield f"{'#' * level} {text(block.title)}"
            yield from _blocks(block.blocks, level + 1)
        case Folded():
            yield f"{'#' * level} {text(block.title)}: {text(block.detail)}"
            yield from _blocks(block.blocks, level + 1)


def _blocks(blocks: Sequence[Block], level: int) -> Iterator[str]:
    for block in blocks:
        yield from _block(block, level)


def _definitions(block: Definitions) -> str:
    terms = code if block.terms_are_code else text
    return "\n".join(f"- {terms(term)}: {text(explanation)}" for term, explanation in block.items)


def _table(table: Table) -> str:
    """Write rows between bars. A column in a group has the group's heading in front of its own."""
    groups = [name for name, span in table.groups for _ in range(span)] or [""] * len(table.columns)
    heads = [text(": ".join(filter(None, pair))) for pair in zip(groups, table.columns, strict=True)]
    rule = ["--:" if numeric else ":--" for numeric in table.numeric]
    rows = [[text(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, rule, *rows])


def code(plain: str) -> str:
    """Write inline code, between more backticks than any run of them inside."""
    marks = "`" * (1 + max(map(len, _backticks(plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{marks}{pad}{' '.join(plain.split())}{pad}{marks}"


def text(plain: str) -> str:
    """Escape text: no HTML, no end of a table cell, no emphasis, no line break."""
    escaped = plain.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "|*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return " ".join(escaped.split())


def _fence(plain: str, language: str) -> str:
    """Write a fenced block. The fence is longer than any run of backticks inside."""
    marks = "`" * max(3, 1 + max(map(len, _backticks(plain)), default=0))
    return f"{marks}{language}\n{plain.rstrip()}\n{marks}"


def _backticks(plain: str) -> list[str]:
    """Return the runs of backticks in ``plain``."""
    return [run for run in "".join(c if c == "`" else " " for c in plain).split() if run]
