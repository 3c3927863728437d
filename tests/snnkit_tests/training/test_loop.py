"""The training loop learns, depends on its seed alone, resumes bit for bit, and stops hopeless trainings."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.counting import fired
from torch import Tensor, nn

from snnkit.architecture.plan import Conv, Neurons
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import Images, Splits
from snnkit.energy.operations import count_operations
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn.network import Fired, Network, Observer
from snnkit.training.averaging import ema_decay
from snnkit.training.checkpoint import CheckpointError, load_checkpoint
from snnkit.training.evaluation import batches, evaluate
from snnkit.training.loop import Epoch, TrainingStopped, chance_accuracy, train, training_fingerprint
from snnkit.training.optimizer import make_optimizer
from snnkit.training.recalibration import calibration_batches, recalibrate, recalibrated
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep
from snnkit.training.synop_penalty import SynopPenalty

CONV = Conv("conv", "input", (1, 8, 8), (6, 8, 8), kernel=3, padding=1)


class Small(nn.Module):
    """A small stand-in for a Network: one observable layer, BatchNorm, dropout and a classifier."""

    def __init__(self, *, fails_at: int | None = None, signal: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 3, 1)
        self.fails_at, self.signal, self.calls = fails_at, signal, 0

    def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
        if self.training:
            self.calls += 1
            if self.calls == self.fails_at:
                raise KeyboardInterrupt
        active = self.norm(self.conv(images)).relu() * self.signal
        if observe is not None:
            observe(CONV, images[None], fired(active[None]))
        logits: Tensor = self.head(nn.functional.dropout(active, 0.2, self.training)).mean((2, 3))
        return logits


def brightness(count: int, seed: int, side: int = 8) -> Images:
    """Return images of three classes that differ in brightness, learnt within an epoch or two."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 60, (count, 1, side, side)) + 90 * labels[:, None, None, None]
    return Images(images.astype(np.uint8), labels)


SPLITS = Splits("small", brightness(90, 0), brightness(60, 1), brightness(30, 2), (0.5,), (0.3,), ("a", "b", "c"))
RECIPE = Recipe(epochs=3, batch=20, lr=0.05, precision="fp32", clip_norm=1.0, chance_patience=0)
STEPS = 90 // 20  # per epoch
LARGER = replace(SPLITS, train=brightness(90, 0, side=16), validation=brightness(60, 1, side=16))
LONGER = replace(SPLITS, train=brightness(400, 0))  # BatchNorm's running statistics settle within 20 steps


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(network: nn.Module, recipe: Recipe = RECIPE, *, splits: Splits = SPLITS, seed: int = 0) -> list[Epoch]:
    return list(train(network, splits, recipe, seed=seed, device="cpu"))


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_time(epochs: list[Epoch]) -> list[Epoch]:
    return [replace(epoch, wall_s=0.0) for epoch in epochs]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "constant"])
def test_every_recipe_learns(optimizer: str, schedule: str) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": optimizer, "schedule": schedule, "label_smoothing": 0.1})
    history = run(Small(), recipe, splits=LONGER)
    assert [epoch.epoch for epoch in history] == [1, 2, 3]
    assert history[-1].val_accuracy > 0.8
    assert history[-1].train_loss < history[0].train_loss


def test_spiking_network_learns() -> None:
    history = run(spiking_squeezenet(), RECIPE.model_copy(update={"lr": 0.01}), splits=LONGER)
    assert history[-1].val_accuracy > 0.8


@pytest.mark.parametrize(
    "section",
    [{"loss": "each_step"}, {"rate_penalty": 0.5}, {"ema": 0.9}, {"short_epochs": 1}, {"mixup": 0.2}, {"erase": 0.3},
     {"optimizer": "muon"}, {"augment": "alternate_crop"}],
)  # fmt: skip
def test_spiking_network_learns_with(section: dict[str, object]) -> None:
    recipe = RECIPE.model_copy(update={"lr": 0.01} | section)
    assert run(spiking_squeezenet(), recipe, splits=LONGER)[-1].val_accuracy > 0.8


