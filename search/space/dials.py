"""Dials: the leaves of a space that the search may turn.

A dial's path is the name of its Optuna parameter, its place in an error message and its column in a report. "Parameter"
would be the usual word, but networks have parameters too.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reports.records.study import Leaf
from search.errors import format_value, listed
from search.space.document import Tree

Needs = tuple[tuple[str, Leaf], ...]  # (path of a dial, the value it must have)
FAMILY = "network.family"


class Trial(Protocol):
    """The methods of ``optuna.Trial`` that a space calls."""

    def suggest_categorical(self, name: str, choices: Sequence[Leaf]) -> Leaf: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Choices:
    """A dial's values: one of several, in no order.

    If the leaf holds a list, ``lists`` are the lists and ``values`` their texts: ``[stem, fire5, fire8]``. Everything
    outside the space, such as Optuna and the records, handles the texts.
    """

    values: tuple[Leaf, ...]
    lists: tuple[tuple[Leaf, ...], ...] = ()

    @classmethod
    def of_lists(cls, lists: Sequence[Sequence[Leaf]]) -> "Choices":
        """Return choices between lists."""
        return cls(tuple(list_text(each) for each in lists), tuple(map(tuple, lists)))

    @property
    def kind(self) -> str:
        return "choice"

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def ends(self) -> tuple[Leaf, ...]:
        """Return the values that loading a space tries out: all of them."""
        return self.values

    def spread(self, most: int) -> tuple[Leaf, ...]:
        """Return up to ``most`` values, evenly spread over the order in which they are written."""
        step = max(1, math.ceil((self.size - 1) / max(1, most - 1)))
        return self.values[::step]

    @property
    def extremes(self) -> tuple[Leaf, ...]:
        """Return the smallest and the largest number; all values if they are not numbers."""
        return (min(self.values), max(self.values)) if self.numeric else self.values

    @property
    def first(self) -> Leaf:
        return self.values[0]

    @property
    def numeric(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    def canonical(self, value: object) -> Leaf:
        """Return the choice that equals ``value``. Raises ValueError if there is none."""
        if self.lists and isinstance(value, list | tuple):
            value = list_text(value)
        for choice in self.values:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        given = value if self.lists and isinstance(value, str) else format_value(value)
        raise ValueError(f"given {given}; allowed are {self}")

    def leaf(self, value: Leaf) -> Any:
        """Return a choice as its leaf holds it: a tuple for the text of a list."""
        return self.lists[self.values.index(value)] if self.lists else value

    def written(self, value: Leaf) -> Tree:
        """Return a choice as a file has it: a list for the text of a list."""
        return list(self.leaf(value)) if self.lists else value

    def suggest(self, trial: Trial, path: str) -> Leaf:
        return trial.suggest_categorical(path, self.values)

    def sample(self, rng: random.Random) -> Leaf:
        return rng.choice(self.values)

    def tree(self) -> dict[str, Tree]:
        return {"choices": [self.written(value) for value in self.values]}

    def __str__(self) -> str:
        return listed(self.values if self.lists else map(format_value, self.values))


@dataclass(frozen=True)
class Range:
    """A dial's values: numbers from ``low`` to ``high``, both included, in steps of ``step`` (None: continuous).

    They are whole numbers if ``low`` and ``high`` are.
    """

    low: int | float
    high: int | float
    step: int | float | None
    log: bool = False

    @property
    def kind(self) -> str:
        return ("int" if self.whole else "float") + (", log" if self.log else "")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)

    @property
    def size(self) -> int | None:
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    @property
    def ends(self) -> tuple[Leaf, ...]:
        return (self.low, self.high)

    def spread(self, most: int) -> tuple[Leaf, ...]:
        """Return up to ``most`` values of the range, evenly spread, with both ends."""
        count = most if self.size is None else min(most, self.size)
        if self.size is None or count < 2:
            width = self.high - self.low
            return tuple(self.canonical(self.low + width * at / max(1, count - 1)) for at in range(count))
        return tuple(self.at(round(at * (self.size - 1) / (count - 1))) for at in range(count))

    @property
    def extremes(self) -> tuple[Leaf, ...]:
        return (self.low, self.high)

    @property
    def first(self) -> Leaf:
        return self.low

    @property
    def numeric(self) -> bool:
        return True

    def canonical(self, value: object) -> Leaf:
        """Return the grid point that ``value`` means (0.1 + 0.2 is 0.3). Raises ValueError if there is none."""
        slack = 1e-9 * (self.high - self.low)  # for rounding errors of floats
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not self.low - slack <= number <= self.high + slack:
            raise ValueError(f"given {format_value(value)}; allowed is {self}")
        if self.step is None:
            return min(max(float(number), float(self.low)), float(self.high))
        steps = round((number - self.low) / self.step)
        if abs(self.low + steps * self.step - number) > slack:
            below = self.at(math.floor((number - self.low) / self.step))
            raise ValueError(f"given {format_value(value)}; allowed is {self}: the one below is {format_value(below)}")
        return self.at(steps)

    def written(self, value: Leaf) -> Tree:
        """Return a value as a file has it."""
        return value

    def suggest(self, trial: Trial, path: str) -> Leaf:
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = self.step if isinstance(self.step, int) else 1
            return self.canonical(trial.suggest_int(path, self.low, self.high, step=step, log=self.log))
        return self.canonical(trial.suggest_float(path, self.low, self.high, step=self.step, log=self.log))

    def sample(self, rng: random.Random) -> Leaf:
        if self.log:
            half = 0.5 if self.whole else 0.0  # so that the first and the last whole number get their full share
            value = math.exp(rng.uniform(math.log(self.low - half), math.log(self.high + half)))
            value = min(max(value, self.low), self.high)
            return round(value) if self.whole else value
        if self.size is None:
            return rng.uniform(self.low, self.high)
        return self.at(rng.randrange(self.size))

    def tree(self) -> dict[str, Tree]:
        tree: dict[str, Tree] = {"low": self.low, "high": self.high}
        if self.log:
            return tree | {"log": True}
        return tree if self.step is None else tree | {"step": self.step}

    def at(self, steps: int) -> Leaf:
        """Return the value ``steps`` steps above ``low``."""
        value = self.low + steps * (self.step or 0)
        return value if self.whole else float(f"{value:.12g}")

    def __str__(self) -> str:
        how = ", log" if self.log else "" if self.step in (None, 1) else f" in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class Dial:
    """An open leaf of a space.

    ``default`` is None if it has none. ``needs`` are values that other dials must have for this dial to exist, for
    example that its module is kept.
    """

    path: str
    values: Choices | Range
    default: Leaf | None = None
    needs: Needs = ()

    @property
    def keep(self) -> bool:
        """Return whether the dial keeps or removes a module."""
        return self.path.endswith(".keep")

    @property
    def opens(self) -> bool:
        """Return whether other dials may exist only at one of this dial's values."""
        return self.keep or self.path == FAMILY

    def counts(self, chosen: Mapping[str, object]) -> bool:
        """Return whether the dial matters, given the values of the dials before it."""
        return not self.unmet(chosen)

    def unmet(self, chosen: Mapping[str, object]) -> Needs:
        """Return the needs that ``chosen`` does not meet."""
        return tuple((path, value) for path, value in self.needs if chosen.get(path) != value)

    @property
    def anchor(self) -> Leaf:
        """Return the value it has while other dials are checked: the default, or else the first."""
        return self.values.first if self.default is None else self.default

    def canonical(self, value: object) -> Leaf:
        return self.values.canonical(value)

    def other(self, value: Leaf, rng: random.Random) -> Leaf:
        """Draw a value other than ``value``."""
        while (drawn := self.values.sample(rng)) == value:
            pass
        return drawn

    def written(self, value: Leaf) -> Tree:
        """Return a value as a file has it."""
        return self.values.written(value)

    def tree(self) -> dict[str, Tree]:
        return self.values.tree() | ({} if self.default is None else {"default": self.written(self.default)})


def list_text(values: Sequence[object]) -> str:
    """Return a list on one line, as YAML reads it: ``[stem, fire5, fire8]``."""
    return "[" + ", ".join(value if isinstance(value, str) else format_value(value) for value in values) + "]"


def complete(dials: Sequence[Dial], known: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    """Return a value for each dial that counts, in canonical order: from ``known``, or else drawn at random."""
    chosen: dict[str, Leaf] = {}
    for dial in dials:
        if dial.counts(chosen):
            chosen[dial.path] = known[dial.path] if dial.path in known else dial.values.sample(rng)
    return chosen
