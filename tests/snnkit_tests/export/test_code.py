"""Stand-alone code computes and learns what the network computes and learns, and needs nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.export import ExportError, export
from snnkit.export.code import CODE, _module
from snnkit.export.dialects import DIALECTS
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

SQUEEZENET: dict[str, Any] = {"stem": {"width": 8}, "pool": {"of": "currents"}} | {
    f"fire{n}": {"squeeze": 4, "expand1x1": 8, "expand3x3": 8} if n in (2, 4) else {"keep": False} for n in range(2, 10)
}
RESETS = [(reset, delay) for reset in ("subtract", "zero") for delay in (True, False)]
SURROGATES = ["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through"]


def network(
    neuron: NeuronConfig | None,
    *,
    family: str = "squeezenet",
    design: dict[str, Any] = SQUEEZENET,
    frames: bool = False,
) -> Network:
    found = FAMILIES[family]
    plan = found.plan(found.design.model_validate({"family": family} | design), 10, (3, 16, 16))
    made = Network(plan, neuron, EncodingConfig(timesteps=3, kind="frames" if frames else "direct"))
    with torch.no_grad():
        made(images(made, seed=1))  # statistics of BatchNorm
    return made.eval()


def images(made: Network, seed: int = 0) -> Tensor:
    steps = () if made.encoding.frames is None else (made.encoding.frames,)
    return torch.randn(4, *steps, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def loaded(folder: Path) -> nn.Module:
    module: nn.Module = _module(folder).load()
    return module


@pytest.mark.parametrize(("reset", "delay"), RESETS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_code_equals_the_network_for_every_reset(tmp_path: Path, dialect: str, reset: str, delay: bool) -> None:
    made = network(NeuronConfig.model_validate({"leak": 0.5, "threshold": 0.75, "reset": reset, "reset_delay": delay}))
    parity = export(made, tmp_path / "n", dialect, images(made), {})
    assert len(parity.spikes) == len(made.spiking_ops)
    assert all(ours > 0 for ours, _ in parity.spikes.values())
    assert parity.spike_difference < 1e-3
    assert parity.logit_difference < 1e-2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_code_equals_the_network_for_every_family(tmp_path: Path, dialect: str, family: str) -> None:
    made = network(NeuronConfig(leak=0.5), family=family, design={})
    parity = export(made, tmp_path / "n", dialect, images(made), {})
    assert parity.spike_difference < 0.1  # a membrane at its threshold that rounding lifts makes others differ
    assert parity.same_class >= 3
    for name in list(parity.differing)[:1]:
        assert parity.differing[name] < 1e-5 * parity.neuron_steps[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_code_of_a_twin_equals_the_twin(tmp_path: Path, family: str) -> None:
    made = network(None, family=family, design={})
    assert export(made, tmp_path / "n", "code", images(made), {}).logit_difference < 1e-3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_code_reads_frames(tmp_path: Path, dialect: str) -> None:
    made = network(NeuronConfig(leak=0.5), frames=True)
    assert export(made, tmp_path / "n", dialect, images(made), {}).spike_difference < 1e-3


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_code_learns_as_the_network_does(tmp_path: Path, dialect: str, surrogate: str) -> None:
    made = network(NeuronConfig.model_validate({"leak": 0.5, "surrogate": surrogate}))
    export(made, tmp_path / "n", dialect, images(made), {})
    code = loaded(tmp_path / "n").train()
    made.train()
    for each in (made, code):
        each(images(made)).square().sum().backward()
    for conv in made.plan.convs:
        ours = made.layer(conv).conv.weight.grad
        theirs = code.get_parameter(f"{conv.name.replace('.', '_')}.0.weight").grad
        torch.testing.assert_close(theirs, ours, rtol=1e-2, atol=1e-3 * float(ours.abs().max()))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_code_runs_without_ours(tmp_path: Path, dialect: str) -> None:
    made = network(NeuronConfig(leak=0.5))
    export(made, tmp_path / "n", dialect, images(made), {})
    blocked = "import sys; sys.modules |= dict.fromkeys(('snnkit', 'search', 'reports', 'snnsearch')); "
    run = f"{blocked}import runpy; runpy.run_path({str(tmp_path / 'n' / CODE)!r}, run_name='__main__')"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", run], capture_output=True, text=True, env=env, cwd=tmp_path, check=True
    )
    assert done.stdout.startswith("8 examples: logits differ by at most ")
    assert float(done.stdout.split()[-1]) < 1e-2


def test_two_runs_of_a_network_are_equal(tmp_path: Path) -> None:
    """SpikingJelly's neurons keep their state, so the code resets them."""
    made = network(NeuronConfig(leak=0.5))
    export(made, tmp_path / "n", "spikingjelly", images(made), {})
    code = loaded(tmp_path / "n")
    with torch.no_grad():
        assert torch.equal(code(images(made)), code(images(made)))


def test_export_replaces_an_older_one_and_no_other_folder(tmp_path: Path) -> None:
    made, path = network(NeuronConfig()), tmp_path / "n"
    export(made, path, "code", images(made), {"run": "first"})
    export(made, path, "snntorch", images(made), {"run": "second"})
    assert "second" in (path / "metadata.json").read_text()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files, for example notes\.txt"):
        export(made, path, "code", images(made), {})
    assert (path / "notes.txt").read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["n"]


@pytest.mark.parametrize("dialect", ["snntorch", "spikingjelly"])
def test_twin_is_refused_by_libraries_of_neurons(tmp_path: Path, dialect: str) -> None:
    made = network(None)
    with pytest.raises(ExportError, match=r"a CNN twin has no neurons; .*--format code"):
        export(made, tmp_path / "n", dialect, images(made), {})
