"""Find an untried candidate near one that turned out to be a duplicate or to break a constraint."""

import random
from collections.abc import Container, Mapping

from reports.records.study import Leaf
from search.space.space import Space

MAX_DRAWS = 2000  # without a new candidate; then the space counts as exhausted


def untried_neighbour(
    space: Space, params: Mapping[str, Leaf], seen: Container[str], rng: random.Random
) -> dict[str, Leaf] | None:
    """Return the dials of an untried candidate that meets the constraints; None if the space seems exhausted.

    The search starts next to ``params``, moves away step by step, and ends with random candidates. ``seen`` holds
    candidate keys.
    """
    current = params
    for draw in range(MAX_DRAWS):
        at_random = draw > MAX_DRAWS // 2
        current = space.sample(rng) if at_random else space.neighbour(current if draw % 8 else params, rng)
        candidate = space.candidate(current)
        if candidate.fingerprint not in seen and not space.refusals(candidate):
            return dict(current)
    return None