def test_rate_penalty_lowers_the_number_of_accumulates() -> None:
    def accumulates(penalty: float) -> float:
        network = spiking_squeezenet()
        run(network, RECIPE.model_copy(update={"lr": 0.01, "rate_penalty": penalty}), splits=LONGER)
        return count_operations(network, batches(LONGER.validation, LONGER, "cpu")).acs

    assert accumulates(3.0) < 0.7 * accumulates(0.0)


def test_penalty_is_accumulates_per_synapse_and_step() -> None:
    """Compare with a count by hand of the spikes that an observer sees."""
    network, penalty = spiking_squeezenet().eval(), SynopPenalty()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen: list[tuple[float, int]] = []

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        penalty(op, incoming, fired)
        if isinstance(op, Conv) and op.reads == "spikes":
            per_spike = op.dense_macs / math.prod(op.in_shape)  # synapses, taps in the padding counted
            spikes = float(incoming.double().sum()) * op.input_scale / (len(incoming) * incoming.shape[1])
            seen.append((spikes * per_spike, op.dense_macs))

    with torch.no_grad():
        network(images, observe)
    accumulates, synapses = (sum(each) for each in zip(*seen, strict=True))
    assert float(penalty.synops_per_synapse) == pytest.approx(accumulates / synapses, rel=1e-5)
    assert 0.01 < float(penalty.synops_per_synapse) < 1


def test_logits_are_the_mean_over_time_steps() -> None:
    network = spiking_squeezenet().eval()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        steps = network(images, each_step=True)
        assert steps.shape == (2, 4, 3)
        assert torch.equal(steps.mean(0), network(images))
    assert not torch.equal(steps[0], steps[1])


def test_short_epochs_have_fewer_time_steps_and_cost_less() -> None:
    network = spiking_squeezenet()
    trained: list[list[int]] = [[]]
    network.layer(network.plan.convs[0]).conv.register_forward_pre_hook(
        lambda module, given: trained[-1].append(network.timesteps) if module.training else None
    )
    recipe = RECIPE.model_copy(update={"epochs": 2, "short_epochs": 1, "chance_patience": 0})
    costs = []
    for epoch in train(network, SPLITS, recipe, seed=0, device="cpu"):
        costs.append(epoch.macs)
        trained.append([])
    assert trained[:2] == [[1] * STEPS, [2] * STEPS]
    assert network.timesteps == 2  # as it is evaluated
    assert costs[0] < costs[1]


def growing_sides(recipe: Recipe) -> tuple[list[int], list[int], list[Epoch]]:
    """Train, and return the sides of the images by training step and by epoch of evaluation, and the epochs."""
    network = spiking_squeezenet(side=16)
    trained: list[int] = []
    evaluated: list[int] = []

    def note(module: nn.Module, given: tuple[Tensor]) -> None:
        (trained if module.training else evaluated).append(given[0].shape[-1])

    network.layer(network.plan.convs[0]).conv.register_forward_pre_hook(note)
    epochs = run(network, recipe, splits=LARGER)
    return trained, evaluated, epochs


def test_images_grow_to_full_size_and_validation_is_always_at_full_size() -> None:
    recipe = RECIPE.model_copy(update={"epochs": 3, "first_resolution": 8})
    trained, evaluated, epochs = growing_sides(recipe)
    assert trained == [8] * STEPS + [12] * STEPS + [16] * STEPS
    assert set(evaluated) == {16}
    *_, whole = run(spiking_squeezenet(side=16), RECIPE, splits=LARGER)
    assert epochs[0].macs < 0.35 * whole.macs
    assert epochs[0].macs < epochs[1].macs < epochs[2].macs == whole.macs


def test_images_grow_within_one_epoch_and_up_to_each_rung() -> None:
    one = RECIPE.model_copy(update={"epochs": 1, "first_resolution": 8})
    trained, _, (epoch,) = growing_sides(one)
    assert trained == [8, 12, 12, 16]
    assert sum(step.macs for step in growing_sides(one.model_copy(update={"epochs": 3}))[2]) > 2 * epoch.macs
    trained, _, _ = growing_sides(RECIPE.model_copy(update={"rungs": (1,), "first_resolution": 8}))
    assert trained == [8, 12, 12, 16, 8, 8, 8, 12, 12, 16, 16, 16]


