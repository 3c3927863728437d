"""NIR graphs run as their equations say, and are counted."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnkit.counting.count import count
from snnkit.counting.errors import CountError
from snnkit.counting.nir import NIRModel, read_nir
from snnkit.export.nir import TIME_STEP_S

nir = pytest.importorskip("nir", reason="needs the extra `nir`")


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def graph(*nodes: Any, recurrent: bool = False) -> object:
    names = [f"n{place}" for place in range(len(nodes))]
    chain = ["input", *names, "output"]
    first, last = nodes[0].input_type["input"], nodes[-1].output_type["output"]
    made = {"input": nir.Input({"input": first}), "output": nir.Output({"output": last})}
    edges = list(itertools.pairwise(chain))
    if recurrent:
        made["feedback"] = nir.Linear(weight=0.5 * np.eye(int(np.prod(last)), dtype=np.float32))
        edges += [(names[-1], "feedback"), ("feedback", names[-1])]
    return nir.NIRGraph(nodes=dict(zip(names, nodes, strict=True)) | made, edges=edges)


def lif(size: int, tau: float = 2 * TIME_STEP_S) -> object:
    """A leak of 1/2 with tau of two steps; the input arrives unscaled."""
    return nir.LIF(tau * ones(size), r=tau / TIME_STEP_S * ones(size), v_leak=0 * ones(size), v_threshold=ones(size))


def run(of: object, steps: int = 6) -> list[float]:
    model = NIRModel(of)
    return [float(model(torch.tensor([[0.75]]))[0, 0]) for _ in range(steps)]


def test_lif_integrates_leaks_and_resets_to_zero() -> None:
    # 0.75, then 0.375 + 0.75 = 1.125: a spike and a reset
    assert run(graph(lif(1))) == [0, 1, 0, 1, 0, 1]


def test_if_integrates_without_leak() -> None:
    node = nir.IF(r=0.5 * ones(1), v_threshold=ones(1))
    assert run(graph(node)) == [0, 0, 1, 0, 0, 1]  # 0.375, 0.75, 1.125


def test_li_and_i_emit_their_potential() -> None:
    tau = 2 * TIME_STEP_S
    assert run(graph(nir.LI(tau * ones(1), r=2 * ones(1), v_leak=0 * ones(1))), 2) == pytest.approx([0.75, 1.125])
    assert run(graph(nir.I(r=ones(1))), 2) == pytest.approx([0.75, 1.5])


def test_cuba_lif_filters_its_current() -> None:
    tau = 2 * TIME_STEP_S
    node = nir.CubaLIF(tau * ones(1), tau * ones(1), 2 * ones(1), 0 * ones(1), ones(1), w_in=2 * ones(1))
    current, potential, expected = 0.0, 0.0, []
    for _ in range(6):
        current = 0.5 * current + 0.5 * 2 * 0.75
        potential = 0.5 * potential + current
        expected.append(float(potential > 1))
        potential *= potential <= 1
    assert run(graph(node)) == expected


def test_recurrent_edge_carries_the_last_step() -> None:
    # 0.75, then 0.375 + 0.75 = 1.125: a spike; then 0.75 + 0.5 of the spike = 1.25: a spike
    assert run(graph(lif(1), recurrent=True), 3) == [0, 1, 1]


def test_graph_is_counted_with_its_recurrent_weights() -> None:
    of = graph(nir.Affine(weight=0.6 * ones(5, 4), bias=0 * ones(5)), lif(5), recurrent=True)
    counts = count(of, [torch.full((3, 4), 0.5)], 4)
    layer, neurons, feedback, total = counts.layers
    assert [each.name for each in counts.layers] == ["n0", "n1", "feedback", "sum"]
    assert (layer.macs, neurons.neuron_ops) == (4 * 5, 4 * 5)
    assert feedback.acs == 5 * feedback.spikes_in > 0
    assert total.acs == 3 * 5  # nothing is fed back at the first step
    assert counts.uncounted == ()


def test_nodes_without_weights_run() -> None:
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    pool.input_type, pool.output_type = {"input": np.array([1, 4, 4])}, {"output": np.array([1, 2, 2])}
    flat = nir.Flatten({"input": np.array([1, 2, 2])}, start_dim=0)
    scale = nir.Scale(2 * ones(4))
    assert NIRModel(graph(pool, flat, scale))(torch.ones(2, 1, 4, 4)).tolist() == [[8.0] * 4] * 2


def test_delay_passes_values_on_later() -> None:
    assert run(graph(nir.Delay(2 * TIME_STEP_S * ones(1))), 4) == [0, 0, 0.75, 0.75]


def test_node_may_have_the_name_of_a_method() -> None:
    node = nir.Linear(weight=ones(2, 3))
    ends = {"input": nir.Input({"input": np.array([3])}), "o.1": nir.Output({"output": np.array([2])})}
    of = nir.NIRGraph(nodes=ends | {"forward": node}, edges=[("input", "forward"), ("forward", "o.1")])
    assert NIRModel(of)(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


def test_file_of_snntorch_has_the_figures_of_its_model(tmp_path: Path) -> None:
    import snntorch
    from snntorch.export_nir import export_to_nir
    from torch import nn

    torch.manual_seed(0)

    def neurons(threshold: float, *shape: int) -> nn.Module:
        half, given = torch.full(shape, 0.5), torch.full(shape, threshold)
        return snntorch.Leaky(half, threshold=given, reset_mechanism="zero", init_hidden=True)

    step = nn.Sequential(nn.Linear(6, 9), neurons(0.2, 9), nn.Linear(9, 5), neurons(0.1, 5))
    nir.write(tmp_path / "net.nir", export_to_nir(step, torch.rand(6)))
    data = torch.rand(4, 6)
    read, built = count(read_nir(tmp_path / "net.nir"), [data], 1), count(step, [data], 1)
    for one, other in zip(read.layers, built.layers, strict=True):
        assert (one.macs, one.acs, one.spikes_out, one.neuron_ops) == (
            other.macs, other.acs, other.spikes_out, other.neuron_ops
        )  # fmt: skip
    assert built.acs > 0


def test_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.nir").write_bytes(b"nothing")
    with pytest.raises(CountError, match="is not a NIR file"):
        read_nir(tmp_path / "net.nir")
