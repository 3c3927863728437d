"""The consoles that commands print to. Text shows as it is, whatever a file or a stored record contains."""

import codecs
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from search.errors import InputError, printable

IN_ASCII = {"■": "#", "▪": "+", "·": ".", "…": "...", "–": "-", "×": "x", "±": "+-"}  # where a stream cannot hold them


class OutputError(InputError):
    """Standard output cannot be written."""


class Terminal(Console):
    """A console without markup or control characters.

    A candidate may be called ``[/b]``, and stored text may contain escape sequences that move the cursor, set the
    window title or write to the clipboard: they are shown as ``\\x1b``.

    If the stream fails, because a reader ended or a disk is full, printing ends the command. But if ``outlived`` is
    set, the console says so once on standard error and prints nothing more.
    """

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False)
        self.outlived = stderr  # a message about a lost standard error has no reader

    @property
    def file(self) -> IO[str]:
        stream = Console.file.fget(self)  # type: ignore[attr-defined]  # a property
        return cast("IO[str]", _Stream(stream, self._lose))

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def _lose(self, stream: IO[str], error: OSError | ValueError) -> None:
        self.quiet = True
        _discard(stream)
        if not self.outlived:
            if isinstance(error, BrokenPipeError):
                raise SystemExit(1) from error  # the reader has what it wants
            raise OutputError(f"cannot write the output: {error}") from error
        if not self.stderr:
            err.print(f"the output can no longer be written ({error}). The run continues: snnsearch status")

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            safe = segment.control or segment.text.isprintable()
            yield segment if safe else Segment(_printable_lines(segment.text), segment.style)


class _Stream:
    """A text stream that calls ``lose`` with itself and the error when it fails."""

    def __init__(self, stream: IO[str], lose: Callable[[IO[str], OSError | ValueError], None]) -> None:
        self._stream = stream
        self._lose = lose

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._lose(self._stream, error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(self._stream, error)


def _discard(stream: IO[str]) -> None:
    """Let the stream write to nowhere, so that Python does not fail when it ends and writes the rest."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_in_any_encoding() -> None:
    """Let the standard streams replace the characters that their encoding lacks. Before, they raise an error."""
    codecs.register_error("snnsearch", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="snnsearch")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(letter, "?") for letter in letters), error.end


def _printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


out = Terminal()
err = Terminal(stderr=True)


def print_json(value: object) -> None:
    """Print ``value`` as JSON to standard output."""
    stream = out.file
    stream.write(json.dumps(value, indent=2, allow_nan=False) + os.linesep)
    stream.flush()
