"""The Triton kernels against the reference, on a GPU or in Triton's interpreter."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.kernel_cases import CASES, Case, assert_close, outcome
from helpers.waiting import PATIENCE_S
from hypothesis import Phase, given, settings

from snnkit.kernels import cuda
from snnkit.kernels.cuda.check import KernelError, check

launch = pytest.importorskip("snnkit.kernels.cuda.launch", reason="no Triton on this machine", exc_type=ImportError)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FEW = settings(  # an interpreted example takes 0.2 s, and shrinking a failing one takes minutes
    max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate]
)


def fits(case: Case) -> bool:
    return case.pool in cuda.POOL_SIDES and case.timesteps <= cuda.MAX_TIMESTEPS


@FEW
@given(case=CASES.filter(fits))
def test_spikes_and_gradients_equal_the_reference(case: Case) -> None:
    ours, expected = (outcome(kernels, case, torch.float32, DEVICE) for kernels in (launch, None))
    assert torch.equal(ours.spikes, expected.spikes)
    assert torch.equal(ours.counts, expected.counts)
    assert_close(ours.gradients, expected.gradients, 1e-5)
    assert_close(ours.running, expected.running, 1e-7)


@FEW
@given(case=CASES.filter(fits))
def test_in_bf16_spikes_are_equal_and_gradients_within_rounding(case: Case) -> None:
    ours, expected = (outcome(kernels, case, torch.bfloat16, DEVICE) for kernels in (launch, None))
    assert torch.equal(ours.spikes, expected.spikes)
    assert_close(ours.gradients, expected.gradients, 2**-6)


def test_programs_compile_for_a_gpu(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    script = [sys.executable, str(Path(__file__).parents[2] / "helpers" / "compiled.py")]
    done = subprocess.run(script, capture_output=True, text=True, env=environment, timeout=PATIENCE_S)
    assert done.stdout == "compiled\n", done.stderr[-3000:]


def test_kernels_are_checked_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    check(launch, torch.device(DEVICE))
    right = launch.channel_sums
    monkeypatch.setattr(launch, "channel_sums", lambda values: right(values) * 1.01)
    with pytest.raises(KernelError, match="differ"):
        check(launch, torch.device(DEVICE))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_reference_runs_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert cuda.usable.__wrapped__() is None
    assert "kernel=reference of=cuda" in caplog.text
