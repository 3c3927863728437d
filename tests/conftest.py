"""One thread for torch, here and in what tests start: small networks gain nothing from a second, and beside other work
on two cores two threads wait for each other several times as long as they compute. Temporary folders lie in memory
where there is enough: a study commits fifteen times a trial, and a disk takes ten milliseconds for each."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks; last: what is tested of ours stays what is installed
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for tests that take more: what waits must not spin

import pytest
import torch  # it reads that as it is loaded

if not torch.cuda.is_available():  # Triton's kernels are tried on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")

MEMORY = "/dev/shm"
if os.access(MEMORY, os.W_OK) and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC and shutil.disk_usage(MEMORY).free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


@pytest.fixture(autouse=True)
def no_typed_options() -> Iterator[None]:
    """Print no command with the options of an earlier test's command line."""
    yield
    if commands := sys.modules.get("reports.document.commands"):
        commands.forget_options()


@pytest.fixture
def own_parts() -> Iterator[None]:
    """Forget the plug-ins that a test registers."""
    from search.plugins.kinds import KINDS

    before = [(kind.registry, dict(kind.registry)) for kind in KINDS.values()]
    yield
    for registry, parts in before:
        registry.clear()
        registry.update(parts)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite the snapshots in tests/golden.")
