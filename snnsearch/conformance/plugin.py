"""The options and fixtures of the conformance tests, as a plug-in of pytest."""

import random
from pathlib import Path

import pytest

from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.architecture.plan import PlanError

N_DRAWN, N_TRAINED = 50, 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--space", type=Path, help="File of the space whose parts are tested.")
    parser.addoption("--data", type=Path, help="Folder of the data sets. Default: the user's cache folder.")


@pytest.fixture(scope="session")
def space(request: pytest.FixtureRequest) -> Space:
    """The space of ``--space``."""
    path = request.config.getoption("--space")
    if path is None:
        pytest.exit("name the space to test: python -m snnsearch.conformance my_space.yaml", returncode=2)
    return load_space(path)


@pytest.fixture(scope="session")
def drawn(space: Space) -> list[Candidate]:
    """Candidates: the one with all defaults, and random ones."""
    rng = random.Random(0)
    return [space.base, *(space.candidate(space.sample(rng)) for _ in range(N_DRAWN))]


@pytest.fixture(scope="session")
def built(drawn: list[Candidate]) -> list[Candidate]:
    """The smallest candidates whose networks build, by operations."""
    found = []
    for candidate in drawn:
        try:
            found.append((candidate.plan().dense_macs, candidate.fingerprint, candidate))
        except PlanError:
            continue
    if not found:
        pytest.fail("no candidate of the space builds")
    return [candidate for _, _, candidate in sorted(found, key=lambda each: each[:2])[:N_TRAINED]]
