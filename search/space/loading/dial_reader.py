"""Read a dial from the mapping that a file has in place of a value."""

import math

from reports.records.study import Leaf
from search.errors import format_value, listed, nearest
from search.space.dials import Choices, Dial, Needs, Range
from search.space.document import Tree

DIAL_KEYS = ("choices", "low", "high", "step", "log", "default")
MAX_CHOICES = 1000
MAX_STEPS = 2**53  # Optuna stores numbers as floats, which cannot tell more steps apart
LISTS = "{choices: [[a, b], [a, c]]}, a list of lists"
FORMS = (
    "{choices: [a, b]}, {low: 8, high: 64, step: 8} or {low: 1e-4, high: 1e-2, log: true}, with a default if you like"
)


def read_dial(path: str, tree: dict[str, Tree], *, real: bool, lists: bool = False, needs: Needs = ()) -> Dial:
    """Return the dial that ``tree`` describes.

    ``real``: its value is a float. ``lists``: its value is a list. Raises ValueError with the fix.
    """
    for key in tree:
        if key not in DIAL_KEYS:
            raise ValueError(f"unknown key {key!r}{nearest(key, DIAL_KEYS)}; a dial is {FORMS}")
    if lists and "choices" not in tree:
        raise ValueError(f"given {format_value(tree)}; this takes a list, so write {LISTS}")
    values = _choices(tree, lists=lists) if "choices" in tree else _range(tree, real=real)
    if "default" not in tree:
        return Dial(path, values, None, needs)
    try:
        return Dial(path, values, values.canonical(tree["default"]), needs)
    except ValueError as error:
        raise ValueError(f"default: {error}; write one of them") from None


def _choices(tree: dict[str, Tree], *, lists: bool) -> Choices:
    extra = [key for key in tree if key not in ("choices", "default")]
    if extra:
        raise ValueError(f"both choices and {listed(extra)}; a dial is {FORMS}")
    given = tree["choices"]
    if not isinstance(given, list) or not 2 <= len(given) <= MAX_CHOICES:
        raise ValueError(
            f"choices: given {format_value(given)}; write a list of two values or more, or one value instead of a dial"
        )
    for at, value in enumerate(given):
        if value in given[:at]:
            raise ValueError(f"choices: {format_value(value)} is given twice; remove one")
    return Choices.of_lists(list(map(_list, given))) if lists else Choices(tuple(map(_scalar, given)))


def _list(value: Tree) -> list[Leaf]:
    if not isinstance(value, list):
        raise ValueError(f"choices: given {format_value(value)}; this takes a list, so write {LISTS}")
    return list(map(_scalar, value))


def _scalar(value: Tree) -> Leaf:
    if value is None or isinstance(value, list | dict):
        raise ValueError(
            f"choices: given {format_value(value)}; here a choice is one number, word, true or false. null can be the "
            "value of a leaf, but not a choice"
        )
    return value


def _range(tree: dict[str, Tree], *, real: bool) -> Range:
    missing = [key for key in ("low", "high") if key not in tree]
    if missing:
        raise ValueError(f"{missing[0]} is missing; a dial is {FORMS}")
    low, high = (_number(tree[key], key) for key in ("low", "high"))
    log = tree.get("log", False)
    step = _number(tree["step"], "step") if "step" in tree else None
    if not isinstance(log, bool):
        raise ValueError(f"log: given {format_value(log)}; write true or false")
    if low >= high:
        remedy = (
            f"; turned round it reads {{low: {format_value(high)}, high: {format_value(low)}}}"
            if low > high
            else "; write the value itself"
        )
        raise ValueError(f"low {format_value(low)} is not below high {format_value(high)}{remedy}")
    if log and (step is not None or low <= 0):
        conflict = "a step" if step is not None else f"low {format_value(low)}, not above 0,"
        raise ValueError(f"{conflict} and log: true do not go together; drop one of the two")
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
        raise ValueError(f"step: given {format_value(step)}; write a number above 0")
    if (values.high - values.low) / step > MAX_STEPS:
        raise ValueError(
            f"from {values.low:g} to {values.high:g} there are too many steps of {step:g} to be told apart; write "
            "bounds that are closer, or a greater step"
        )
    last = values.low + math.floor((values.high - values.low) / step + 1e-9) * step
    if abs(last - values.high) > 1e-9 * max(1.0, abs(values.high)):
        raise ValueError(
            f"high {format_value(values.high)} is not reached from {values.low:g} in steps of {step:g}; write high: "
            f"{last:g} or {last + step:g}"
        )
    return values


def _number(value: Tree, key: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key}: given {format_value(value)}; write a number")
    return value
