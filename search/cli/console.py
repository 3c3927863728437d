"""The consoles that commands print to. Text shows as it is, whatever a file or a stored record contains."""

import json
import os
import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from search.errors import printable


class Terminal(Console):
    """A console without markup or control characters.

    A candidate may be called ``[/b]``, and stored text may contain escape sequences that move the cursor, set the
    window title or write to the clipboard: they are shown as ``\\x1b``.
    """

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            safe = segment.control or segment.text.isprintable()
            yield segment if safe else Segment(_printable_lines(segment.text), segment.style)


def _printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


out = Terminal()
err = Terminal(stderr=True)


def print_json(value: object) -> None:
    """Print ``value`` as JSON to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + os.linesep)
