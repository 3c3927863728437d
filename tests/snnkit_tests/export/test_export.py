"""Exported files compute what the network computes, and a network that a format cannot express is refused."""

import importlib.util
import json
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from snnkit.architecture.plan import Activation
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.export import EXPORTS, ExportError, Parity, export, find_obstacles
from snnkit.export.folding import fold_batchnorm
from snnkit.export.nir import nir_graph
from snnkit.export.onnx import onnx_model
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

NEURONS = {
    "subtract, later": NeuronConfig(leak=0.5),
    "subtract, at once": NeuronConfig(leak=0.5, reset_delay=False),
    "zero, later": NeuronConfig(leak=0.5, reset="zero"),
    "zero, at once": NeuronConfig(leak=0.5, reset="zero", reset_delay=False),
    "no leak": NeuronConfig(leak=1.0, threshold=0.7),
    "learned": NeuronConfig(leak=0.5, learn_leak=True),
}
LEARNING = NeuronConfig(leak=0.5, learn_leak=True, reset="zero", reset_delay=False)  # as in NIR
NIR = {"pool": {"kind": "avg"}}


def network(
    family: str, neuron: NeuronConfig | None, *, timesteps: int = 3, side: int = 32, **design: object
) -> Network:
    """Return a network with BatchNorm statistics of two batches, so that folding changes something."""
    found = FAMILIES[family]
    plan = found.plan(found.design.model_validate({"family": family} | design), 10, (3, side, side))
    made = Network(plan, neuron, EncodingConfig(timesteps=timesteps))
    with torch.no_grad():
        for at, op in enumerate(made.spiking_ops if neuron and neuron.learn_leak else ()):
            made.lif(op).leak_logit.fill_((-1) ** at)  # type: ignore[union-attr]  # of each layer another than before
        for seed in (1, 2):
            made(images(seed, side))
    return made.eval()


def images(seed: int = 0, side: int = 32, count: int = 4) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def assert_equal_at_first(parity: Parity) -> None:
    """A membrane that rounding lifts over its threshold makes others differ in the layers after it, not before."""
    for name in list(parity.differing)[:1]:
        assert parity.differing[name] < 1e-5 * parity.neuron_steps[name]
    assert parity.spike_difference < 0.1


@pytest.mark.parametrize("neuron", [*NEURONS.values(), None], ids=[*NEURONS, "twin"])
def test_onnx_equals_the_network_for_every_neuron(tmp_path: Path, neuron: NeuronConfig | None) -> None:
    made = network("squeezenet", neuron)
    parity = export(made, tmp_path / "n.onnx", "onnx", images(), {})
    assert parity.same_class == parity.images == 4
    assert parity.logit_difference < (0.05 if neuron else 1e-4)
    assert parity.total_difference < 1e-3
    assert parity.spike_difference < 1e-3
    assert len(parity.spikes) == (sum(conv.emits_spikes for conv in made.plan.convs) if neuron else 0)
    assert all(ours > 0 for ours, _ in parity.spikes.values())


@pytest.mark.parametrize("neuron", [NEURONS["subtract, later"], None], ids=["snn", "twin"])
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_equals_the_network_for_every_family(tmp_path: Path, family: str, neuron: NeuronConfig | None) -> None:
    parity = export(network(family, neuron, timesteps=2), tmp_path / "n.onnx", "onnx", images(), {})
    assert parity.same_class >= 3
    assert parity.total_difference < 2e-3
    assert_equal_at_first(parity)


@pytest.mark.parametrize("geometry", ["imagenet-1.0", "imagenet-1.1"])
def test_onnx_pads_incomplete_windows_like_the_network(tmp_path: Path, geometry: str) -> None:
    for kind in ("max", "avg"):
        made = network("squeezenet", None, side=60, geometry=geometry, pool={"kind": kind})
        parity = export(made, tmp_path / "n.onnx", "onnx", images(side=60), {})
        assert parity.logit_difference < 1e-4


@pytest.mark.parametrize("kind", get_args(Activation))
def test_onnx_has_every_activation_and_averages_over_padding(tmp_path: Path, kind: str) -> None:
    graph = (
        f"stem = conv(input, channels=8, kernel=3, stride=2, batchnorm=true, activation={kind})",
        "pool = pool(stem, kind=avg, kernel=3, stride=2, padding=1)",
        "mean = mean(pool)",
        "head = conv(mean, channels=10, bias=true)",
    )
    parity = export(network("traced", None, graph=graph), tmp_path / "n.onnx", "onnx", 5 * images(), {})
    assert parity.logit_difference < 1e-4


