"""Create, load and rebuild studies. The only module that creates Optuna studies."""

import warnings
from collections.abc import Container, Mapping
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from reports.document.commands import command
from reports.records.study import StudyHeader, TrialRecord
from reports.storage.studies import DATABASE, sqlite_url, stored_name
from search.errors import InputError
from search.samplers import make_sampler
from search.samplers.history import EVIDENCE
from search.samplers.initial_design import initial_design
from search.space.space import Space
from search.storage.postgresql import DRIVER_ID_ATTRIBUTE, DriverConnection
from search.storage.retrying import connect
from search.storage.trials import INITIAL, NAME, RECORD, STATES, StoredTrial
from search.storage.url import storage_errors
from search.study.evidence import Evidence, attribute_of, read_evidence, write_evidence
from search.study.study import Study
from search.trial.folder import RunFolder


def create_study(
    header: StudyHeader, space: Space, folder: Path, url: str, connection: DriverConnection | None = None,
    evidence: Evidence | None = None,
) -> Study:  # fmt: skip
    """Create a study and queue its named candidates, then its initial design.

    ``evidence`` of an older study is stored with it, and its sampler learns from it. ``connection`` belongs to the
    driver's StudyLock. Safe to repeat after a crash. Raises InputError if a study of that name exists.
    """
    with storage_errors("creating a study"):
        storage = connect(url, connection)
        _clear(header.name, storage, space.fingerprint)
        run = RunFolder(folder)
        if run.has_trials():
            raise InputError(
                f"{run.trials} holds trials of another study, whose database is missing. Move that folder "
                "away, or launch under another name: --name NAME"
            )
        if evidence is not None:
            write_evidence(run, evidence)
        study = _new(header, space, storage, folder)
        _mark(study, connection)
        _enqueue_first(study, space)
        study.set_user_attr("header", header.model_dump(mode="json"))  # last: a study with a header is complete
    return Study(study, space, header, folder)


def rebuild_study(header: StudyHeader, space: Space, folder: Path, url: str, stored: Mapping[int, StoredTrial]) -> None:
    """Rebuild a study in an empty database from the files of its trials, ``stored`` by number.

    Trials that ended are finished again, those that had started are running, and missing numbers, which had not
    started, are failed.
    """
    with storage_errors("rebuilding a study"):
        study = _new(header, space, connect(url, None), folder)
        rebuilt = Study(study, space, header, folder)
        for number in range(max(stored, default=-1) + 1):
            if number in stored:
                rebuilt.restore(stored[number])
            else:
                reason = "never started; its parameters were lost with a damaged database"
                record = TrialRecord(number=number, status="failed", reason=reason)
                lost = optuna.trial.create_trial(
                    state=STATES[record.status], user_attrs={RECORD: record.model_dump(mode="json")}
                )
                study.add_trial(lost)
        _enqueue_first(study, space, {each.name for each in stored.values()})
        study.set_user_attr("header", header.model_dump(mode="json"))


def _new(header: StudyHeader, space: Space, storage: BaseStorage, folder: Path) -> optuna.Study:
    directions = [objective.direction for objective in header.objectives]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))  # our observers say that a study begins
    try:
        study = optuna.create_study(
            storage=storage, study_name=header.name, directions=directions, sampler=make_sampler(space, header.seed)
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.name for objective in header.objectives])  # for optuna-dashboard
    if (evidence := read_evidence(RunFolder(folder))) is not None:
        study.set_user_attr(EVIDENCE, attribute_of(evidence))
    return study


def _enqueue_first(study: optuna.Study, space: Space, started: Container[str | None] = ()) -> None:
    """Queue the named candidates except ``started``, then the initial design; its repetitions become duplicates."""
    for name, params in space.candidates.items():
        if name not in started:
            study.enqueue_trial(dict(params), user_attrs={NAME: name})
    for params in initial_design(space):
        study.enqueue_trial(params, user_attrs={INITIAL: True})


def _clear(name: str, storage: BaseStorage, space_hash: str) -> None:
    """Delete the study ``name`` if its launch was interrupted. Raises InputError if it is a complete one."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return
    if "header" in study.user_attrs:
        raise InputError(_exists(study, space_hash))
    trials = study.get_trials(deepcopy=False)
    ours = all(t.state == TrialState.WAITING and {NAME, INITIAL} & t.user_attrs.keys() for t in trials)
    if not ours:
        raise InputError(f"the database holds a study {name!r} that snnsearch did not launch. Use another: --name NAME")
    optuna.delete_study(study_name=name, storage=storage)


def load_study(
    header: StudyHeader, space: Space, folder: Path, url: str, connection: DriverConnection | None = None
) -> Study:
    """Load the study of ``folder``, which may have another name in the database at ``url`` if the folder was renamed.

    ``space`` is the one it was launched with; ``connection`` belongs to the driver's StudyLock.
    """
    name = stored_name(folder, None if url == sqlite_url(folder / DATABASE) else url, header.name)
    with storage_errors("loading a study"):
        storage = connect(url, connection)
        study = optuna.load_study(study_name=name, storage=storage, sampler=make_sampler(space, header.seed))
        _mark(study, connection)
    return Study(study, space, header, folder)


def _mark(study: optuna.Study, connection: DriverConnection | None) -> None:
    """Store the id of this driver: one that lost its connection sees another id and knows that it was replaced."""
    if connection is not None:
        study.set_user_attr(DRIVER_ID_ATTRIBUTE, connection.driver_id)
        connection.driver_id_was_stored()


def _exists(study: optuna.Study, space_hash: str) -> str:
    finished = sum(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False))
    same = study.user_attrs["header"]["space_hash"] == space_hash
    what = "with this same space" if same else "with another space"
    remedy = f"continue it: {command('resume', study.study_name)}; or start a new study" if same else "launch this one"
    return (
        f"study {study.study_name!r} exists {what} ({finished} finished trials). {remedy.capitalize()} under another "
        "name: --name NAME"
    )
