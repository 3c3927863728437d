import os
import uuid

import pytest
from helpers.postgres import Server, server_or_skip
from helpers.untrained import SPACES

from search.space.loading.loader import load_space
from search.space.space import Space


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in ("SNNSEARCH_DATA", "SNNSEARCH_RUNS", "SNNSEARCH_STORAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _one_core():
    """Train on one thread in a test's own process: threads of several tests would wait for each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.trial.environment.cores", lambda: 1)
        yield


@pytest.fixture
def smoke() -> Space:
    return load_space(SPACES / "smoke.yaml")


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server of our own, which a test may stop if it starts it again."""
    found: Server = server_or_skip()
    yield found
    found.remove()


@pytest.fixture
def url(request) -> str:
    """A database: of the server that SNNSEARCH_TEST_POSTGRES names, or a fresh one of our own server."""
    return os.environ.get("SNNSEARCH_TEST_POSTGRES") or request.getfixturevalue("server").database()


@pytest.fixture
def space() -> Space:
    """That of smoke.yaml, under a name that no other study has: the server may be one that others use."""
    return load_space(SPACES / "smoke.yaml", overrides={"study.name": f"test-{uuid.uuid4().hex[:12]}"})