@pytest.mark.parametrize("neuron", [NEURONS["subtract, later"], None], ids=["snn", "twin"])
def test_onnx_pools_currents_as_the_network_does(tmp_path: Path, neuron: NeuronConfig | None) -> None:
    made = network("squeezenet", neuron, pool={"of": "currents"})
    parity = export(made, tmp_path / "n.onnx", "onnx", images(), {})
    assert parity.same_class >= 3  # folded BatchNorm rounds otherwise, and a spike that differs makes others differ
    assert parity.total_difference < 5e-3
    if neuron is not None:
        assert_equal_at_first(parity)
    assert set(parity.spikes) == {op.name for op in made.spiking_ops}


def test_onnx_has_no_batchnorm_and_carries_its_metadata() -> None:
    model = onnx_model(network("squeezenet", NeuronConfig()), metadata={"candidate": "{}"})
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert {"Conv", "MaxPool", "Greater"} <= kinds
    assert [(each.key, each.value) for each in model.metadata_props] == [("candidate", "{}")]
    stems = [node for node in model.graph.node if node.name.startswith("stem.current")]
    assert len(stems) == 1  # a still image goes through it once


def test_folded_weights_compute_what_batchnorm_computed() -> None:
    made = network("squeezenet", NeuronConfig())
    conv = made.plan.convs[0]
    layer = made.layer(conv)
    weight, bias = fold_batchnorm(layer)
    x = images()
    expected = layer.norm(layer.conv(x))  # type: ignore[misc]
    found = torch.nn.functional.conv2d(x, weight, bias, padding=conv.padding)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("of", ["spikes", "currents"])
@pytest.mark.parametrize("neuron", [NEURONS["zero, at once"], LEARNING], ids=["fixed", "learned"])
def test_nir_equals_the_network(tmp_path: Path, neuron: NeuronConfig, of: str) -> None:
    made = network("squeezenet", neuron, pool={"kind": "avg", "of": of})
    parity = export(made, tmp_path / "n.nir", "nir", images(), {"commit": "abc"})
    assert parity.same_class == 4
    assert parity.total_difference < 1e-3
    assert_equal_at_first(parity)
    assert set(parity.spikes) == {op.name for op in made.spiking_ops}
    import nir

    read = nir.read(tmp_path / "n.nir")
    assert read.metadata["commit"] == "abc"
    assert json.loads(read.metadata["parity"])["images"] == 4
    convolutions = [node for node in read.nodes.values() if isinstance(node, nir.Conv2d)]
    assert len(convolutions) == len(made.plan.convs) - 8  # each pair of expands is one


@pytest.mark.parametrize("neuron", [NEURONS["zero, at once"], LEARNING], ids=["fixed", "learned"])
def test_nir_runs_in_snntorch(neuron: NeuronConfig) -> None:
    """Compare snnTorch's importer with the network, step by step."""
    from snntorch.import_nir import import_from_nir

    made = network("squeezenet", neuron, **NIR)
    imported = import_from_nir(nir_graph(made))
    x, state, total = images(), None, torch.zeros(())
    with torch.no_grad():
        for _ in range(made.timesteps):
            out, state = imported(x, state)
            total = total + out
        expected = made(x)
    total = total.flatten(1)
    assert torch.allclose(total / made.timesteps, expected, atol=0.05)
    assert torch.equal(total.argmax(1), expected.argmax(1))


IMPOSSIBLE = NeuronConfig(leak=1, reset="subtract")


