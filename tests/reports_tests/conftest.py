from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.small_studies import Build, build_study, write_study

from reports.records.study import StudyRecord


@pytest.fixture(scope="session")
def make_study() -> Build:
    return build_study


@pytest.fixture(scope="session")
def store() -> Callable[[StudyRecord, Path], str]:
    return write_study
