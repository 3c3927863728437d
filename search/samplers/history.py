"""What a study has tried, as a model of it sees that: losses, also of trials that were stopped early or still run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from reports.records.study import Leaf
from search.samplers.scales import SAMPLER_SCALES
from search.space.space import Space
from search.storage.optuna_compat import trials_of_proposal

Array = NDArray[np.float64]


RUNG = "rung:"  # and its epoch: a trial's attribute that holds its objectives there


def at_rungs(attributes: Mapping[str, Any]) -> dict[int, Sequence[float]]:
    """Of a trial, by its attributes: epoch -> the values of the objectives there."""
    return {int(name.removeprefix(RUNG)): values for name, values in attributes.items() if name.startswith(RUNG)}


@dataclass(frozen=True)
class Observation:
    """A trial as the model sees it; ``losses`` are its objectives, or what they would have become."""

    params: Mapping[str, Leaf]
    key: str
    losses: tuple[float, ...] | None  # None where nothing was measured
    complete: bool = False  # and within the constraints, as a front wants it
    running: bool = False


def observations(space: Space, study: optuna.Study) -> list[Observation]:
    """All trials that were asked for; refused ones and such that failed have no losses."""
    trials = trials_of_proposal(study)
    gains = _gains(space, trials)
    return [
        Observation(
            params=trial.params,
            key=trial.user_attrs["key"],
            losses=_outcome(space, trial, gains),
            complete=trial.state == TrialState.COMPLETE and all(over <= 0 for over in trial.constraints.values()),
            running=trial.state == TrialState.RUNNING,
        )
        for trial in trials
        if "key" in trial.user_attrs
    ]


def _outcome(space: Space, trial: FrozenTrial, gains: Mapping[int, Array]) -> tuple[float, ...] | None:
    if trial.state == TrialState.COMPLETE:
        return losses(space, trial.values)
    rungs = at_rungs(trial.user_attrs) if trial.state == TrialState.PRUNED else {}
    if not rungs:
        return None
    last = max(rungs)
    return tuple(np.array(losses(space, rungs[last])) + gains.get(last, 0.0))


def _gains(space: Space, trials: Sequence[FrozenTrial]) -> dict[int, Array]:
    """By how much the losses of trials that went on from a rung changed in the end, on average."""
    found: dict[int, list[Array]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            final = np.array(losses(space, trial.values))
            for epoch, then in at_rungs(trial.user_attrs).items():
                found.setdefault(epoch, []).append(final - np.array(losses(space, then)))
    return {epoch: np.mean(changes, axis=0) for epoch, changes in found.items()}


def losses(space: Space, values: Sequence[float]) -> tuple[float, ...]:
    """Return the objectives' values on the samplers' scales, to be minimised."""
    return tuple(loss(name, value, space) for name, value in zip(space.study.objectives, values, strict=True))


def loss(name: str, value: float, space: Space) -> float:
    """Return the value of one objective on its scale, to be minimised."""
    return SAMPLER_SCALES[name].loss(value, space.study.objectives[name])