def test_weights_are_averaged_over_the_last_resolution_only() -> None:
    recipe = RECIPE.model_copy(update={"first_resolution": 8, "ema": 0.99})
    step = TrainStep(spiking_squeezenet(side=16), LARGER, recipe, seed=0, device="cpu")
    assert step.average is not None
    averaged = []
    for epoch, number in itertools.product(range(3), range(STEPS)):
        step.run(epoch, number)
        averaged.append(int(step.average.n_averaged))
    assert averaged == [1, 2, 3, 4] * 3


def test_teacher_sees_the_full_size() -> None:
    network = spiking_squeezenet(side=16)
    twin = Network(network.plan, None, EncodingConfig(timesteps=2))
    seen: list[int] = []
    twin.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    recipe = RECIPE.model_copy(update={"first_resolution": 8, "start": "cnn", "distill": 0.5})
    TrainStep(network, LARGER, recipe, seed=0, device="cpu", teacher=twin).run(0, 0)
    assert seen == [16]


def test_averaged_weights_are_evaluated_and_saved_and_training_continues_from_its_own() -> None:
    """Compare with an average that is updated by hand after every step."""
    network, plain = Small(), Small()
    recipe = RECIPE.model_copy(update={"ema": 0.5})
    step = TrainStep(plain, SPLITS, RECIPE, seed=0, device="cpu")
    by_hand = Small()
    evaluated: list[dict[str, Tensor]] = []
    training = train(
        network, SPLITS, recipe, seed=0, device="cpu", after_epoch=lambda _, found: evaluated.append(weights(found))
    )
    for epoch, found in enumerate(training):
        plain.train()
        for number in range(STEPS):
            step.run(epoch, number)
            before = epoch * STEPS + number  # steps before this one
            decay = min(0.5, (1 + before) / (10 + before)) if before else 0.0
            with torch.no_grad():
                for averaged, current in zip(by_hand.state_dict().values(), plain.state_dict().values(), strict=True):
                    averaged.copy_(averaged * decay + current * (1 - decay))
        assert equal(weights(network), weights(plain))  # while the generator is suspended
        expected = weights(by_hand)
        assert all(torch.allclose(tensor.double(), expected[name].double(), atol=1.01 if "tracked" in name else 1e-6)
                   for name, tensor in evaluated[-1].items())  # fmt: skip
        by_average = evaluate(by_hand, SPLITS.validation, SPLITS, device="cpu")
        assert found.val_loss == pytest.approx(by_average.loss, rel=1e-4)
    assert equal(weights(network), evaluated[-1])
    assert not equal(weights(network), weights(plain))


def test_epoch_is_reported_before_its_checkpoint_is_written(tmp_path: Path) -> None:
    """So a caller that measures the evaluated network never misses an epoch of a resumed training."""
    seen: list[tuple[int, int]] = []

    def after_epoch(epoch: Epoch, _: nn.Module) -> None:
        saved = load_checkpoint(path)["progress"]["history"] if path.exists() else []
        seen.append((epoch.epoch, len(saved)))

    path = tmp_path / "c.pt"
    options = {"seed": 0, "device": "cpu", "checkpoint": path, "checkpoint_every_s": math.inf}
    next(train(Small(), SPLITS, RECIPE, after_epoch=after_epoch, **options))  # type: ignore[arg-type]
    list(train(Small(), SPLITS, RECIPE, after_epoch=after_epoch, **options))  # type: ignore[arg-type]
    assert seen == [(1, 0), (2, 1), (3, 2)]


