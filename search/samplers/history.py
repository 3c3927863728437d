"""The trial history as a model sees it: losses, also of trials that were stopped early or still run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from reports.records.objectives import OBJECTIVES, objective_values
from reports.records.study import Leaf
from search.space.constraints import bound_of
from search.space.space import Space
from search.storage.optuna_compat import trials_of_proposal
from search.storage.trials import fidelities_of, is_paused

Array = NDArray[np.float64]

EVIDENCE = "evidence"  # a study's attribute: dials and values of trials of an older study, from `search.study.evidence`
RUNG_PREFIX = "rung:"  # a trial's attribute "rung:5" holds its objectives after epoch 5


def at_rungs(attributes: Mapping[str, Any]) -> dict[int, Sequence[float]]:
    """Return the objectives that a trial's attributes hold for each rung, by epoch."""
    rungs = {name: values for name, values in attributes.items() if name.startswith(RUNG_PREFIX)}
    return {int(name.removeprefix(RUNG_PREFIX)): values for name, values in rungs.items()}


@dataclass(frozen=True)
class Observation:
    """A trial as the model sees it. ``losses`` are measured, or extrapolated if the trial was stopped early."""

    params: Mapping[str, Leaf]
    key: str
    losses: tuple[float, ...] | None  # None if nothing was measured at the full fidelity
    number: int = 0
    below: tuple[tuple[float, ...], ...] = ()  # losses measured at lower fidelities, the cheapest first
    paused: bool = False  # after the last of these
    complete: bool = False  # and within the constraints, so that it may be on the front
    running: bool = False
    excess: float = 0.0  # sum of the shares by which its figures are outside their bounds
    evidence: bool = False  # of another study: it may steer the search, but is no result


def observations(space: Space, study: optuna.Study) -> list[Observation]:
    """Return the evidence of another study, then every trial that has a candidate, as of the current proposal."""
    own = observations_of(space, trials_of_proposal(study))
    return [*_evidence(space, study.user_attrs.get(EVIDENCE, ()), own), *own]


def _evidence(space: Space, stored: Sequence[Mapping[str, Any]], own: Sequence[Observation]) -> list[Observation]:
    """Return the evidence that the study has not measured itself.

    Its losses are shifted by the mean difference of the candidates that both studies have measured: the older study may
    have trained longer or on other images.
    """
    if not stored:
        return []
    measured = {_identity(trial.params): trial.losses for trial in own if trial.complete and trial.losses is not None}
    older = [(each["params"], np.array(losses(space, each["values"]))) for each in stored]
    pairs = [(value, measured[_identity(params)]) for params, value in older if _identity(params) in measured]
    shift = np.mean([np.array(new) - old for old, new in pairs], axis=0) if pairs else 0.0
    return [
        Observation(params=params, key=f"{EVIDENCE}-{at}", losses=tuple(value + shift), evidence=True)
        for at, (params, value) in enumerate(older)
        if _identity(params) not in measured
    ]


def _identity(params: Mapping[str, Leaf]) -> tuple[tuple[str, Leaf], ...]:
    return tuple(sorted(params.items()))


def observations_of(space: Space, trials: Sequence[FrozenTrial]) -> list[Observation]:
    """Return every trial that has a candidate. Refused, failed and running ones have no losses."""
    changes = _mean_changes(space, trials)
    return [
        Observation(
            params=trial.params,
            key=trial.user_attrs["key"],
            losses=_trial_losses(space, trial, changes),
            number=trial.number,
            below=_losses_below(space, trial),
            paused=trial.state == TrialState.RUNNING and is_paused(trial),
            complete=trial.state == TrialState.COMPLETE and all(over <= 0 for over in trial.constraints.values()),
            running=trial.state == TrialState.RUNNING and not is_paused(trial),
            excess=_excess(space, trial),
        )
        for trial in trials
        if "key" in trial.user_attrs
    ]


def _losses_below(space: Space, trial: FrozenTrial) -> tuple[tuple[float, ...], ...]:
    names, price = space.study.objectives, space.base.energy.key
    found = (objective_values(each.measured, names, price) for each in fidelities_of(trial))
    return tuple(losses(space, list(values.values())) for values in found)


def _excess(space: Space, trial: FrozenTrial) -> float:
    constraints = space.study.constraints
    known = {name: over for name, over in trial.constraints.items() if over > 0 and name in constraints}
    return sum(over / bound_of(constraints, name) for name, over in known.items())


def _trial_losses(space: Space, trial: FrozenTrial, changes: Mapping[int, Array]) -> tuple[float, ...] | None:
    if trial.state == TrialState.COMPLETE:
        return losses(space, trial.values)
    rungs = at_rungs(trial.user_attrs) if trial.state == TrialState.PRUNED else {}
    if not rungs:
        return None
    last = max(rungs)
    return tuple(np.array(losses(space, rungs[last])) + changes.get(last, 0.0))


def _mean_changes(space: Space, trials: Sequence[FrozenTrial]) -> dict[int, Array]:
    """Return by how much the losses of complete trials changed after each rung, on average."""
    found: dict[int, list[Array]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            final = np.array(losses(space, trial.values))
            for epoch, values in at_rungs(trial.user_attrs).items():
                found.setdefault(epoch, []).append(final - np.array(losses(space, values)))
    return {epoch: np.mean(changes, axis=0) for epoch, changes in found.items()}


def losses(space: Space, values: Sequence[float]) -> tuple[float, ...]:
    """Return the objectives' values as losses on their sampler scales: 0 is best, 1 is worst."""
    return tuple(loss(name, value, space) for name, value in zip(space.study.objectives, values, strict=True))


def loss(name: str, value: float, space: Space) -> float:
    """Return one objective's value as a loss, 0 at best and 1 at worst."""
    return OBJECTIVES[name].sampler_scale.loss(value, space.study.objectives[name])
