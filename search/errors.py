"""Errors that the user can fix. The command line prints them and exits with code 2, without a traceback."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from reports.document.commands import command

MAX_PROBLEMS = 200  # of one kind reported for a file; finding one takes up to a few milliseconds
MAX_LINES = 50  # of one error
MAX_TEXT_CHARACTERS = 1000  # of one problem
MAX_VALUE_CHARACTERS = 60  # of a value quoted in a message

Keys = tuple[str | int, ...]  # ("network", "fire5", "keep")


class InputError(Exception):
    """Bad input. The text says what was given, what is allowed and what to type."""


@dataclass(frozen=True)
class Place:
    """Place where something was written: a line of a file, or a ``--set`` of the command line (no line)."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake in a space or benchmark and its place: ``prune.yaml:12: network.fire5.squeeze: ...``."""

    place: Place
    path: str  # "network.fire5.squeeze"; empty for the file as a whole
    text: str

    def __str__(self) -> str:
        text = printable(self.text)
        text = text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}..."
        return ": ".join(part for part in (str(self.place), printable(self.path), text) if part)


class SpaceError(InputError):
    """All mistakes in a file, one line each in the order of the file, at most ``MAX_LINES`` of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(set(problems), key=lambda p: (p.place.file, p.place.line or 0, p.path, p.text))
        self.problems = tuple(ordered)
        lines = [str(problem) for problem in ordered[:MAX_LINES]]
        if len(ordered) > MAX_LINES:
            lines.append("and more; correct these first")
        super().__init__("\n".join(lines))


def taken(study: str, holder: str) -> InputError:
    """Return the error for a second process that tries to run a study or benchmark."""
    return InputError(
        f"{study!r} is already running, in {holder}. Only one process at a time may run it: wait for it, end it with "
        f"Ctrl-C, or follow it with: {command('status', study)}"
    )


def printable(text: str) -> str:
    """Return ``text`` on one line, with control characters escaped so that a terminal does not act on them."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean X?`` if an allowed word starts with ``word`` or resembles it, else an empty string."""
    words = list(allowed)
    begins = [other for other in words if other.lower().startswith(word.lower())] if len(word) > 2 else []
    close = begins[:1] or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def listed(words: Iterable[object], most: int = 12) -> str:
    """Return ``a, b, c``; words beyond ``most`` are only counted."""
    texts = [str(word) for word in words]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def dotted(keys: Keys) -> str:
    """Return keys as a path: ``network.fire5.keep``, ``reference[2].label``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def format_value(value: object) -> str:
    """Return a value as YAML on one line, shortened to ``MAX_VALUE_CHARACTERS``."""
    text = _flow(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[: MAX_VALUE_CHARACTERS - 3]}..."


def format_validation(error: ValidationError) -> str:
    """Return pydantic's errors on one line, for values that do not come from one line of a file."""
    found = error.errors(include_url=False)
    return "; ".join(f"{dotted(e['loc'])} {e['msg']}".strip().removeprefix("Value error, ") for e in found)


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)