def test_average_in_a_checkpoint_has_the_names_of_the_network(tmp_path: Path) -> None:
    """Checkpoints of earlier versions hold these names as well, so they still load."""
    list(train(Small(), SPLITS, RECIPE.model_copy(update={"ema": 0.9}), seed=0, device="cpu",
               checkpoint=tmp_path / "c.pt"))  # fmt: skip
    average = load_checkpoint(tmp_path / "c.pt")["average"]
    assert set(average) == {"n_averaged", *(f"module.{name}" for name in Small().state_dict())}
    assert int(average["n_averaged"]) == 3 * STEPS


def test_recalibrated_statistics_are_evaluated_and_saved_and_change_no_step() -> None:
    averaged = RECIPE.model_copy(update={"ema": 0.5})
    network, plain = spiking_squeezenet(), spiking_squeezenet()
    images = calibration_batches(SPLITS, 0, "cpu", 40)
    recalibrated_losses: list[float] = []

    def after_epoch(_: Epoch, found: nn.Module) -> None:
        statistics = weights(found)
        with recalibrated(found, images):
            recalibrated_losses.append(evaluate(found, SPLITS.validation, SPLITS, device="cpu").loss)
        assert equal(weights(found), statistics)

    recipe = averaged.model_copy(update={"recalibrate": 40})
    training = train(network, SPLITS, recipe, seed=0, device="cpu")
    without = train(plain, SPLITS, averaged, seed=0, device="cpu", after_epoch=after_epoch)
    for found, before in zip(training, without, strict=True):
        assert found.train_loss == before.train_loss
        assert found.val_loss == pytest.approx(recalibrated_losses[-1])
        assert found.val_loss != before.val_loss
    assert not equal(weights(network), weights(plain))
    recalibrate(plain, images)
    assert equal(weights(network), weights(plain))


def test_a_short_training_is_not_evaluated_by_its_initial_weights() -> None:
    recipe = RECIPE.model_copy(update={"ema": 0.9999})
    assert run(Small(), recipe, splits=LONGER)[-1].val_accuracy > 0.8
    assert [ema_decay(steps, 0.99) for steps in (1, 90, 10_000)] == [pytest.approx(2 / 11), 0.91, 0.99]


@pytest.mark.parametrize("at", [2, STEPS, STEPS + 1])
def test_interrupted_training_with_averaged_weights_ends_bit_equal(tmp_path: Path, at: int) -> None:
    recipe = RECIPE.model_copy(update={"ema": 0.8})
    straight = Small()
    history = run(straight, recipe)
    resumed = interrupted(Small, tmp_path / "c.pt", at, 0.0, recipe=recipe)
    epochs = list(train(resumed, SPLITS, recipe, seed=0, device="cpu", checkpoint=tmp_path / "c.pt"))
    assert without_time(epochs) == without_time(history)
    assert equal(weights(resumed), weights(straight))


def test_bf16_learns_and_keeps_fp32_weights() -> None:
    network = Small()
    assert run(network, RECIPE.model_copy(update={"precision": "bf16"}), splits=LONGER)[-1].val_accuracy > 0.8
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}


def test_seed_decides_everything_and_global_draws_nothing() -> None:
    first, second, other = Small(), Small(), Small()
    history = run(first)
    torch.rand(7)
    assert without_time(run(second)) == without_time(history)
    assert equal(weights(first), weights(second))
    run(other, seed=1)
    assert not equal(weights(first), weights(other))


def test_caller_that_draws_random_numbers_between_epochs_changes_nothing() -> None:
    still, disturbed = Small(), Small()
    run(still)
    for _ in train(disturbed, SPLITS, RECIPE, seed=0, device="cpu"):
        torch.rand(3)
    assert equal(weights(still), weights(disturbed))


def test_learning_rate_follows_the_recipe() -> None:
    rates = [epoch.learning_rate for epoch in run(Small(), RECIPE.model_copy(update={"warmup": 0.5}))]
    middle = [(4 * epoch + 3.5) / 12 for epoch in range(3)]  # of the last of 4 steps in each of 3 epochs
    assert rates == pytest.approx([0.05 * middle[0] / 0.5, 0.05 * (1 - middle[1]) / 0.5, 0.05 * (1 - middle[2]) / 0.5])


