"""What a person can put right: the command line prints it and exits with 2, without a traceback."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

MOST_PROBLEMS = 200  # of one kind that are looked for in a file: each takes up to some milliseconds
MOST_LINES = 50  # of one error
LONGEST = 1000  # characters of what a line says


class InputError(Exception):
    """Bad input. Its text says what was given, what is allowed and what to type."""


@dataclass(frozen=True)
class Place:
    """Place where something was written: a line of a file, or a ``--set`` of the command line (no line)."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a space, and where: ``prune.yaml:12: network.fire5.squeeze: ...``."""

    place: Place
    path: str  # "network.fire5.squeeze"; empty for the file as a whole
    text: str

    def __str__(self) -> str:
        text = printable(self.text)
        parts = (str(self.place), printable(self.path), text if len(text) <= LONGEST else f"{text[:LONGEST]}...")
        return ": ".join(part for part in parts if part)


class SpaceError(InputError):
    """All that is wrong with a space, one line for each problem, in the order of the file; of very many the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(set(problems), key=lambda p: (p.place.file, p.place.line or 0, p.path, p.text))
        self.problems = tuple(ordered)
        lines = [str(problem) for problem in ordered[:MOST_LINES]]
        if len(ordered) > MOST_LINES:
            lines.append("and more; put these right first")
        super().__init__("\n".join(lines))


def printable(text: str) -> str:
    """``text`` on one line, with nothing in it that a terminal would act upon: such characters as ``\\x1b``."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def taken(study: str, holder: str) -> InputError:
    """A second driver of a study or benchmark."""
    return InputError(
        f"{study!r} is being driven already, by {holder}. One driver at a time may run it: wait for that one, end it "
        f"with Ctrl-C, or look on with: snnsearch status {study}"
    )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``; did you mean X?`` when an allowed word begins like it or is close to it; else nothing."""
    words = list(allowed)
    begins = [other for other in words if other.lower().startswith(word.lower())] if len(word) > 2 else []
    close = begins[:1] or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def listed(words: Iterable[object], most: int = 12) -> str:
    """``a, b, c``; beyond ``most`` words the rest is counted."""
    shown = [str(word) for word in words]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
