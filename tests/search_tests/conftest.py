import pytest
from untrained import SPACES

from search.space import Space, load_space


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in ("SNNSEARCH_DATA", "SNNSEARCH_RUNS", "SNNSEARCH_STORAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def smoke() -> Space:
    return load_space(SPACES / "smoke.yaml")
