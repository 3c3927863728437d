"""Optuna's storage; on PostgreSQL waited for while its connection is lost, each of its operations done once.

An operation whose commit was sent and not confirmed is done or not: what may be repeated is, and what may not looks
first whether it was done. That is enough, for a driver is alone: whatever it finds done was done by itself.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from search.errors import InputError
from search.storage.postgresql import DriverConnection, alone, connect_args
from search.storage.url import storage_errors

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

P = ParamSpec("P")
R = TypeVar("R")


def _waited_for(
    operation: Callable[Concatenate[RDBStorage, P], R],
) -> Callable[Concatenate["RetryingStorage", P], R]:
    """An operation that is safe to repeat."""

    def patient(storage: "RetryingStorage", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return storage.connection.retrying(lambda: operation(storage, *args, **kwargs))

    return patient


def connect(url: str, connection: DriverConnection | None) -> RDBStorage:
    """Optuna's storage at ``url``; its tables are made where there are none. Without a ``connection`` nobody waits for
    it: one process writes to an SQLite file, which needs no more than patience with readers."""
    sqlite = url.startswith("sqlite")
    options = {"connect_args": {"timeout": 60} if sqlite else connect_args(url)}
    try:
        with storage_errors("a connection"):
            if connection is None:
                return RDBStorage(url, engine_kwargs=options)
            return connection.retrying(lambda: _tables_and_storage(url, options, connection))
    except RuntimeError as error:  # Optuna's word for a schema that it does not know
        raise InputError(f"this database was made by another version of Optuna: {error}") from error


def _tables_and_storage(url: str, options: dict[str, Any], connection: DriverConnection) -> RDBStorage:
    with alone(url):  # two launches on an empty database would make its tables at the same time
        RDBStorage(url, engine_kwargs=options | {"poolclass": NullPool})
    return RetryingStorage(url, connection)


class RetryingStorage(RDBStorage):
    """On a driver's one connection. The tables must be there."""

    def __init__(self, url: str, connection: DriverConnection) -> None:
        self.connection = connection
        self._trials_before: int | None = None  # of the study that a trial is being added to
        options = {"creator": connection.creator, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
        super().__init__(url, engine_kwargs=options, skip_compatibility_check=True, skip_table_creation=True)

    get_study_id_from_name = _waited_for(RDBStorage.get_study_id_from_name)
    get_study_name_from_id = _waited_for(RDBStorage.get_study_name_from_id)
    get_study_directions = _waited_for(RDBStorage.get_study_directions)
    get_study_user_attrs = _waited_for(RDBStorage.get_study_user_attrs)
    get_study_system_attrs = _waited_for(RDBStorage.get_study_system_attrs)
    set_study_user_attr = _waited_for(RDBStorage.set_study_user_attr)
    set_study_system_attr = _waited_for(RDBStorage.set_study_system_attr)
    get_trial = _waited_for(RDBStorage.get_trial)
    get_trial_id_from_study_id_trial_number = _waited_for(RDBStorage.get_trial_id_from_study_id_trial_number)
    get_trial_user_attrs = _waited_for(RDBStorage.get_trial_user_attrs)
    get_trial_system_attrs = _waited_for(RDBStorage.get_trial_system_attrs)
    set_trial_user_attr = _waited_for(RDBStorage.set_trial_user_attr)
    set_trial_system_attr = _waited_for(RDBStorage.set_trial_system_attr)
    _get_trials = _waited_for(RDBStorage._get_trials)
    _set_trial_param = _waited_for(RDBStorage._set_trial_param)  # a second row of it is refused and ignored

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        def create() -> int:
            try:
                return super(RetryingStorage, self).create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if study_name is None or not self.connection.retried:
                    raise
                return self.get_study_id_from_name(study_name)

        return self.connection.retrying(create)

    def delete_study(self, study_id: int) -> None:
        def delete() -> None:
            try:
                super(RetryingStorage, self).delete_study(study_id)
            except KeyError:
                if not self.connection.retried:
                    raise

        self.connection.retrying(delete)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        def change() -> bool:
            try:
                done = super(RetryingStorage, self).set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if self.connection.retried and self.get_trial(trial_id).state == state:
                    return True
                raise
            return done or self.connection.retried  # not done: it was taken out of the queue before, by us

        return self.connection.retrying(change)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        self._trials_before = None
        return self.connection.retrying(
            lambda: super(RetryingStorage, self)._create_new_trial(study_id, template_trial)
        )

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: "Session"
    ) -> models.TrialModel:
        """Called in the transaction that adds a trial, by Optuna several times where it fails."""
        trials = session.query(models.TrialModel).filter(models.TrialModel.study_id == study_id)
        count = trials.count()
        if self._trials_before is None:
            self._trials_before = count
        elif count > self._trials_before:  # added by a transaction whose end we did not hear of
            return trials.order_by(models.TrialModel.trial_id.desc()).limit(1).one()
        return super()._get_prepared_new_trial(study_id, template_trial, session)
