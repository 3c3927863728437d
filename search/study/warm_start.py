"""Which finished trial a candidate takes its weights from: the nearest, chosen once and kept with the trial."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, Trial

from reports.records.study import Leaf, TrialRecord
from search.space.candidate import Candidate
from search.space.space import Space
from search.trial.job import WEIGHTS, Job, Parent

PARENT = "parent"  # a trial's attribute: the number of the one it inherits from; None where there was none
FREE = ("train.start",)  # dials that make no two trials less alike


@dataclass(frozen=True)
class ParentSelector:
    """The trials of a study as relatives of each other. ``folder`` has the folders of trials by number."""

    space: Space
    folder: Callable[[int], Path]
    trials: Callable[[], Sequence[FrozenTrial]]  # those that are complete

    def placed(self, trial: Trial, job: Job) -> Job:
        """``job`` with its parent, where it is to inherit and there is one; chosen when this is first asked."""
        if job.candidate.train.start != "inherit":
            return job
        attributes = trial.user_attrs
        if PARENT not in attributes:
            attributes[PARENT] = self._nearest(job)
            trial.set_user_attr(PARENT, attributes[PARENT])
        chosen = attributes[PARENT]
        return job if chosen is None else job.model_copy(update={"parents": (self._parent(chosen),)})

    def _nearest(self, job: Job) -> int | None:
        by_distance = sorted(self.trials(), key=lambda trial: (distance(job.params, trial.params), trial.number))
        return next((trial.number for trial in by_distance if self._suits(trial, job)), None)

    def _suits(self, trial: FrozenTrial, job: Job) -> bool:
        there = (self.folder(trial.number) / WEIGHTS).is_file()
        return there and related(job.candidate, self.space.candidate(trial.params))

    def _parent(self, number: int) -> Parent:
        (trial,) = (trial for trial in self.trials() if trial.number == number)
        weights = self.folder(number) / WEIGHTS
        parent = Parent(number=number, candidate=self.space.candidate(trial.params), weights=weights)
        return parent.trained(TrialRecord.model_validate(trial.user_attrs["record"]))


def related(one: Candidate, other: Candidate) -> bool:
    """Whether weights can go from one to the other: same family, trained on the same images, shown in the same way.

    The same ones, since what the one was trained on must not be what the other is validated on.
    """
    return (
        type(one.network) is type(other.network)
        and one.data == other.data
        and one.encoding.kind == other.encoding.kind
    )  # fmt: skip


def distance(one: Mapping[str, Leaf], other: Mapping[str, Leaf]) -> int:
    """Of the dials that count in both, how many differ."""
    return sum(one[path] != other[path] for path in one.keys() & other.keys() if path not in FREE)
