"""How models run, what they read, and what is not counted."""

import copy
import re

import pytest
import snntorch
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.counting.count import count
from snnkit.counting.errors import CountError
from snnkit.counting.neurons import reset
from snnkit.energy import estimate_all

T = 4
IMAGES = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def leaky(**given: object) -> nn.Module:
    return snntorch.Leaky(beta=0.8, threshold=0.2, init_hidden=True, **given)


def small(*extra: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), leaky(), *extra, nn.Flatten(), nn.LazyLinear(5))


def started(model: nn.Module) -> nn.Module:
    """Give lazy layers their size, and keep the same weights for every model."""
    torch.manual_seed(1)
    model(IMAGES)
    return model


class Loop(nn.Module):
    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([self.step(image) for _ in range(T)])


class Sequence(nn.Module):
    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return torch.stack([self.step(image) for image in images]), None


def figures(model: nn.Module, data: Tensor = IMAGES, **given: object) -> list[tuple[float, ...]]:
    counts = count(model, [data], T, **given)
    return [(each.macs, each.acs, each.spikes_out, each.evaluations, each.neuron_ops) for each in counts.layers]


def test_step_loop_and_sequence_are_told_apart_and_have_the_same_figures() -> None:
    step = started(small(nn.MaxPool2d(2)))
    assert figures(step) == figures(Loop(step)) == figures(Sequence(step))
    found = [count(model, [IMAGES], T).forward for model in (step, Loop(step), Sequence(step))]
    assert found == ["step", "loop", "sequence"]
    assert figures(step, forward="step") == figures(step)


def test_figures_do_not_depend_on_the_batches_and_the_state_is_reset() -> None:
    step = started(small())
    whole, parts = count(step, [IMAGES], T), count(step, [IMAGES[:1], IMAGES[1:]], T)
    assert whole.layers == parts.layers
    assert count(step, [IMAGES], T).layers == whole.layers
    assert whole.images == parts.images == 6


def test_mode_of_the_model_is_restored_and_inputs_stay_clean() -> None:
    step = started(small(nn.Dropout(0.5))).train()
    count(step, [IMAGES], T)
    assert all(module.training for module in step.modules())
    assert not vars(IMAGES)  # nothing is left on them
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in step.modules())


def test_model_that_runs_another_number_of_steps_is_refused() -> None:
    with pytest.raises(CountError, match=r"timesteps=5: .*its neurons run 4 times on 2 images.*Say how the model runs"):
        count(Loop(started(small())), [IMAGES], 5)


def test_data_of_the_wrong_size_is_refused_with_the_errors_of_the_model() -> None:
    with pytest.raises(CountError, match=r"neither one step nor a sequence.*3 channels.*Check the inputs' size"):
        count(started(small()), [torch.rand(2, 3, 8, 8)], T)


def test_cnn_over_time_is_refused() -> None:
    with pytest.raises(CountError, match=r"no neurons.*neurons=\(CLASS,\).*timesteps=1"):
        count(nn.Conv2d(2, 3, 3), [IMAGES], T)


@pytest.mark.parametrize("given", [{"timesteps": 0}, {"timesteps": T, "forward": "twice"}])
def test_impossible_arguments_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(CountError, match="given"):
        count(started(small()), [IMAGES], **given)


def test_empty_loader_and_strange_batches_are_refused() -> None:
    with pytest.raises(CountError, match="loader is empty"):
        count(started(small()), [], T)
    with pytest.raises(CountError, match="a batch is a str"):
        count(started(small()), ["images"], T)
    with pytest.raises(CountError, match="torch module or a NIR graph"):
        count("net", [IMAGES], T)


