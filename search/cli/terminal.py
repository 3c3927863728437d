"""The terminal: what is printed there shows as it is, whatever a file or a stored record holds."""

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from search.errors import printable


class Terminal(Console):
    """Text is no markup (a candidate may be called ``[/b]``), and no character in it moves the cursor, sets the title
    or writes to the clipboard: such are shown as ``\\x1b``."""

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            shown = segment.control or segment.text.isprintable()
            yield segment if shown else Segment(_lines(segment.text), segment.style)


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))
