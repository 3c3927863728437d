"""Training steps recorded as CUDA graphs; without a GPU, with a stand-in for torch's recording."""

import gc
import logging
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import DataChoice, Splits, load_dataset, split_dataset
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn import cuda_graphs
from snnkit.nn.cuda_graphs import Graphs
from snnkit.nn.network import Network
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Standin:
    """Stand-in for a graph: a replay runs again, and a list holds what was recorded."""

    made: list[list[torch.Size]]

    def __init__(self, run: cuda_graphs.Pass, inputs: Sequence[Tensor], parameters: Any) -> None:
        self.run = getattr(run, "__func__", run), weakref.ref(getattr(run, "__self__", run))
        Standin.made.append([each.shape for each in inputs])

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        function, owner = self.run
        return function(inputs) if function is owner() else function(owner(), inputs)  # type: ignore[misc,call-arg]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Size]]:
    Standin.made = []
    monkeypatch.setattr(cuda_graphs, "_Recorded", Standin)
    return Standin.made


def train_step(
    device: str = "cpu", *, neuron: NeuronConfig | None = None, dropout: float = 0.0, **recipe: Any
) -> TrainStep:
    parts = digits()
    design = SqueezeNet.model_validate({"head": {"dropout": dropout}, "pool": {"of": "currents"}})
    shape = parts.train.shape
    assert len(shape) == 3
    network = Network(plan(design, 10, shape), neuron or NeuronConfig(leak=0.5), EncodingConfig(timesteps=3), seed=0)
    network.to(device).to(memory_format=torch.channels_last)
    whole = Recipe.model_validate({"epochs": 3, "batch": 32, "precision": "fp32", "ema": 0.9} | recipe)
    found = TrainStep(network.train(), parts, whole, seed=0, device=device)
    assert (found._graphs is not None) == (device == "cuda" and not dropout and not network.neuron.learn_leak)  # type: ignore[union-attr]
    return found


def digits() -> Splits:
    return split_dataset(load_dataset("digits"), DataChoice(name="digits", subset=100, validation=20), seed=0)


def trained(step: TrainStep) -> tuple[list[tuple[float, int]], dict[str, Tensor]]:
    """Train two steps per epoch. Return losses, correct answers and the final weights."""
    steps = [step.run(epoch, number) for epoch in range(3) for number in range(2)]
    return steps, step.network.state_dict()


def test_the_second_step_of_each_kind_is_recorded(recorded: list[list[torch.Size]]) -> None:
    calls: list[str] = []

    def run(inputs: Sequence[Tensor]) -> Tensor:
        calls.append("run")
        return inputs[0].sum()

    passes, small, large = partial(Graphs([]), run), [torch.ones(2)], [torch.ones(3)]
    found = [
        float(passes(kind, inputs)) for kind, inputs in ((1, small), (1, small), (2, small), (1, large), (1, small))
    ]
    assert found == [2, 2, 2, 3, 2]
    assert recorded == [[torch.Size([2])]]
    passes(2, small)
    passes(1, large)
    assert recorded == [[torch.Size([2])], [torch.Size([2])], [torch.Size([3])]]


@pytest.mark.parametrize(
    "recipe", [{}, {"mixup": 0.3}, {"short_epochs": 1}, {"rate_penalty": 0.5}, {"first_resolution": 8}]
)
def test_training_records_its_steps(recipe: dict[str, Any], recorded: list[list[torch.Size]]) -> None:
    plain = trained(train_step(**recipe))
    recording = train_step(**recipe)
    recording._graphs = Graphs(list(recording.network.parameters()))
    steps, weights = trained(recording)
    kinds = {"short_epochs": 2, "first_resolution": 3}
    assert len(recorded) == max([kinds.get(option, 1) for option in recipe], default=1)
    assert [right for _, right in steps] == [right for _, right in plain[0]]
    assert [loss for loss, _ in steps] == pytest.approx([loss for loss, _ in plain[0]], rel=1e-6)
    for name, expected in plain[1].items():
        torch.testing.assert_close(weights[name], expected)


def test_step_that_cannot_be_recorded_runs_directly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weight = torch.nn.Parameter(torch.ones(()))

    def run(inputs: Sequence[Tensor]) -> Tensor:
        assert weight.grad is None
        weight.grad = inputs[0].sum()
        return inputs[0].sum()

    def refused(run: cuda_graphs.Pass, inputs: Sequence[Tensor], parameters: Any) -> None:
        run(inputs)  # until the failure
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graphs, "_Recorded", refused)
    passes = partial(Graphs([weight]), run)
    for value in (1.0, 2.0, 3.0):
        weight.grad = None
        assert float(passes("kind", [torch.tensor([value])])) == value
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "graph=none reason='operation not permitted" in caplog.text


def test_a_gpu_without_memory_for_a_graph_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(cuda_graphs, "_Recorded", full)
    passes = partial(Graphs([]), lambda inputs: inputs[0])
    passes("kind", [torch.ones(1)])
    with pytest.raises(torch.OutOfMemoryError):  # the trial then splits its batches
        passes("kind", [torch.ones(1)])


def test_a_train_step_goes_when_its_training_does(recorded: list[list[torch.Size]]) -> None:
    """The graphs are freed with it, not only at a garbage collection: the next trial needs their memory."""
    gc.disable()
    try:
        made = train_step()
        made._graphs = Graphs(list(made.network.parameters()))
        trained(made)
        gone = weakref.ref(made)
        del made
        assert gone() is None
        assert recorded
    finally:
        gc.enable()


@needs_gpu
@pytest.mark.parametrize(
    "recipe", [{}, {"mixup": 0.3}, {"short_epochs": 1}, {"rate_penalty": 0.5, "precision": "bf16"}]
)
def test_graphs_on_a_gpu_train_like_single_kernels(recipe: dict[str, Any]) -> None:
    recording, plain = train_step("cuda", **recipe), train_step("cuda", **recipe)
    plain._graphs = None
    (steps, weights), (expected_steps, expected) = trained(recording), trained(plain)
    assert recording._graphs is not None
    assert any(recording._graphs._recorded.values())
    assert [loss for loss, _ in steps] == pytest.approx([loss for loss, _ in expected_steps], rel=1e-5)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight)


@needs_gpu
@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"neuron": NeuronConfig(leak=0.5, learn_leak=True)}])
def test_steps_that_differ_from_each_other_are_not_recorded(change: dict[str, Any]) -> None:
    steps, _ = trained(train_step("cuda", **change))
    assert all(loss > 0 for loss, _ in steps)