@pytest.mark.parametrize(
    ("family", "neuron", "design", "says"),
    [
        (
            "squeezenet",
            NEURONS["zero, at once"],
            {},
            r"stem.pool, .*: NIR has no max pooling; .* network.pool.kind: avg",
        ),
        ("squeezenet", NEURONS["zero, at once"], {"pool": {"kind": "avg", "ceil": True}}, r"network.pool.ceil: false"),
        ("squeezenet", NEURONS["zero, later"], NIR, r"neuron.reset_delay is true: .* neuron.reset_delay: false"),
        ("squeezenet", NeuronConfig(leak=1, reset="zero", reset_delay=False), NIR, r"neuron.leak is 1"),
        ("squeezenet", None, NIR, r"CNN twin"),
        ("shufflenet", NEURONS["zero, at once"], {}, r"NIR has no concatenation"),
        ("shufflenet", NEURONS["zero, at once"], {}, r"NIR has no shuffle"),
        (
            "mobilenetv2",
            NEURONS["zero, at once"],
            {},
            r"stage1.block1.depthwise, .* does not read grouped and depthwise",
        ),
        ("mixnet", NEURONS["zero, at once"], {}, r"NIR has no gate"),
    ],
)
def test_network_that_nir_cannot_express_is_refused_with_a_remedy(
    tmp_path: Path, family: str, neuron: NeuronConfig | None, design: dict[str, object], says: str
) -> None:
    made = network(family, neuron, **design)
    with pytest.raises(ExportError, match=says) as error:
        export(made, tmp_path / "n.nir", "nir", images(), {})
    assert "or export as pytorch or onnx" in str(error.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match=says):
        nir_graph(made)


def test_all_obstacles_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nirtorch" else there(name))
    with pytest.raises(ExportError) as error:
        export(network("squeezenet", IMPOSSIBLE, side=64, pool={"ceil": True}), tmp_path / "n.nir", "nir", images(), {})
    text = str(error.value)
    assert text.startswith("5 obstacles:\n")
    for said in (
        "'snnsearch[nir]'",
        "reset: zero",
        "reset_delay: false",
        "neuron.leak: 0.01 or 0.99",
        "pool.kind: avg",
    ):
        assert said in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_missing_library_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else there(name))
    monkeypatch.setattr("snnkit.export.atomic_write", lambda path: pytest.fail("written"))
    with pytest.raises(ExportError, match=rf"^{missing} is not installed; pip install 'snnsearch\[onnx\]'$"):
        export(network("squeezenet", None), tmp_path / "n.onnx", "onnx", images(), {})


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_learned_leak_without_a_time_constant_is_refused(logit: float) -> None:
    made = network("squeezenet", LEARNING, **NIR)
    with torch.no_grad():
        made.lif(made.spiking_ops[1]).leak_logit.fill_(logit)  # type: ignore[union-attr]  # it learns
    with pytest.raises(ExportError, match=f"{made.spiking_ops[1].name}: the learned leak is 0 or 1"):
        nir_graph(made)


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_network_without_obstacles_is_exported_and_any_other_refused(tmp_path: Path, family: str, name: str) -> None:
    """No network ends in an error of a library."""
    for neuron in (NEURONS["zero, at once"], None):
        made = network(family, neuron, timesteps=1, **(NIR if family == "squeezenet" else {}))
        obstacles = find_obstacles(name, made.plan, neuron)
        nir_refuses = name == "nir" and (neuron is None or family != "squeezenet")
        assert bool(obstacles) == (nir_refuses or (name in ("snntorch", "spikingjelly") and neuron is None))
        if obstacles:
            with pytest.raises(ExportError):
                export(made, tmp_path / "n", name, images(count=1), {})
        else:
            export(made, tmp_path / "n", name, images(count=1), {})


@pytest.mark.parametrize("name", EXPORTS)
def test_export_leaves_one_file_or_folder_that_holds_the_comparison(tmp_path: Path, name: str) -> None:
    made = network("squeezenet", NEURONS["zero, at once"], **NIR)
    path = tmp_path / f"n{EXPORTS[name].suffix}"
    parity = export(made, path, name, images(), {"candidate": "{}"})
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert parity.same_class == 4
    assert b"same_class" in (path / "metadata.json" if path.is_dir() else path).read_bytes()


def test_nir_file_with_another_reset_is_refused(tmp_path: Path) -> None:
    """snnTorch's importer, which checks our files, ignores the field."""
    import nir

    made = network("squeezenet", NEURONS["zero, at once"], **NIR)
    graph = nir_graph(made)
    graph.nodes["stem"].v_reset += 0.5
    with (tmp_path / "n.nir").open("w+b") as file:
        nir.write(file, graph)
    with pytest.raises(ExportError, match="stem: the file resets membranes to other values than 0"):
        EXPORTS["nir"].load(tmp_path / "n.nir", made)
