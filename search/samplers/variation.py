"""Variation operators: crossover by module, and mutation that removes, keeps or resizes modules.

A *module* is all dials below one path, for example ``network.fire4``. A leaf of a section is a module of its own.
"""

import math
import random
from collections.abc import Mapping, Sequence

from reports.records.study import Leaf
from search.space.dials import Choices, Dial, Range, complete

MUTATIONS_PER_CHILD = 0.5  # on average; a child that equals an earlier trial is drawn again in any case
P_FURTHER_STEP = 0.3  # probability that a step on a grid continues by one more value
STEP_DEVIATION = 0.1  # standard deviation of a step on a range without a grid, as a share of the range


def module_of(path: str) -> str:
    """Return the module of the dial at ``path``. A child inherits the dials of a module together."""
    parent = path.rpartition(".")[0]
    return parent if "." in parent else path


def crossover(
    dials: Sequence[Dial], mother: Mapping[str, Leaf], father: Mapping[str, Leaf], rng: random.Random
) -> dict[str, Leaf]:
    """Take each module from one parent. A dial that this parent lacks comes from the other one, if it has the dial."""
    from_father = {name: rng.random() < 0.5 for name in dict.fromkeys(module_of(dial.path) for dial in dials)}
    genes: dict[str, Leaf] = {}
    for dial in dials:
        first, second = (father, mother) if from_father[module_of(dial.path)] else (mother, father)
        parent = first if dial.path in first else second
        if dial.path in parent:
            genes[dial.path] = parent[dial.path]
    return genes


def mutate(dials: Sequence[Dial], genes: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    """Return the candidate of ``genes`` with one dial changed in some of its modules.

    A dial that a mutation activates takes its value from ``genes``, or a random value if they have none.
    """
    child = complete(dials, genes, rng)
    modules: dict[str, list[Dial]] = {}
    for dial in dials:
        if dial.path in child:
            modules.setdefault(module_of(dial.path), []).append(dial)
    changed = dict(child)
    for members in modules.values():
        if rng.random() < MUTATIONS_PER_CHILD / len(modules):
            dial = rng.choice(members)
            changed[dial.path] = perturb(dial, child[dial.path], rng)
    return complete(dials, {**genes, **changed}, rng)


def perturb(dial: Dial, value: Leaf, rng: random.Random) -> Leaf:
    """Return another value: a near one for numbers, any other one for words and truth values."""
    values = dial.values
    if isinstance(values, Choices):
        return _step_on_grid(sorted(values.values), value, rng) if values.numeric else dial.other(value, rng)
    if values.size is None or values.log:
        assert isinstance(value, int | float)
        return _step_in_range(values, value, rng)
    return _step_on_grid([values.at(step) for step in range(values.size)], value, rng)


def _step_on_grid(grid: Sequence[Leaf], value: Leaf, rng: random.Random) -> Leaf:
    """Move up or down by one value, sometimes by more; from an end always inwards."""
    at, last = grid.index(value), len(grid) - 1
    up = at == 0 or (at < last and rng.random() < 0.5)
    steps = 1
    while rng.random() < P_FURTHER_STEP:
        steps += 1
    return grid[min(at + steps, last) if up else max(at - steps, 0)]


def _step_in_range(values: Range, value: float, rng: random.Random) -> Leaf:
    """Add a normal step, on a logarithmic scale if the range is logarithmic, and clip to the range."""
    scale, back = (math.log, math.exp) if values.log else (float, float)
    low, high, current = scale(values.low), scale(values.high), scale(value)
    moved = current
    while moved == current:
        moved = min(max(rng.gauss(current, STEP_DEVIATION * (high - low)), low), high)
    if not values.whole:
        return values.canonical(back(moved))
    near = int(value)
    return max(round(back(moved)), near + 1) if moved > current else min(round(back(moved)), near - 1)
