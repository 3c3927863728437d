"""A dial: a leaf of a space that is left open.

Its path is the Optuna parameter, the place in an error message and the column in a report.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reports.records.study import Leaf
from search.errors import listed, nearest
from search.space.document import Tree

Needs = tuple[tuple[str, Leaf], ...]  # (path of a dial, its value)
FAMILY = "network.family"
KEYS = ("choices", "low", "high", "step", "log", "default")
MOST_CHOICES = 1000
MOST_STEPS = 2**53  # beyond it floats, as which Optuna stores numbers, tell no two steps apart
SHAPES = (
    "{choices: [a, b]}, {low: 8, high: 64, step: 8} or {low: 1e-4, high: 1e-2, log: true}, with a default if you like"
)


class Trial(Protocol):
    """The part of ``optuna.Trial`` that a space asks."""

    def suggest_categorical(self, name: str, choices: Sequence[Leaf]) -> Leaf: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Choices:
    """One of several values, without an order."""

    values: tuple[Leaf, ...]

    @property
    def kind(self) -> str:
        return "choice"

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def ends(self) -> tuple[Leaf, ...]:
        """The values that are tried on load: all of them."""
        return self.values

    @property
    def first(self) -> Leaf:
        return self.values[0]

    @property
    def numeric(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    def canonical(self, value: object) -> Leaf:
        """``value`` as it stands among the choices; ValueError where it does not."""
        for choice in self.values:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        raise ValueError(f"given {shown(value)}; allowed are {listed(map(shown, self.values))}")

    def suggest(self, trial: Trial, path: str) -> Leaf:
        return trial.suggest_categorical(path, self.values)

    def sample(self, rng: random.Random) -> Leaf:
        return rng.choice(self.values)

    def tree(self) -> dict[str, Tree]:
        return {"choices": list(self.values)}

    def __str__(self) -> str:
        return listed(map(shown, self.values))


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones if both are. ``step`` is None where continuous."""

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

    @property
    def first(self) -> Leaf:
        return self.low

    @property
    def numeric(self) -> bool:
        return True

    def canonical(self, value: object) -> Leaf:
        """``value`` on the range's grid (0.1 + 0.2 is 0.3); ValueError where it is not in the range."""
        slack = 1e-9 * (self.high - self.low)  # of a sum of floats
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not self.low - slack <= number <= self.high + slack:
            raise ValueError(f"given {shown(value)}; allowed is {self}")
        if self.step is None:
            return min(max(float(number), float(self.low)), float(self.high))
        steps = round((number - self.low) / self.step)
        if abs(self.low + steps * self.step - number) > slack:
            below = self.at(math.floor((number - self.low) / self.step))
            raise ValueError(f"given {shown(value)}; allowed is {self}: the one below is {shown(below)}")
        return self.at(steps)

    def suggest(self, trial: Trial, path: str) -> Leaf:
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = self.step if isinstance(self.step, int) else 1
            return self.canonical(trial.suggest_int(path, self.low, self.high, step=step, log=self.log))
        return self.canonical(trial.suggest_float(path, self.low, self.high, step=self.step, log=self.log))

    def sample(self, rng: random.Random) -> Leaf:
        if self.log:
            half = 0.5 if self.whole else 0.0  # each whole number gets the width of its rounding
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
        """The value ``steps`` of its steps above ``low``."""
        value = self.low + steps * (self.step or 0)
        return value if self.whole else float(f"{value:.12g}")

    def __str__(self) -> str:
        how = ", log" if self.log else "" if self.step in (None, 1) else f" in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class Dial:
    """An open leaf; ``default`` is None where it has none, ``needs`` are the values that other dials must have for it
    to count: its module is kept, its family is the one that was chosen."""

    path: str
    values: Choices | Range
    default: Leaf | None = None
    needs: Needs = ()

    @property
    def keep(self) -> bool:
        """Whether it decides if a module is there at all."""
        return self.path.endswith(".keep")

    @property
    def opens(self) -> bool:
        """Whether other dials may need it at one of its values."""
        return self.keep or self.path == FAMILY

    def counts(self, chosen: Mapping[str, object]) -> bool:
        """Whether it counts beside ``chosen``, the values of the dials before it."""
        return not self.unmet(chosen)

    def unmet(self, chosen: Mapping[str, object]) -> Needs:
        return tuple((path, value) for path, value in self.needs if chosen.get(path) != value)

    @property
    def anchor(self) -> Leaf:
        """Its value while other dials are looked at: the default, else the first."""
        return self.values.first if self.default is None else self.default

    def canonical(self, value: object) -> Leaf:
        return self.values.canonical(value)

    def other(self, value: Leaf, rng: random.Random) -> Leaf:
        """A value that is not ``value``."""
        while (drawn := self.values.sample(rng)) == value:
            pass
        return drawn

    def tree(self) -> dict[str, Tree]:
        return self.values.tree() | ({} if self.default is None else {"default": self.default})


