"""Choose the finished trial that a candidate inherits weights from: the most similar one, chosen once and stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial

from reports.records.study import Leaf, TrialRecord
from search.space.candidate import Candidate
from search.space.space import Space
from search.trial.folder import TrialFolder
from search.trial.job import FromParent, Job, Parent

PARENT_ATTRIBUTE = "parent"  # a trial's attribute: the number of its parent; None if it has none
IGNORED_DIALS = ("train.start",)  # dials that do not make two trials less similar


@dataclass(frozen=True)
class ParentSelector:
    """Selects parents among the complete ``trials`` of a study. ``folder`` returns the folder of a trial by number."""

    space: Space
    folder: Callable[[int], TrialFolder]
    trials: Callable[[], Sequence[FrozenTrial]]

    def with_parent(self, trial: Trial, job: Job) -> Job:
        """Return ``job`` with its parent if it inherits weights. The first call chooses the parent and stores it."""
        if job.candidate.train.start != "inherit":
            return job
        attributes = trial.user_attrs
        if PARENT_ATTRIBUTE not in attributes:
            attributes[PARENT_ATTRIBUTE] = self._nearest(job)
            trial.set_user_attr(PARENT_ATTRIBUTE, attributes[PARENT_ATTRIBUTE])
        chosen = attributes[PARENT_ATTRIBUTE]
        if chosen is None:
            return job
        return job.model_copy(update={"initialization": FromParent(parent=self._parent(chosen))})

    def _nearest(self, job: Job) -> int | None:
        by_distance = sorted(self.trials(), key=lambda trial: (distance(job.params, trial.params), trial.number))
        return next((trial.number for trial in by_distance if self._can_be_parent(trial, job)), None)

    def _can_be_parent(self, trial: FrozenTrial, job: Job) -> bool:
        has_weights = self.folder(trial.number).weights.is_file()
        return has_weights and can_inherit(job.candidate, self.space.candidate(trial.params))

    def _parent(self, number: int) -> Parent:
        (trial,) = (trial for trial in self.trials() if trial.number == number)
        weights = self.folder(number).weights
        parent = Parent(number=number, candidate=self.space.candidate(trial.params), weights=weights)
        return parent.trained(TrialRecord.model_validate(trial.user_attrs["record"]))


def can_inherit(child: Candidate, parent: Candidate) -> bool:
    """Return whether ``child`` can take weights from ``parent``: same family, same data, same encoding.

    Both must use the same images; otherwise the child could be validated on images that its parent was trained on.
    """
    return (
        type(child.network) is type(parent.network)
        and child.data == parent.data
        and child.encoding.kind == parent.encoding.kind
    )  # fmt: skip


def distance(one: Mapping[str, Leaf], other: Mapping[str, Leaf]) -> int:
    """Return how many of the dials that are active in both differ."""
    return sum(one[path] != other[path] for path in one.keys() & other.keys() if path not in IGNORED_DIALS)
