"""Suggest the word that was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean X?`` if an allowed word is close to ``word``, else an empty string."""
    near = get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {near[0]}?" if near else ""