def test_biases_and_batchnorm_are_not_decayed() -> None:
    decayed, free = make_optimizer(Small(), RECIPE).param_groups
    assert [parameter.ndim for parameter in decayed["params"]] == [4, 4]
    assert {parameter.ndim for parameter in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (RECIPE.weight_decay, 0.0)


def test_batch_larger_than_the_data_is_one_step() -> None:
    history = run(Small(), RECIPE.model_copy(update={"batch": 1000}))
    assert len(history) == 3


def interrupted(
    make: type[Small], checkpoint: Path, at: int, every_s: float, seed: int = 0, recipe: Recipe = RECIPE
) -> Small:
    """Train until the forward pass ``at`` raises, then resume with a new network until the end."""
    network = make(fails_at=at)
    seconds = itertools.count()  # a clock that advances a second each time it is read
    with pytest.raises(KeyboardInterrupt):
        for _ in train(
            network, SPLITS, recipe, seed=seed, device="cpu",
            checkpoint=checkpoint, checkpoint_every_s=every_s, clock=lambda: next(seconds),
        ):  # fmt: skip
            pass
    return make()


@pytest.mark.parametrize("at", [1, 2, STEPS, STEPS + 1, 2 * STEPS + 3, 3 * STEPS])
@pytest.mark.parametrize("every_s", [0.0, 3.0, math.inf])
def test_interrupted_training_ends_bit_equal(tmp_path: Path, at: int, every_s: float) -> None:
    straight = Small()
    history = run(straight)
    resumed = interrupted(Small, tmp_path / "c.pt", at, every_s)
    torch.rand(5)
    epochs = list(train(resumed, SPLITS, RECIPE, seed=0, device="cpu", checkpoint=tmp_path / "c.pt"))
    assert without_time(epochs) == without_time(history)
    assert equal(weights(resumed), weights(straight))
    assert resumed.calls <= 3 * STEPS - (at - 1 if every_s == 0.0 else 0)


def spiking_squeezenet(leak: float = 0.9, side: int = 8) -> Network:
    removed = {f"fire{number}": {"keep": False} for number in (3, 5, 6, 7, 8, 9)}
    fires = {f"fire{number}": {"squeeze": 4, "expand1x1": 6, "expand3x3": 6} for number in (2, 4)}
    design = SqueezeNet.model_validate({"stem": {"width": 8}, "head": {"dropout": 0.2}} | removed | fires)
    return Network(plan(design, 3, (1, side, side)), NeuronConfig(leak=leak), EncodingConfig(timesteps=2))


GROWING = {"optimizer": "muon", "augment": "alternate_crop", "first_resolution": 8, "ema": 0.8}


@pytest.mark.parametrize("section", [{}, GROWING])
@pytest.mark.parametrize("stop_after", [1, 3, 6])
def test_spiking_network_resumes_bit_equal(tmp_path: Path, stop_after: int, section: dict[str, object]) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 2} | section)
    straight, cut, resumed = (spiking_squeezenet(side=16) for _ in range(3))
    run(straight, recipe, splits=LARGER)
    steps = itertools.count(1)

    def interrupt(module: nn.Module, _: object) -> None:
        if module.training and next(steps) > stop_after:
            raise KeyboardInterrupt

    cut.register_forward_pre_hook(interrupt)
    options = {"seed": 0, "device": "cpu", "checkpoint": tmp_path / "c.pt"}
    with pytest.raises(KeyboardInterrupt):
        list(train(cut, LARGER, recipe, checkpoint_every_s=0.0, **options))  # type: ignore[arg-type]
    list(train(resumed, LARGER, recipe, **options))  # type: ignore[arg-type]
    assert equal(weights(resumed), weights(straight))


def test_finished_training_is_read_back_without_a_step(tmp_path: Path) -> None:
    first, second = Small(), Small()
    history = list(train(first, SPLITS, RECIPE, seed=0, device="cpu", checkpoint=tmp_path / "c.pt"))
    assert list(train(second, SPLITS, RECIPE, seed=0, device="cpu", checkpoint=tmp_path / "c.pt")) == history
    assert second.calls == 0
    assert equal(weights(first), weights(second))