def test_accuracy_needs_labels() -> None:
    step = started(small())
    torch.manual_seed(0)
    with torch.no_grad():
        reset(step)
        scores = sum(step(IMAGES) for _ in range(T))
    labels = scores.argmax(1)
    labels[0] = (labels[0] + 1) % 5
    for model in (step, Loop(step), Sequence(step)):
        assert count(model, [(IMAGES, labels)], T).accuracy == pytest.approx(5 / 6)
    assert count(step, [IMAGES], T).accuracy is None
    with pytest.raises(CountError, match=r"labels are from 7 to 9, and the model has .* scores; number the classes"):
        count(step, [(IMAGES, torch.arange(len(IMAGES)) % 3 + 7)], T)


def test_events_are_spikes_and_other_recordings_are_not() -> None:
    step = started(small())
    events = (torch.rand(6, T, 2, 8, 8) < 0.3).float()
    first = count(step, [events], T).layers[0]
    taps = sum(functional.conv2d(frame, torch.ones(4, 2, 3, 3)).sum() for frame in events.unbind(1))
    assert (first.macs, first.acs) == (0, pytest.approx(float(taps) / 6))
    real = count(step, [events * 0.5], T).layers[0]
    assert (real.macs, real.acs) == (T * first.op.weights * 36, 0)
    assert count(step, [events], T, inputs="real").layers[0].macs == real.macs
    with pytest.raises(CountError, match="a later one does not; say inputs='real'"):
        count(step, [events, events * 0.5], T)
    assert figures(step, events.transpose(0, 1), time_axis=0) == figures(step, events)


def test_axis_of_time_must_fit() -> None:
    step = started(small())
    with pytest.raises(CountError, match=r"five axes.*time_axis=0 or 1"):
        count(step, [torch.rand(6, 3, 2, 8, 8)], T)
    with pytest.raises(CountError, match="timesteps=3"):
        count(step, [torch.rand(6, 3, 2, 8, 8)], T, time_axis=1)


