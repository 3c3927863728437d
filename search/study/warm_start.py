"""Choose the finished trial that a candidate inherits weights from: the most similar one, chosen once and stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, Trial

from reports.records.study import Leaf, TrialRecord
from search.space.candidate import Candidate
from search.space.space import Space
from search.study.evidence import Evidence, EvidenceTrial
from search.trial.folder import RunFolder
from search.trial.job import FromParent, Job, Parent

PARENT_ATTRIBUTE = "parent"  # a trial's attribute: the `Relative.key` of its parent; None if it has none
IGNORED_DIALS = ("train.start",)  # dials that do not make two trials less similar


@dataclass(frozen=True)
class Relative:
    """A finished trial of the study, or of the older one ``study`` that it learns from."""

    trial: FrozenTrial | EvidenceTrial
    study: str | None = None

    @property
    def key(self) -> int | dict[str, Any]:
        """What identifies the trial, as JSON."""
        return self.trial.number if self.study is None else {"study": self.study, "number": self.trial.number}


@dataclass(frozen=True)
class ParentSelector:
    """Selects parents among the complete ``trials`` of the study in ``run``, and among those that are its evidence."""

    space: Space
    run: RunFolder
    trials: Callable[[], Sequence[FrozenTrial]]
    evidence: Evidence | None = None

    def with_parent(self, trial: Trial, job: Job) -> Job:
        """Return ``job`` with its parent if it inherits weights. The first call chooses the parent and stores it."""
        if job.candidate.train.start != "inherit":
            return job
        attributes = trial.user_attrs
        if PARENT_ATTRIBUTE not in attributes:
            nearest = self._nearest(job)
            attributes[PARENT_ATTRIBUTE] = None if nearest is None else nearest.key
            trial.set_user_attr(PARENT_ATTRIBUTE, attributes[PARENT_ATTRIBUTE])
        chosen = attributes[PARENT_ATTRIBUTE]
        if chosen is None:
            return job
        return job.model_copy(update={"initialization": FromParent(parent=self._parent(chosen))})

    def _nearest(self, job: Job) -> Relative | None:
        """Return the most similar relative that can be a parent, before others a trial of the study itself."""

        def rank(relative: Relative) -> tuple[int, bool, int]:
            return distance(job.params, relative.trial.params), relative.study is not None, relative.trial.number

        return next((each for each in sorted(self._relatives(), key=rank) if self._can_be_parent(each, job)), None)

    def _relatives(self) -> Iterator[Relative]:
        yield from map(Relative, self.trials())
        if self.evidence is not None:
            yield from (Relative(each, self.evidence.study) for each in self.evidence.trials if each.images is not None)

    def _can_be_parent(self, relative: Relative, job: Job) -> bool:
        parent = self._without_counts(relative)
        return parent.weights.is_file() and can_inherit(job.candidate, parent.candidate)

    def _without_counts(self, relative: Relative) -> Parent:
        trial, candidate = relative.trial, self.space.candidate(relative.trial.params)
        parent = Parent(number=trial.number, study=relative.study, candidate=candidate, weights=self.run.path)
        return parent.model_copy(update={"weights": parent.weights_in(self.run)})

    def _parent(self, key: Any) -> Parent:
        (relative,) = (each for each in self._relatives() if each.key == key)
        parent, trial = self._without_counts(relative), relative.trial
        if isinstance(trial, FrozenTrial):
            return parent.trained(TrialRecord.model_validate(trial.user_attrs["record"]))
        return parent.model_copy(update={"images": trial.images, "macs": trial.macs})


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
