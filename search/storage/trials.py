"""How trials are stored in Optuna: attributes, states, and the way back to a record."""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from reports.records.study import FidelityRecord, Leaf, TrialRecord

KEY = "key"  # identifies the candidate: equal keys train the same network
NAME = "name"  # of a named candidate
INITIAL = "corner"  # marks a trial of the initial design
FINALIST = "finalist"  # marks a trial that the ranking by shared weights asked for
RECORD = "record"  # the TrialRecord, once the trial has ended or finished a fidelity
FIDELITY = "fidelity"  # of a running trial: the one that it is trained at, from 1, or was paused after; 1 if missing

UNFINISHED = ("paused", "running")  # statuses in the record of a trial that has finished a fidelity

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
    """The files that a trial left in its folder: ``record`` is None if it did not end.

    ``below`` are the records of the fidelities that it finished below the full one. ``started`` says whether a worker
    has started the training after these.
    """

    name: str | None
    params: Mapping[str, Leaf]
    record: TrialRecord | None
    below: tuple[TrialRecord, ...] = ()
    started: bool = True


def status_of(trial: FrozenTrial) -> str | None:
    """Return how the trial ended; None if it has not."""
    status: str | None = trial.user_attrs.get(RECORD, {}).get("status")
    return status


def fidelity_of(trial: FrozenTrial | Trial) -> int:
    """Return the fidelity, from 1, that a trial is trained at or was paused after."""
    fidelity: int = trial.user_attrs.get(FIDELITY, 1)
    return fidelity


def fidelities_of(trial: FrozenTrial | Trial) -> tuple[FidelityRecord, ...]:
    """Return the fidelities below the full one that the trial has finished, the cheapest first."""
    stored = trial.user_attrs.get(RECORD, {}).get("fidelities", ())
    return tuple(FidelityRecord.model_validate(each) for each in stored)


def is_paused(trial: FrozenTrial) -> bool:
    """Return whether the trial has finished a fidelity and was not promoted to the next one."""
    return status_of(trial) == "paused" and len(trial.user_attrs[RECORD]["fidelities"]) == fidelity_of(trial)


def record_of(trial: FrozenTrial) -> TrialRecord | None:
    """Return the stored record; None if there is none, or it cannot be read."""
    try:
        return TrialRecord.model_validate(trial.user_attrs[RECORD])
    except (KeyError, ValidationError):
        return None


def promote(trial: Trial) -> Trial:
    """Note that a paused trial is to be trained at the next fidelity, and return it."""
    record = trial.user_attrs[RECORD]
    trial.set_user_attr(FIDELITY, fidelity_of(trial) + 1)
    trial.set_user_attr(RECORD, {**record, "status": "running", "reason": None})
    return trial


def with_fidelities(record: TrialRecord, before: tuple[FidelityRecord, ...]) -> TrialRecord:
    """Return a worker's record with the fidelities that the trial finished ``before``, and their time."""
    if record.status == "paused":
        (latest,) = record.fidelities
        latest = latest.model_copy(update={"wall_s": record.wall_s})
        every = (*before[: latest.fidelity - 1], latest)
        reason = f"trained at fidelity {latest.fidelity} of {latest.of}, and not promoted so far"
        record = record.model_copy(update={"fidelities": every, "reason": reason})
        return record.model_copy(update={"wall_s": sum(each.wall_s for each in every)})
    if record.fidelities or not before:  # stored before the driver was killed, or none to add
        return record
    wall_s = record.wall_s + sum(each.wall_s for each in before)
    return record.model_copy(update={"fidelities": before, "wall_s": wall_s})
