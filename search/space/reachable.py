"""Find out before training whether any candidate can meet the constraints, and how low each constrained figure can get.

Figures of a candidate are cheap, so a coordinate descent tries other values of one dial after the other, from several
candidates. It may miss the least value in a space where two dials help only together.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter

from reports.document.wording import number
from reports.records.study import Leaf
from search.errors import InputError
from search.space.constraints import Constraints, known_constraints, known_figures
from search.space.dials import Dial
from search.space.space import Space

N_RANDOM_STARTS = 2
MAX_ROUNDS = 20  # of a descent; each tries every dial
MAX_VALUES = 5  # of one dial that are tried in a round

Params = Mapping[str, Leaf]
Cost = Callable[[Mapping[str, float]], float]


def check_bounds(space: Space) -> str | None:
    """Return a warning if no candidate was found that meets all constraints together; None if there is one.

    Raises InputError if a constraint alone is out of reach, with the lowest value that was reached.
    """
    constraints = known_constraints(space.study.constraints)
    if not constraints or _descend(space, constraints, lambda figures: _excess(figures, constraints), enough=0.0) <= 0:
        return None
    found = []
    for name, limit in constraints.items():
        lowest = _descend(space, {name: limit}, itemgetter(name), enough=limit["max"])
        if lowest > limit["max"]:
            reached = f"the lowest reachable is {number(lowest)}" if math.isfinite(lowest) else "no candidate builds"
            found.append(f"study.constraints.{name}: no candidate is within {number(limit['max'])}; {reached}")
    if found:
        raise InputError("\n".join(found) + ". Raise the bound, or add smaller values to the dials")
    return "no candidate was found that meets all constraints together; raise one of them if all trials are refused"


def _excess(figures: Mapping[str, float], constraints: Constraints) -> float:
    """Return the sum of the shares by which figures exceed their bounds."""
    return sum(max(0.0, figures[name] / limit["max"] - 1) for name, limit in constraints.items())


def _descend(space: Space, constraints: Constraints, cost: Cost, *, enough: float) -> float:
    """Return the least cost that was found; the search ends at ``enough``. Infinite if nothing builds."""

    def price(params: Params) -> float:
        figures = known_figures(space.candidate(params), constraints)
        return cost(figures) if figures else math.inf

    best = math.inf
    for start in _starts(space):
        least, params = price(start), start
        for _ in range(MAX_ROUNDS):
            before = least
            for dial in space.dials:
                for moved in _moves(space, params, dial):
                    if least > enough and (found := price(moved)) < least:
                        least, params = found, moved
            if least in (before, math.inf):
                break
        best = min(best, least)
        if best <= enough:
            break
    return best


def _starts(space: Space) -> Iterator[Params]:
    yield from space.candidates.values()
    yield _completed(space.dials, {})
    yield _completed(space.dials, {dial.path: _smallest(dial) for dial in space.dials})
    rng = random.Random(0)
    for _ in range(N_RANDOM_STARTS):
        yield space.sample(rng)


def _moves(space: Space, params: Params, dial: Dial) -> Iterator[Params]:
    """Yield ``params`` with ``dial`` at its other values; none if it does not count."""
    if dial.path in params:
        for value in dial.values.spread(MAX_VALUES):
            if value != params[dial.path]:
                yield _completed(space.dials, {**params, dial.path: value})


def _completed(dials: tuple[Dial, ...], known: Params) -> dict[str, Leaf]:
    """Return the dials that count: as ``known``, or else at their smallest value."""
    chosen: dict[str, Leaf] = {}
    for dial in dials:
        if dial.counts(chosen):
            chosen[dial.path] = known[dial.path] if dial.path in known else _smallest(dial)
    return chosen


def _smallest(dial: Dial) -> Leaf:
    if dial.keep and False in dial.values.ends:
        return False
    return min(dial.values.ends) if dial.values.numeric else dial.anchor
