"""What a report consists of, whatever format it is written in: a document of sections of blocks.

A report is a list of functions that each return a `Section`. The renderers in `html` and `markdown` write every block,
so a new section appears in both formats. All strings are plain text that the renderers escape; `Markup` is HTML or SVG
that is safe already.
"""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from reports.document.table import Table


@dataclass(frozen=True)
class Text:
    """A paragraph. A note is printed smaller; an empty note stands in for content that does not exist yet."""

    text: str
    style: Literal["plain", "note", "empty"] = "plain"


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Definitions:
    """Terms and their explanations, in two columns on the page."""

    items: tuple[tuple[str, str], ...]
    terms_are_code: bool = False


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width font. With a ``summary`` the page folds it away; Markdown prints the summary above it."""

    text: str
    language: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing or an interactive part of the page. Markdown has the blocks of ``text`` in its place."""

    html: Markup
    text: tuple["Block", ...] = ()


@dataclass(frozen=True)
class PageOnly:
    """Blocks that Markdown leaves out, because they are long and only for reference."""

    blocks: tuple["Block", ...]


@dataclass(frozen=True)
class Section:
    """A heading and its blocks, which may be sections themselves."""

    title: str
    blocks: tuple["Block", ...]
    id: str = ""  # of the element on the page
    own_heading: bool = False  # the first figure has a heading of its own, so the page prints no title


@dataclass(frozen=True)
class Folded:
    """A section that the page folds away behind its title; ``kind`` is a style of the title."""

    title: str
    detail: str
    blocks: tuple["Block", ...]
    kind: str = ""
    open: bool = False


Block = Text | Bullets | Definitions | Code | Table | Figure | PageOnly | Section | Folded


@dataclass(frozen=True)
class KeyFigure:
    """A number at the top of a report: ``on the front``, ``12``, ``of 40 finished``."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Document:
    """A whole report."""

    kind: str  # above the title on the page: "snnsearch report"
    title: str
    summary: str
    note: str
    sections: tuple[Section, ...]
    key_figures: tuple[KeyFigure, ...] = ()
    facts: Definitions | None = None  # below the summary
    data: str = ""  # JSON for the scripts of the page, safe inside a script element
    scripts: tuple[str, ...] = ()  # files in reports/page; a page without them admits no script at all
    styles: tuple[str, ...] = ("page.css",)
