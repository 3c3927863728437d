"""Optuna's storage. On PostgreSQL, operations wait for a lost connection and take effect exactly once.

If the connection drops after COMMIT, we cannot know whether the commit succeeded. Idempotent operations are repeated;
the others first check whether they took effect. That is safe because a study has one driver at a time: a change that is
already in the database was made by this driver.
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from search.errors import InputError
from search.storage.optuna_compat import cached
from search.storage.postgresql import DriverConnection, connect_args, setup_lock
from search.storage.url import storage_errors

SQLITE_TIMEOUT_S = 60  # a writer waits this long for readers

P = ParamSpec("P")
R = TypeVar("R")


def connect(url: str, connection: DriverConnection | None) -> BaseStorage:
    """Open Optuna's storage at ``url`` and create its tables if they are missing.

    Give the driver's ``connection`` on PostgreSQL to wait for lost connections. Raises StorageError, and InputError if
    another version of Optuna created the tables.
    """
    args = {"timeout": SQLITE_TIMEOUT_S} if url.startswith("sqlite") else connect_args(url)
    try:
        with storage_errors("connecting"):
            if connection is None:
                return RDBStorage(url, engine_kwargs={"connect_args": args})
            return connection.retrying(lambda: _create_tables_and_connect(url, args, connection))
    except RuntimeError as error:  # Optuna raises it for an unknown schema
        raise InputError(f"this database was created by another version of Optuna: {error}") from error


def _create_tables_and_connect(url: str, args: dict[str, Any], connection: DriverConnection) -> BaseStorage:
    with setup_lock(url):  # two launches on an empty database would both create its tables
        RDBStorage(url, engine_kwargs={"connect_args": args, "poolclass": NullPool})
    options = {"creator": connection.creator, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
    database = RDBStorage(url, engine_kwargs=options, skip_compatibility_check=True, skip_table_creation=True)
    return RetryingStorage(cached(database), connection)


def _repeat(operation: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate["RetryingStorage", P], R]:
    """Return the method of RetryingStorage that repeats an idempotent ``operation`` until there is a connection."""

    def repeat(storage: "RetryingStorage", /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound: Callable[P, R] = getattr(storage.storage, operation.__name__)
        return storage.connection.retrying(lambda: bound(*args, **kwargs))

    return repeat


class RetryingStorage(BaseStorage):
    """A ``storage`` on the driver's one ``connection``. The class body says of each operation how it is repeated."""

    def __init__(self, storage: BaseStorage, connection: DriverConnection) -> None:
        self.storage = storage
        self.connection = connection

    # Idempotent: repeat.
    get_all_studies = _repeat(BaseStorage.get_all_studies)
    get_study_id_from_name = _repeat(BaseStorage.get_study_id_from_name)
    get_study_name_from_id = _repeat(BaseStorage.get_study_name_from_id)
    get_study_directions = _repeat(BaseStorage.get_study_directions)
    get_study_user_attrs = _repeat(BaseStorage.get_study_user_attrs)
    get_study_system_attrs = _repeat(BaseStorage.get_study_system_attrs)
    get_all_trials = _repeat(BaseStorage.get_all_trials)
    get_trial = _repeat(BaseStorage.get_trial)
    get_trial_id_from_study_id_trial_number = _repeat(BaseStorage.get_trial_id_from_study_id_trial_number)
    set_study_user_attr = _repeat(BaseStorage.set_study_user_attr)
    set_study_system_attr = _repeat(BaseStorage.set_study_system_attr)
    set_trial_user_attr = _repeat(BaseStorage.set_trial_user_attr)
    set_trial_system_attr = _repeat(BaseStorage.set_trial_system_attr)
    set_trial_intermediate_value = _repeat(BaseStorage.set_trial_intermediate_value)
    set_trial_param = _repeat(BaseStorage.set_trial_param)  # Optuna ignores a second row, which the database refuses

    # Not idempotent: check first whether an earlier attempt took effect.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        def create() -> int:
            try:
                return self.storage.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if study_name is None or not self.connection.retried:
                    raise
                return self.get_study_id_from_name(study_name)

        return self.connection.retrying(create)

    def delete_study(self, study_id: int) -> None:
        def delete() -> None:
            try:
                self.storage.delete_study(study_id)
            except KeyError:
                if not self.connection.retried:
                    raise

        self.connection.retrying(delete)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Add a trial. A trial that is there after a lost connection, and was not before, is the one to add."""
        before = self.get_n_trials(study_id)

        def create() -> int:
            if self.connection.retried and (count := self.get_n_trials(study_id)) > before:
                return self.get_trial_id_from_study_id_trial_number(study_id, count - 1)
            with self.connection.not_reopened():  # Optuna itself repeats this operation, and would not check
                return self.storage.create_new_trial(study_id, template_trial)

        return self.connection.retrying(create)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        def change() -> bool:
            try:
                changed = self.storage.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if self.connection.retried and self.get_trial(trial_id).state == state:
                    return True
                raise
            return changed or self.connection.retried  # unchanged on a retry: our first attempt changed it

        return self.connection.retrying(change)
