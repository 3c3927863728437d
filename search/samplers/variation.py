"""From candidates to another: modules from one of two, a module kept or removed, a dial moved a small step.

A *module* is the dials below one path, such as ``network.fire4``; a leaf of a section is a module of its own.
"""

import math
import random
from collections.abc import Mapping, Sequence

from reports.records.study import Leaf
from search.space.dials import Choices, Dial, Range, complete

MUTATIONS = 0.5  # a child, on average; a copy of an earlier trial is drawn anew in any case
FURTHER = 0.3  # of the steps go one value further, 0.3 of those another one
REACH = 0.1  # standard deviation of a step on a range without a grid, as a share of the range


def module(path: str) -> str:
    """What goes from a parent to its child together with the dial at ``path``."""
    parent = path.rpartition(".")[0]
    return parent if "." in parent else path


def crossover(
    dials: Sequence[Dial], mother: Mapping[str, Leaf], father: Mapping[str, Leaf], rng: random.Random
) -> dict[str, Leaf]:
    """Each module as in one of both; a dial that this one does not have as in the other, if it is there."""
    turned = {name: rng.random() < 0.5 for name in dict.fromkeys(module(dial.path) for dial in dials)}
    genes: dict[str, Leaf] = {}
    for dial in dials:
        first, second = (father, mother) if turned[module(dial.path)] else (mother, father)
        parent = first if dial.path in first else second
        if dial.path in parent:
            genes[dial.path] = parent[dial.path]
    return genes


def mutate(dials: Sequence[Dial], genes: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    """The candidate of ``genes``, with one dial moved in some of its modules: kept or removed, or resized.

    A dial that comes to count with it is as in ``genes`` too, else drawn at random."""
    child = complete(dials, genes, rng)
    modules: dict[str, list[Dial]] = {}
    for dial in dials:
        if dial.path in child:
            modules.setdefault(module(dial.path), []).append(dial)
    changed = dict(child)
    for inside in modules.values():
        if rng.random() < MUTATIONS / len(modules):
            dial = rng.choice(inside)
            changed[dial.path] = perturb(dial, child[dial.path], rng)
    return complete(dials, {**genes, **changed}, rng)


def perturb(dial: Dial, value: Leaf, rng: random.Random) -> Leaf:
    """Another value near ``value``: numbers have neighbours, of words and truth values any other will do."""
    values = dial.values
    if isinstance(values, Choices):
        return _along(sorted(values.values), value, rng) if values.numeric else dial.other(value, rng)
    if values.size is None or values.log:
        assert isinstance(value, int | float)
        return _between(values, value, rng)
    return _along([values.at(step) for step in range(values.size)], value, rng)


def _along(ladder: Sequence[Leaf], value: Leaf, rng: random.Random) -> Leaf:
    """One rung up or down, or, less and less often, some more; from an end only inwards."""
    at, last = ladder.index(value), len(ladder) - 1
    up = at == 0 or (at < last and rng.random() < 0.5)
    rungs = 1
    while rng.random() < FURTHER:
        rungs += 1
    return ladder[min(at + rungs, last) if up else max(at - rungs, 0)]


def _between(values: Range, value: float, rng: random.Random) -> Leaf:
    """A normal step within the range, on the logarithm where the range is logarithmic."""
    scale, back = (math.log, math.exp) if values.log else (float, float)
    low, high, here = scale(values.low), scale(values.high), scale(value)
    there = here
    while there == here:
        there = min(max(rng.gauss(here, REACH * (high - low)), low), high)
    if not values.whole:
        return values.canonical(back(there))
    near = int(value)
    return max(round(back(there)), near + 1) if there > here else min(round(back(there)), near - 1)
