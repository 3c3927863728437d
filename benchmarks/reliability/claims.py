"""What holds of any bytes at all that are read from files: they are taken, or refused with an error that says why.

Each function of TARGETS raises where that is wrong. `benchmarks.reliability.fuzz` and
tests/search_tests/space/test_fuzz.py feed them.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from search.benchmark.loader import load_benchmark
from search.errors import SpaceError
from search.space.space import load_space


def space(data: bytes) -> None:
    """A space loads, and its dump loads to an equal one, or it is refused."""
    _refused_or(_same_space, data)


def benchmark(data: bytes) -> None:
    """The same of a benchmark."""
    _refused_or(_same_benchmark, data)


def checkpoint(data: bytes) -> None:
    """What claims to be a training's state, with a digest that is right, is read or refused."""
    from snnkit.training.checkpoint import MAGIC, CheckpointError, load_checkpoint  # imports torch

    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(MAGIC + hashlib.sha256(data).digest() + data)
        try:
            assert isinstance(load_checkpoint(Path(file.name)), dict)
        except CheckpointError:
            return


def _refused_or(taken: Callable[[str], None], data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return  # said of files before their text is looked at
    try:
        taken(text)
    except SpaceError as error:
        _told(error)


def _told(error: SpaceError) -> None:
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


TARGETS: dict[str, Callable[[bytes], None]] = {"space": space, "benchmark": benchmark, "checkpoint": checkpoint}


def states() -> tuple[bytes, bytes]:
    """A training's state as `checkpoint` takes it: the archive that torch writes, and its older format."""
    import torch

    archive, older = io.BytesIO(), io.BytesIO()
    state = {"epoch": 1, "name": "a", "history": [(0.5, None)]}
    torch.save(state, archive)
    torch.save(state, older, _use_new_zipfile_serialization=False)
    return archive.getvalue(), older.getvalue()
