"""Errors that a person can correct. The command line prints their text without a traceback and exits with 2."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

MAX_PROBLEMS = 200  # of one kind that are looked for in a file, since each takes up to a few milliseconds
MAX_LINES = 50  # of one error
MAX_TEXT = 1000  # characters of one problem


class InputError(Exception):
    """Bad input. The text says what was given, what is allowed and what to type next."""


@dataclass(frozen=True)
class Place:
    """The place of a value: a line of a file, or a ``--set`` of the command line, which has no line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake in a space, with its place: ``prune.yaml:12: network.fire5.squeeze: ...``."""

    place: Place
    path: str  # "network.fire5.squeeze"; empty if it concerns the whole file
    text: str

    def __str__(self) -> str:
        text = printable(self.text)
        parts = (str(self.place), printable(self.path), text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}...")
        return ": ".join(part for part in parts if part)


class SpaceError(InputError):
    """All mistakes in a space, one a line, in the order of the file; only the first ones if there are very many."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(set(problems), key=lambda p: (p.place.file, p.place.line or 0, p.path, p.text))
        self.problems = tuple(ordered)
        lines = [str(problem) for problem in ordered[:MAX_LINES]]
        if len(ordered) > MAX_LINES:
            lines.append("and more; correct these first")
        super().__init__("\n".join(lines))


def printable(text: str) -> str:
    """Return ``text`` on one line, with control characters written out, for example as ``\\x1b``."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def taken(study: str, holder: str) -> InputError:
    """Return the error for a second process that tries to run a study or benchmark."""
    return InputError(
        f"{study!r} is already running, in {holder}. Only one process at a time may run it: wait for it, end it with "
        f"Ctrl-C, or follow it with: snnsearch status {study}"
    )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean X?`` if an allowed word starts with ``word`` or resembles it, else an empty text."""
    words = list(allowed)
    begins = [other for other in words if other.lower().startswith(word.lower())] if len(word) > 2 else []
    close = begins[:1] or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def listed(words: Iterable[object], most: int = 12) -> str:
    """Return ``a, b, c``; with more than ``most`` words, the number of the remaining ones follows."""
    shown = [str(word) for word in words]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