class Coded(nn.Module):
    """Poisson coding in the model: its first layer reads spikes."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, image: Tensor) -> Tensor:
        return self.step((torch.rand_like(image) < image).to(image.dtype))


def test_inputs_that_the_model_codes_as_spikes_are_spikes() -> None:
    first = count(Coded(started(small())), [IMAGES], T).layers[0]
    assert first.macs == 0
    assert 0 < first.acs < T * first.op.weights * 36
    assert first.evaluations == T


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(3, 4, 3, padding=2, dilation=2), (3, 9)),
        (nn.Conv2d(4, 6, (3, 1), stride=(2, 1), padding=(1, 0), groups=2), (4, 7, 5)),
        (nn.Conv3d(2, 3, 2), (2, 3, 4, 5)),
        (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (3, 5, 4)),
        (nn.Linear(7, 5), (7,)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_layer_of_any_shape_is_counted_exactly(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """The synaptic operations are the sum of the outputs, if all weights are 1 and there is no bias."""
    ones = copy.deepcopy(layer)
    nn.init.ones_(ones.weight)
    nn.init.zeros_(ones.bias)
    spikes = (torch.rand(T, 2, *shape) < 0.4).float()
    with torch.no_grad():
        expected = float(sum(ones(frame).sum() for frame in spikes)) / 2
        dense = int(ones(torch.ones(1, *shape)).sum())
    model = nn.Sequential(layer, leaky())
    first = count(model, [spikes], T, time_axis=0).layers[0]
    assert first.acs == pytest.approx(expected)
    assert count(model, [torch.rand(2, *shape)], T, time_axis=None).layers[0].macs == dense
    assert first.params == sum(each.numel() for each in layer.parameters())
    assert first.neurons == ones(spikes[0]).numel() // 2


def test_linear_layer_of_tokens_is_counted_at_each_of_them() -> None:
    model = nn.Sequential(nn.Linear(7, 5), leaky(), nn.Linear(5, 3))
    first, *_, last = count(model, [torch.rand(2, 9, 7)], T).layers
    assert first.macs == 9 * 7 * 5
    assert last.acs == 3 * last.spikes_in > 0
    each = count(model, [torch.rand(2, 9, 7)], T, stem="every_step")
    assert each.layers[0].macs == T * 9 * 7 * 5
    assert each.with_stem_every_step() == each
    assert count(model, [torch.rand(2, 9, 7)], T).with_stem_every_step().layers[0].macs == T * 9 * 7 * 5


def test_recurrent_weights_are_counted() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inputs = nn.Linear(7, 5)
            self.lif = snntorch.RLeaky(beta=0.5, threshold=0.1, linear_features=5)

        def forward(self, x: Tensor) -> Tensor:
            spikes, state = self.lif.init_rleaky()
            for _ in range(T):
                spikes, state = self.lif(self.inputs(x), spikes, state)
            return spikes

    torch.manual_seed(3)
    counts = count(Recurrent(), [torch.rand(3, 7)], T)
    first, recurrent = counts.layers
    assert (first.name, recurrent.name) == ("inputs", "lif.recurrent")
    assert recurrent.acs == 5 * recurrent.spikes_in
    assert 0 < recurrent.spikes_in <= first.spikes_out  # the last spikes are not read
    assert recurrent.evaluations == T


@pytest.mark.parametrize(
    ("neuron", "operations"),
    [
        (leaky(), 1),
        (snntorch.Leaky(beta=1.0, init_hidden=True), 0),
        (snntorch.Synaptic(alpha=0.9, beta=0.8, init_hidden=True), 2),
        (snntorch.Lapicque(beta=0.9, init_hidden=True), 1),
        (snntorch.Alpha(alpha=0.9, beta=0.8, init_hidden=True), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_leaks_of_neurons_are_counted(neuron: nn.Module, operations: int) -> None:
    (layer,) = count(nn.Sequential(nn.Conv2d(2, 3, 3), neuron), [IMAGES], T).layers
    assert layer.neuron_ops == operations * T * 3 * 6 * 6


def test_graded_spikes_have_a_unit() -> None:
    whole, graded = small(), small()
    graded[1] = leaky(graded_spikes_factor=0.5)
    started(whole)
    graded[3] = whole[3]
    assert figures(started(graded))[1][1] == figures(whole)[1][1] > 0


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        return (tokens @ tokens.transpose(1, 2)).softmax(-1)


class Custom(nn.Module):
    """Neurons of a class that no one knows."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.potential: Tensor | float = 0.0

    def forward(self, current: Tensor) -> Tensor:
        self.potential = self.potential * 0.5 + current
        spikes = (self.potential > 0.2).to(current)
        self.potential = self.potential - spikes
        return spikes