def test_time_before_an_interruption_counts_and_the_gap_does_not(tmp_path: Path) -> None:
    resumed = interrupted(Small, tmp_path / "c.pt", at=STEPS, every_s=0.0)
    spent = load_checkpoint(tmp_path / "c.pt")["progress"]["wall_s"]
    late = itertools.count(1e6)
    options = {"seed": 0, "device": "cpu", "checkpoint": tmp_path / "c.pt", "clock": lambda: next(late)}
    first = next(train(resumed, SPLITS, RECIPE, **options))  # type: ignore[arg-type]
    assert spent < first.wall_s < spent + 10


@pytest.mark.parametrize("change", ["recipe", "seed", "data", "network", "neuron"])
def test_checkpoint_of_another_training_is_refused(tmp_path: Path, change: str) -> None:
    checkpoint = tmp_path / "c.pt"
    options = {"seed": 0, "device": "cpu", "checkpoint": checkpoint}
    next(train(spiking_squeezenet(), SPLITS, RECIPE, **options))  # type: ignore[arg-type]
    network = {"network": Small(), "neuron": spiking_squeezenet(leak=0.5)}.get(change, spiking_squeezenet())
    recipe = RECIPE.model_copy(update={"lr": 0.1}) if change == "recipe" else RECIPE
    splits = replace(SPLITS, mean=(0.4,)) if change == "data" else SPLITS
    options |= {"seed": 1} if change == "seed" else {}
    with pytest.raises(CheckpointError, match=r"c\.pt: belongs to another network, recipe, data or seed"):
        next(train(network, splits, recipe, **options))  # type: ignore[arg-type]


def test_a_checkpoint_outlives_a_version_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        return training_fingerprint(spiking_squeezenet(), SPLITS, RECIPE, seed=0)

    before = told()
    monkeypatch.setattr(nn.BatchNorm2d, "extra_repr", lambda self: "in other words")
    assert told() == before


def test_loss_that_is_not_finite_stops_with_epoch_and_step() -> None:
    class Diverging(Small):
        def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
            logits = super().forward(images, observe)
            return logits * math.nan if self.training and self.calls == STEPS + 2 else logits

    with pytest.raises(TrainingStopped, match="loss is nan at epoch 2, step 2") as stop:
        run(Diverging())
    assert [epoch.epoch for epoch in stop.value.history] == [1]


def test_layer_without_spikes_at_chance_is_a_dead_network() -> None:
    with pytest.raises(TrainingStopped, match="after epoch 1 no spike in conv over 60 validation images") as stop:
        run(Small(signal=0.0))
    assert len(stop.value.history) == 1


def test_dead_layer_of_a_network_that_learns_does_not_stop_it() -> None:
    class WithDeadBranch(Small):
        def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
            if observe is not None:
                observe(replace(CONV, name="branch"), images[None], fired(torch.zeros(1, 1, 1, 1, 1)))
            return super().forward(images, observe)

    assert run(WithDeadBranch(), splits=LONGER)[-1].val_accuracy > 0.8


class Guessing(Small):
    def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
        return super().forward(images, observe) * 0 + torch.tensor([1.0, 0.0, 0.0])


def test_chance_accuracy_stops_after_the_patience() -> None:
    with pytest.raises(
        TrainingStopped, match=r"at chance .* after 2 epochs: .*; a larger train\.chance_patience waits"
    ) as stop:
        run(Guessing(), RECIPE.model_copy(update={"chance_patience": 2}))
    assert len(stop.value.history) == 2


def test_patience_of_zero_never_stops() -> None:
    assert len(run(Guessing(), RECIPE.model_copy(update={"chance_patience": 0}))) == 3


def test_chance_is_the_largest_class_and_two_standard_errors() -> None:
    labels = torch.tensor([0] * 60 + [1] * 40)
    assert chance_accuracy(labels) == pytest.approx(0.6 + 2 * math.sqrt(0.6 * 0.4 / 100))
