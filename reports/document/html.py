"""Render a document as one HTML file that holds its styles, scripts and data and requests nothing from the network.

The templates are in reports/page. Jinja2 escapes every text; only `Markup` is inserted as it is. The page's content
security policy forbids all requests, and all scripts except the one whose hash it names.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.document.model import Document
from reports.document.wording import MOMENT


def render_html(document: Document) -> str:
    """Return the page of ``document``."""
    script = _script(document.scripts)
    page = render_template(
        "page.html",
        document=document,
        css=Markup("".join(map(asset, document.styles))),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return str(page)


def render_template(name: str, **values: object) -> Markup:
    """Fill in a template in reports/page."""
    return Markup(_environment().get_template(name).render(values))


def asset(name: str) -> str:
    """Return the text of a style sheet or script in reports/page."""
    return files("reports").joinpath("page", name).read_text(encoding="utf-8")


def with_times(text: str) -> Markup:
    """Escape ``text`` and mark each `moment` in it, so that the page's script shows it in the reader's time zone."""
    return Markup(MOMENT.sub(r'<time datetime="\1T\2Z" title="\g<0>">\g<0></time>', str(escape(text))))


def _script(names: tuple[str, ...]) -> str:
    """Join the scripts in one scope of their own."""
    return "\n".join(["(() => {", '"use strict";', *map(asset, names), "})();"]) if names else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["with_times"] = with_times
    environment.filters["type"] = lambda block: type(block).__name__
    return environment