class Threshold(nn.Module):
    """Neurons without a state, of a class that no one knows."""

    def forward(self, current: Tensor) -> Tensor:
        return (current > 0.2).to(current)


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (Attention(), "2: matrix product of activations"),
        (nn.GroupNorm(2, 4), "2: native_group_norm"),
        (nn.BatchNorm2d(4), "2: a BatchNorm that does not follow a layer directly"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "2: upsample_bilinear2d"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), Threshold()), r"2.1: a comparison makes spikes.*neurons=\(CLASS,\)"),
        (nn.PReLU(4), r"2 \(PReLU\): a module with parameters"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_is_not_counted_is_named(part: nn.Module, note: str) -> None:
    counts = count(started(small(part)), [IMAGES], T)
    assert any(re.match(note, each) for each in counts.uncounted), counts.uncounted


def test_readout_behind_the_last_layer_is_no_note() -> None:
    model = nn.Sequential(started(small()), nn.Softmax(1))
    assert count(model, [IMAGES], T).uncounted == ()


def test_neurons_of_another_class_can_be_named() -> None:
    step = nn.Sequential(nn.Conv2d(2, 4, 3), Custom(), nn.Conv2d(4, 2, 3), Custom())
    counts = count(step, [IMAGES], T, neurons=(Custom,))
    assert counts.forward == "step"
    assert [layer.neurons for layer in counts.layers] == [4 * 36, 2 * 16]
    assert counts.spikes > 0
    assert counts.layers[1].acs > 0
    assert all("an update is counted as one multiplication" in each for each in counts.uncounted)


class Analog(Custom):
    def forward(self, current: Tensor) -> Tensor:
        return super().forward(current) * current


def test_neurons_that_emit_real_numbers_must_be_named() -> None:
    step = nn.Sequential(nn.Conv2d(2, 4, 3), Analog(), nn.Conv2d(4, 2, 3))
    with pytest.raises(CountError, match=r"1 emits .*not a whole number of spikes.*real="):
        count(step, [IMAGES], T, neurons=(Analog,))
    layer = count(step, [IMAGES], T, neurons=(Analog,), real=("1",)).layers[1]
    assert (layer.acs, layer.macs) == (0, T * 2 * 4 * 9 * 16)
    with pytest.raises(CountError, match=r"given real=\['x'\]; the neurons of the model are 1"):
        count(step, [IMAGES], T, neurons=(Analog,), real=("x",))


def test_model_without_layers_is_refused() -> None:
    with pytest.raises(CountError, match="nothing to count"):
        count(nn.Sequential(leaky()), [IMAGES], T)


def test_every_energy_model_prices_any_model() -> None:
    for energy in estimate_all(count(started(small(nn.AvgPool2d(2))), [IMAGES], T)).values():
        assert energy.total_mj > 0


def spikingjelly_model() -> nn.Module:
    layer = pytest.importorskip("spikingjelly.activation_based.layer", reason="needs the extra `bench`")
    from spikingjelly.activation_based import neuron

    torch.manual_seed(0)
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, bias=False), layer.BatchNorm2d(4), neuron.IFNode(v_threshold=0.2), layer.MaxPool2d(2),
        layer.Flatten(), layer.Linear(36, 5), neuron.ParametricLIFNode(v_threshold=0.05),
    )  # fmt: skip


class Repeat(nn.Module):
    """The usual form of SpikingJelly's tutorials: the model repeats the image and averages its spikes."""

    def __init__(self, sequence: nn.Module) -> None:
        super().__init__()
        self.sequence = sequence

    def forward(self, image: Tensor) -> Tensor:
        return self.sequence(image.unsqueeze(0).repeat(T, 1, 1, 1, 1)).mean(0)


def test_step_modes_of_spikingjelly_have_the_same_figures() -> None:
    step = spikingjelly_model()
    single = count(step, [IMAGES], T)
    from spikingjelly.activation_based import functional as spiking

    spiking.set_step_mode(step, "m")
    several, repeated = count(step, [IMAGES], T), count(Repeat(step), [IMAGES], T)
    assert [each.forward for each in (single, several, repeated)] == ["step", "sequence", "loop"]
    assert single.spikes > 0
    for one, two, three in zip(single.layers, several.layers, repeated.layers, strict=True):
        assert (one.macs, one.acs, one.spikes_out, one.neuron_ops) == (
            two.macs,
            two.acs,
            two.spikes_out,
            two.neuron_ops,
        )
        assert (two.acs, two.evaluations, two.bias_adds) == (three.acs, three.evaluations, three.bias_adds)
    assert [layer.neuron_ops for layer in single.layers] == [0, 5 * T]
    assert single.uncounted == ()


def test_ann_layers_in_a_container_of_spikingjelly_are_counted() -> None:
    layer = pytest.importorskip("spikingjelly.activation_based.layer", reason="needs the extra `bench`")
    from spikingjelly.activation_based import neuron

    ann = layer.SeqToANNContainer(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4))
    model = nn.Sequential(ann, neuron.LIFNode(v_threshold=0.1, step_mode="m"))
    (found,) = count(model, [IMAGES], T).layers
    assert (found.name, found.op.batchnorm, found.neurons) == ("0.0", True, 4 * 36)
