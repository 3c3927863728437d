"""What holds of any bytes at all that are read from files: they are taken, or refused with an error that says why.

Each function of TARGETS raises where that is wrong. `benchmarks.fuzz` and tests/search_tests/test_fuzz.py feed them.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from reports.html import page
from reports.markdown import markdown
from reports.record import ObjectiveRecord, StudyHeader, StudyRecord, TrialRecord
from reports.tables import front_csv, front_json
from search.benchmark.source import load_benchmark
from search.errors import SpaceError
from search.space import load_space

def space(data: bytes) -> None:
    """A space loads, and its dump loads to an equal one, or it is refused."""
    _refused_or(_same_space, data)


def benchmark(data: bytes) -> None:
    """The same of a benchmark."""
    _refused_or(_same_benchmark, data)


def checkpoint(data: bytes) -> None:
    """A checkpoint is read or refused, and what is in it runs nothing."""
    from snnkit.checkpoint import CheckpointError, load_checkpoint  # imports torch

    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        try:
            assert isinstance(load_checkpoint(Path(file.name)), dict)
        except CheckpointError as error:
            assert str(error)


def record(data: bytes) -> None:
    """A stored trial that can be read at all can be reported on."""
    try:
        trial = TrialRecord.model_validate_json(data)
    except ValidationError:
        return
    study = StudyRecord(header=HEADER, trials=(trial,))
    for render in (page, markdown, front_csv, front_json):
        assert render(study)


def _refused_or(taken: Callable[[str], None], data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return  # said of files before their text is looked at
    try:
        taken(text)
    except SpaceError as error:
        assert error.problems
        assert all(problem.text and problem.place.file for problem in error.problems)


def _same_space(text: str) -> None:
    found = load_space(text)
    dumped = found.dump()
    assert load_space(dumped) == found, dumped
    assert load_space(dumped).hash == found.hash, dumped


def _same_benchmark(text: str) -> None:
    found = load_benchmark(text)
    dumped = found.dump()
    again = load_benchmark(dumped)
    assert (again.tree, again.hash, again.cells) == (found.tree, found.hash, found.cells), dumped


HEADER = StudyHeader(
    name="fuzzed", seed=0, sampler="tpe", objectives=(ObjectiveRecord(name="accuracy", direction="maximize"),),
    space_yaml="", space_hash="", space_size=None, created_at=0.0,
)  # fmt: skip
TARGETS: dict[str, Callable[[bytes], None]] = {
    "space": space,
    "benchmark": benchmark,
    "checkpoint": checkpoint,
    "record": record,
}


def example(target: str) -> bytes:
    """What a fuzzer begins with where that is no text."""
    if target == "record":
        return TrialRecord(number=0, status="failed", reason="r", traceback="t").model_dump_json().encode()
    from snnkit.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        save_checkpoint(path, {"epoch": 1, "name": "a"})
        return path.read_bytes()
