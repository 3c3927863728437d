"""How trials are stored in Optuna: attributes, states, and the way back to a record."""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from reports.records.study import Leaf, TrialRecord

KEY = "key"  # identifies the candidate: equal keys train the same network
NAME = "name"  # of a named candidate
INITIAL = "corner"  # marks a trial of the initial design
FINALIST = "finalist"  # marks a trial that the ranking by shared weights asked for
RECORD = "record"  # the TrialRecord, once the trial has ended

STATES: Mapping[str, TrialState] = {
    "complete": TrialState.COMPLETE,
    "infeasible": TrialState.COMPLETE,  # trained; Optuna's constraint holds how far it exceeds a bound
    "stopped": TrialState.PRUNED,  # TPE learns from pruned trials
    "refused": TrialState.PRUNED,
    "failed": TrialState.FAIL,  # no sampler learns from failed ones
    "duplicate": TrialState.FAIL,
}


@dataclass(frozen=True)
class StoredTrial:
    """The files that a trial left in its folder: ``record`` is None if it did not end."""

    name: str | None
    params: Mapping[str, Leaf]
    record: TrialRecord | None


def status_of(trial: FrozenTrial) -> str | None:
    """Return how the trial ended; None if it has not."""
    status: str | None = trial.user_attrs.get(RECORD, {}).get("status")
    return status


def record_of(trial: FrozenTrial) -> TrialRecord | None:
    """Return the stored record; None if there is none, or it cannot be read."""
    try:
        return TrialRecord.model_validate(trial.user_attrs[RECORD])
    except (KeyError, ValidationError):
        return None
