"""Properties that must hold for any bytes in a file: they load, or they are refused with an error that says why.

Each function of TARGETS raises if its property does not hold. `benchmarks.reliability.fuzz` and
tests/search_tests/space/test_fuzz.py call them.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from search.benchmark.loader import load_benchmark
from search.errors import SpaceError
from search.space.loading.loader import load_space


def space(data: bytes) -> None:
    """A space loads and its dump loads to an equal space, or it is refused."""
    _refused_or(_same_space, data)


def benchmark(data: bytes) -> None:
    """A benchmark loads and its dump loads to an equal benchmark, or it is refused."""
    _refused_or(_same_benchmark, data)


def checkpoint(data: bytes) -> None:
    """A checkpoint with a correct digest loads, or it is refused."""
    from snnkit.training.checkpoint import MAGIC, CheckpointError, load_checkpoint  # imports torch

    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(MAGIC + hashlib.sha256(data).digest() + data)
        try:
            assert isinstance(load_checkpoint(Path(file.name)), dict)
        except CheckpointError:
            return


def _refused_or(check: Callable[[str], None], data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return  # files with another encoding are refused before their text is parsed
    try:
        check(text)
    except SpaceError as error:
        _check_message(error)


def _check_message(error: SpaceError) -> None:
    assert error.problems
    assert all(problem.text and problem.place.file for problem in error.problems)


def _same_space(text: str) -> None:
    found = load_space(text)
    dumped = found.dump()
    assert load_space(dumped) == found, dumped
    assert load_space(dumped).fingerprint == found.fingerprint, dumped


def _same_benchmark(text: str) -> None:
    found = load_benchmark(text)
    dumped = found.dump()
    again = load_benchmark(dumped)
    assert (again.tree, again.fingerprint, again.cells) == (found.tree, found.fingerprint, found.cells), dumped


TARGETS: dict[str, Callable[[bytes], None]] = {"space": space, "benchmark": benchmark, "checkpoint": checkpoint}


def states() -> tuple[bytes, bytes]:
    """Return a training state in torch's archive format and in its older format."""
    import torch

    archive, older = io.BytesIO(), io.BytesIO()
    state = {"epoch": 1, "name": "a", "history": [(0.5, None)]}
    torch.save(state, archive)
    torch.save(state, older, _use_new_zipfile_serialization=False)
    return archive.getvalue(), older.getvalue()