def open_leaf(path: str, tree: dict[str, Tree], *, real: bool, needs: Needs = ()) -> Dial:
    """The dial that a mapping stands for; ``real``: the leaf is a float. ValueError says what is wrong with it."""
    for key in tree:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}{nearest(key, KEYS)}; a dial is {SHAPES}")
    values = _choices(tree) if "choices" in tree else _range(tree, real=real)
    if "default" not in tree:
        return Dial(path, values, None, needs)
    try:
        return Dial(path, values, values.canonical(tree["default"]), needs)
    except ValueError as error:
        raise ValueError(f"default: {error}; write one of them") from None


def _choices(tree: dict[str, Tree]) -> Choices:
    extra = [key for key in tree if key not in ("choices", "default")]
    if extra:
        raise ValueError(f"both choices and {listed(extra)}; a dial is {SHAPES}")
    given = tree["choices"]
    if not isinstance(given, list) or not 2 <= len(given) <= MOST_CHOICES:
        raise ValueError(
            f"choices: given {shown(given)}; write a list of two values or more, or one value instead of a dial"
        )
    values: list[Leaf] = []
    for value in given:
        if value is None or isinstance(value, list | dict):
            raise ValueError(
                f"choices: given {shown(value)}; a choice is one number, word, true or false. Lists and null can be "
                "values of a leaf, not choices"
            )
        if value in values:
            raise ValueError(f"choices: {shown(value)} is given twice; remove one")
        values.append(value)
    return Choices(tuple(values))


def _range(tree: dict[str, Tree], *, real: bool) -> Range:
    missing = [key for key in ("low", "high") if key not in tree]
    if missing:
        raise ValueError(f"{missing[0]} is missing; a dial is {SHAPES}")
    low, high = (_number(tree[key], key) for key in ("low", "high"))
    log = tree.get("log", False)
    step = _number(tree["step"], "step") if "step" in tree else None
    if not isinstance(log, bool):
        raise ValueError(f"log: given {shown(log)}; write true or false")
    if low >= high:
        turned = (
            f"; turned round it reads {{low: {shown(high)}, high: {shown(low)}}}"
            if low > high
            else "; write the value itself"
        )
        raise ValueError(f"low {shown(low)} is not below high {shown(high)}{turned}")
    if log and (step is not None or low <= 0):
        what = "a step" if step is not None else f"low {shown(low)}, not above 0,"
        raise ValueError(f"{what} and log: true do not go together; drop one of the two")
    whole = not real and all(not isinstance(n, float) for n in (low, high, step))
    if not whole:
        low, high, step = float(low), float(high), None if step is None else float(step)
    elif step is None:
        step = 1
    return _on_grid(Range(low, high, step, log))


def _on_grid(values: Range) -> Range:
    step = values.step
    if step is None:
        return values
    if step <= 0:
        raise ValueError(f"step: given {shown(step)}; write a number above 0")
    if (values.high - values.low) / step > MOST_STEPS:
        raise ValueError(
            f"from {values.low:g} to {values.high:g} there are too many steps of {step:g} to be told apart; write "
            "bounds that are closer, or a greater step"
        )
    last = values.low + math.floor((values.high - values.low) / step + 1e-9) * step
    if abs(last - values.high) > 1e-9 * max(1.0, abs(values.high)):
        raise ValueError(
            f"high {shown(values.high)} is not reached from {values.low:g} in steps of {step:g}; write high: "
            f"{last:g} or {last + step:g}"
        )
    return values


def _number(value: Tree, key: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key}: given {shown(value)}; write a number")
    return value


def shown(value: object) -> str:
    """A value as YAML has it, cut where it is long."""
    text = _flow(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)


def complete(dials: Sequence[Dial], known: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    """The dials that count, in their order: as in ``known``, else drawn at random."""
    chosen: dict[str, Leaf] = {}
    for dial in dials:
        if dial.counts(chosen):
            chosen[dial.path] = known[dial.path] if dial.path in known else dial.values.sample(rng)
    return chosen
