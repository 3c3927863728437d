"""The storage on PostgreSQL: how each operation is repeated, without a server."""

import threading

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from search.storage.postgresql import DriverConnection
from search.storage.retrying import RetryingStorage

# Optuna builds these on other operations of the storage, or they use no database.
DERIVED = {
    "check_trial_is_updatable", "get_best_trial", "get_n_trials", "get_trial_number_from_id", "get_trial_param",
    "get_trial_params", "get_trial_system_attrs", "get_trial_user_attrs", "remove_session",
}  # fmt: skip


class Connection(DriverConnection):
    """A connection without a server: only the retries are real."""

    def __init__(self) -> None:
        self._say = lambda text: None
        self._stop = threading.Event()
        self._clock = lambda: 0.0
        self._lost_at = None
        self._may_reopen = True
        self.retried = False


class Dropping(InMemoryStorage):
    """Does each operation that ``drop`` names, then loses the connection before the answer arrives."""

    drop: frozenset[str] = frozenset()

    def __getattribute__(self, name: str):
        operation = super().__getattribute__(name)
        if name not in super().__getattribute__("drop"):
            return operation

        def done_and_lost(*args, **kwargs):
            result = operation(*args, **kwargs)
            if name in self.drop:
                self.drop -= {name}
                raise OperationalError(None, None, ConnectionError("gone"))
            return result

        return done_and_lost


@pytest.fixture
def dropping(monkeypatch) -> Dropping:
    monkeypatch.setattr("search.storage.postgresql.RETRY_INTERVAL_S", 0.0)
    return Dropping()


def test_every_operation_of_optunas_storage_is_in_the_table():
    public = {name for name in vars(BaseStorage) if not name.startswith("_")}
    missing = public - DERIVED - set(vars(RetryingStorage))
    assert not missing, f"Optuna {optuna.__version__} has {missing}: say in RetryingStorage how they are repeated"


def test_operation_that_was_done_before_the_connection_was_lost_is_not_done_twice(dropping):
    storage = RetryingStorage(dropping, Connection())
    dropping.drop = frozenset({"create_new_study"})
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "study")
    dropping.drop = frozenset({"create_new_trial", "set_trial_state_values"})
    trial = storage.create_new_trial(study, optuna.trial.create_trial(state=TrialState.WAITING))
    assert storage.set_trial_state_values(trial, TrialState.RUNNING)
    dropping.drop = frozenset({"set_trial_state_values", "set_trial_user_attr"})
    storage.set_trial_user_attr(trial, "key", "value")
    assert storage.set_trial_state_values(trial, TrialState.COMPLETE, [0.5])
    (found,) = storage.get_all_trials(study)
    assert (found.state, found.value, found.user_attrs) == (TrialState.COMPLETE, 0.5, {"key": "value"})
    dropping.drop = frozenset({"delete_study"})
    storage.delete_study(study)
    assert storage.get_all_studies() == []


def test_connection_is_not_opened_again_while_a_trial_is_added(dropping):
    connection = Connection()
    connection._first = None
    with connection.not_reopened(), pytest.raises(OperationalError, match="lost while a trial was added"):
        connection.creator()
