"""Studies made, found, and made anew from what their trials have left. The only file that creates Optuna studies."""

import warnings
from collections.abc import Container, Mapping
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from reports.records.study import StudyHeader, TrialRecord
from search.errors import InputError
from search.samplers import make_sampler
from search.samplers.initial_design import initial_design
from search.space.space import Space
from search.storage.postgresql import DRIVER_ID_ATTRIBUTE, DriverConnection
from search.storage.retrying import connect
from search.storage.url import storage_errors
from search.study.study import STATES, StoredTrial, Study

CORNER = "corner"  # an attribute of those trials that a study begins with and no one has named


def create_study(
    header: StudyHeader, space: Space, folder: Path, url: str, connection: DriverConnection | None = None
) -> Study:
    """A new study with its named candidates first in the queue, then the corners of the space.

    ``connection``: of the driver's Lease. Safe to repeat after a crash half-way. Raises InputError where a study of
    that name exists.
    """
    with storage_errors("creating a study"):
        storage = connect(url, connection)
        _clear(header.name, storage, space.hash)
        if next((folder / "trials").glob("*"), None) is not None:
            raise InputError(
                f"{folder / 'trials'} holds trials of another study, whose database is gone. Move that folder away, "
                "or launch under another name: --name NAME"
            )
        study = _new(header, space, storage)
        _mark(study, connection)
        _enqueue_first(study, space)
        study.set_user_attr("header", header.model_dump(mode="json"))  # last: what has a header is whole
    return Study(study, space, header, folder)


def rebuild_study(header: StudyHeader, space: Space, folder: Path, url: str, left: Mapping[int, StoredTrial]) -> None:
    """A study again, in an empty database, from what its trials have ``left`` in their folders, by number: those that
    are over are told, those that were begun are running. Other numbers, of what was never begun, stand as failed."""
    with storage_errors("rebuilding a study"):
        study = _new(header, space, connect(url, None))
        whole = Study(study, space, header, folder)
        for number in range(max(left, default=-1) + 1):
            if number in left:
                whole.restore(left[number])
            else:
                reason = "never begun; what was asked was lost with a damaged database"
                record = TrialRecord(number=number, status="failed", reason=reason)
                lost = optuna.trial.create_trial(
                    state=STATES[record.status], user_attrs={"record": record.model_dump(mode="json")}
                )
                study.add_trial(lost)
        _enqueue_first(study, space, {each.name for each in left.values()})
        study.set_user_attr("header", header.model_dump(mode="json"))


def _new(header: StudyHeader, space: Space, storage: BaseStorage) -> optuna.Study:
    directions = [objective.direction for objective in header.objectives]
    study = optuna.create_study(
        storage=storage, study_name=header.name, directions=directions, sampler=make_sampler(space, header.seed)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.name for objective in header.objectives])  # for optuna-dashboard
    return study


def _enqueue_first(study: optuna.Study, space: Space, there: Container[str | None] = ()) -> None:
    """The named candidates that are not ``there``, then the corners, of which one that was tried is a duplicate."""
    for name, params in space.candidates.items():
        if name not in there:
            study.enqueue_trial(dict(params), user_attrs={"name": name})
    for params in initial_design(space):
        study.enqueue_trial(params, user_attrs={CORNER: True})


def _clear(name: str, storage: BaseStorage, space_hash: str) -> None:
    """Remove what a launch that was cut short has left under ``name``; it may have been of another space."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return
    if "header" in study.user_attrs:
        raise InputError(_exists(study, space_hash))
    trials = study.get_trials(deepcopy=False)
    ours = all(t.state == TrialState.WAITING and {"name", CORNER} & t.user_attrs.keys() for t in trials)
    if not ours:
        raise InputError(f"this database holds a study {name!r} that snnsearch did not launch: --name NAME")
    optuna.delete_study(study_name=name, storage=storage)


def load_study(
    header: StudyHeader, space: Space, folder: Path, url: str, connection: DriverConnection | None = None
) -> Study:
    """The study as it was left. ``space`` must be the one it was launched with; ``connection``: of the driver's
    Lease."""
    with storage_errors("loading a study"):
        storage = connect(url, connection)
        study = optuna.load_study(study_name=header.name, storage=storage, sampler=make_sampler(space, header.seed))
        _mark(study, connection)
    return Study(study, space, header, folder)


def _mark(study: optuna.Study, connection: DriverConnection | None) -> None:
    """From now on a driver whose connection was lost, and whose mark this is not, knows that another one was here."""
    if connection is not None:
        study.set_user_attr(DRIVER_ID_ATTRIBUTE, connection.driver_id)
        connection.driver_id_was_stored()


def _exists(study: optuna.Study, space_hash: str) -> str:
    finished = sum(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False))
    same = study.user_attrs["header"]["space_hash"] == space_hash
    what = "with this same space" if same else "with another space"
    remedy = f"go on with it: snnsearch resume {study.study_name}; or start afresh" if same else "launch this one"
    return (
        f"study {study.study_name!r} exists {what} ({finished} finished trials). {remedy.capitalize()} under another "
        "name: --name NAME"
    )
