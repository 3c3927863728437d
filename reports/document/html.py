"""HTML of plain values, and the files in reports/page that a page is put together from."""

from html import escape
from importlib.resources import files

from reports.document.table import Table


def asset(name: str) -> str:
    """The text of a style sheet, script or page frame in reports/page."""
    return files("reports").joinpath("page", name).read_text(encoding="utf-8")


def table(shown: Table, name: str) -> str:
    """A table that scrolls in a box of its own; ``name`` is told to those who do not see it."""
    kinds = ["n" if numeric else "" for numeric in shown.numeric]
    groups = "".join(f'<th colspan="{span}" scope="colgroup">{escape(text)}</th>' for text, span in shown.groups)
    body = "".join(
        f"<tr{_attribute('published' if at in shown.published else '')}>{_row(cells, kinds, 'td')}</tr>"
        for at, cells in enumerate(shown.rows)
    )
    return (
        f'<div class="box" tabindex="0" role="region" aria-label="{escape(name)}"><table><thead>'
        f"{f'<tr>{groups}</tr>' if groups else ''}<tr>{_row(shown.columns, kinds, 'th')}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(cells: tuple[str, ...], kinds: list[str], tag: str) -> str:
    pairs = zip(cells, kinds, strict=True)
    return "".join(f"<{tag}{_attribute(kind)}>{escape(cell)}</{tag}>" for cell, kind in pairs)


def _attribute(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
