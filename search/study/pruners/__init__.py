"""Which trials to stop early. A pruner is one file and one line of ``PRUNERS`` in `search.registries`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from reports.records.study import Direction
from search.registries import PRUNERS, load_implementation
from search.space.sections import EarlyStopping


class Pruner(Protocol):
    """Decides which trials to stop, from the objectives measured at each rung (an epoch of ``train.rungs``)."""

    def __init__(self, rule: EarlyStopping, objectives: Mapping[str, Direction]) -> None: ...

    @staticmethod
    def describe(rule: EarlyStopping) -> str:
        """Return the rule in a few words that follow "stopped early"."""

    def add(self, epoch: int, trial: int, values: Sequence[float]) -> None:
        """Store the objectives of ``trial`` after ``epoch``. A second call for the same rung changes nothing."""

    def prune_reason(self, epoch: int, trial: int) -> str | None:
        """Return why to stop ``trial``, which has reached the rung ``epoch``; None to let it continue."""


def make_pruner(rule: EarlyStopping, objectives: Mapping[str, Direction]) -> Pruner:
    """Return the pruner that ``study.stopping`` asks for."""
    return _kind(rule)(rule, objectives)


def describe_pruner(rule: EarlyStopping) -> str:
    """Return the rule in a few words that follow "stopped early"."""
    return _kind(rule).describe(rule)


def _kind(rule: EarlyStopping) -> type[Pruner]:
    kind: type[Pruner] = load_implementation(PRUNERS, rule.rule)
    return kind
