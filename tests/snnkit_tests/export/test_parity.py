"""A file is compared with its network spike by spike: differences that cancel in a total are seen."""

from functools import partial

import pytest
import torch
from torch import Tensor

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.export import parity
from snnkit.export.parity import RunResult, compare, compare_in_parts, run_network
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

LOGITS = torch.tensor([[1.0, 2.0]])


def spikes(*fires: int) -> Tensor:
    """One layer with one neuron per value: (T, B, C, H, W) = (1, 1, N, 1, 1)."""
    return torch.tensor(fires, dtype=torch.bool).view(1, 1, -1, 1, 1)


def results(**layers: Tensor) -> RunResult:
    return RunResult(LOGITS, layers)


@pytest.fixture(scope="module")
def network() -> Network:
    family = FAMILIES["squeezenet"]
    plan = family.plan(family.design.model_validate({"family": "squeezenet"}), 10, (3, 32, 32))
    return Network(plan, NeuronConfig(), EncodingConfig(timesteps=2)).eval()


def test_spike_too_many_and_one_too_few_do_not_cancel() -> None:
    found = compare(results(a=spikes(1, 0, 1, 0)), results(a=spikes(0, 1, 1, 0)))
    assert found.total_difference == 0
    assert found.differing == {"a": 2}
    assert found.neuron_steps == {"a": 4}
    assert found.spike_difference == 2 / 2


def test_both_figures_are_shares_of_the_networks_spikes() -> None:
    found = compare(
        results(a=spikes(1, 0, 1, 0), b=spikes(1, 1, 1, 1)), results(a=spikes(0, 1, 1, 1), b=spikes(1, 1, 1, 1))
    )
    assert found.spikes == {"a": (2, 3), "b": (4, 4)}
    assert (found.total_difference, found.spike_difference) == (1 / 6, 3 / 6)
    assert found.worst_layer == ("a", 3 / 2)


def test_equal_spikes_differ_by_nothing_and_those_of_a_silent_network_by_all() -> None:
    same, silent = results(a=spikes(1, 0)), results(a=spikes(0, 0))
    assert (compare(same, same).spike_difference, compare(same, same).worst_layer) == (0, ("a", 0))
    assert compare(silent, silent).spike_difference == 0
    assert compare(silent, same).spike_difference == compare(silent, same).total_difference == 1


def test_moved_spikes_of_a_file_are_seen_in_every_layer(network: Network) -> None:
    def moved(images: Tensor) -> RunResult:
        """The network, with all spikes of each layer one row lower: every total is right."""
        found = run_network(network, images)
        return RunResult(found.logits, {name: each.roll(1, dims=3) for name, each in found.spikes.items()})

    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = compare_in_parts(network, moved, images)
    assert found.total_difference == 0
    assert all(found.differing[op.name] > 0 for op in network.spiking_ops if found.spikes[op.name][0])
    assert found.spike_difference > 0.1


def test_spikes_are_those_that_the_network_counts(network: Network) -> None:
    images, counts = torch.randn(2, 3, 32, 32), {}
    network(images, lambda op, incoming, fired: counts.update({op.name: fired.count.item()} if fired else {}))
    shown = run_network(network, images).spikes
    assert {name: each.sum().item() for name, each in shown.items()} == counts
    assert {name: tuple(each.shape) for name, each in shown.items()} == {
        op.name: (2, 2, *op.out_shape) for op in network.spiking_ops
    }


def test_many_images_are_compared_in_parts_with_the_same_result(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    other = Network(network.plan, NeuronConfig(leak=0.5), network.encoding).eval()
    sizes: list[int] = []

    def run(part: Tensor) -> RunResult:
        sizes.append(len(part))
        return run_network(other, part)

    whole = compare_in_parts(network, partial(run_network, other), images)
    assert whole.spike_difference > 0
    of_image = network.timesteps * sum(op.outputs for op in network.spiking_ops)
    monkeypatch.setattr(parity, "SPIKES_AT_ONCE", 2 * of_image)
    assert compare_in_parts(network, run, images) == pytest.approx(whole)
    assert sizes == [2, 2, 1]
