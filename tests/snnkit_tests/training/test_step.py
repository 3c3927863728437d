"""Recipe, augmentation, loss, evaluation and checkpoint, each tested by itself."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import f1_score
from torch import Tensor, nn

from snnkit.base.config import EncodingConfig
from snnkit.data import Images, Splits
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn.network import Network
from snnkit.training.augment import area_resized, cutout, flip_crop, normalise, trivial_augment
from snnkit.training.batch import Batch, BatchLoader, copy_to_device, mix_up
from snnkit.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint, set_aside
from snnkit.training.evaluation import batches, evaluate, macro_f1
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep

# Recipe


@pytest.mark.parametrize("schedule", ["cosine", "onecycle"])
def test_each_rung_ends_a_whole_schedule(schedule: str) -> None:
    recipe = Recipe.model_validate({"epochs": 10, "rungs": (2, 5), "schedule": schedule})
    plain = Recipe.model_validate({"epochs": 10, "schedule": schedule})
    for start, end in ((0, 2), (2, 5), (5, 10)):
        for share in (0.0, 0.1, 0.2, 0.6, 0.99):
            epoch = start + share * (end - start)
            assert recipe.learning_rate(epoch / 10) == pytest.approx(plain.learning_rate(share))


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "constant"])
def test_rate_rises_to_its_peak_over_the_warmup(schedule: str) -> None:
    recipe = Recipe.model_validate({"lr": 0.4, "warmup": 0.25, "schedule": schedule})
    assert [recipe.learning_rate(progress) for progress in (0, 0.125, 0.25)] == pytest.approx([0, 0.2, 0.4])


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("cosine", 0.2, 0.0), ("onecycle", 0.2, 0.0), ("constant", 0.4, 0.4)]
)
def test_rate_falls_as_the_schedule_says(schedule: str, middle: float, end: float) -> None:
    recipe = Recipe.model_validate({"lr": 0.4, "warmup": 0.0, "schedule": schedule})
    assert recipe.learning_rate(0.0) == 0.4
    assert recipe.learning_rate(0.5) == pytest.approx(middle)
    assert recipe.learning_rate(1.0) == pytest.approx(end)


def test_cosine_stays_above_the_line_in_its_first_half() -> None:
    cosine, line = (Recipe.model_validate({"lr": 1, "warmup": 0, "schedule": s}) for s in ("cosine", "onecycle"))
    assert cosine.learning_rate(0.25) > line.learning_rate(0.25)


def test_resolution_grows_up_to_each_rung() -> None:
    recipe = Recipe(epochs=9, rungs=(3,), first_resolution=16)
    sides = [recipe.resolution((epoch + 0.5) / 9, 32) for epoch in range(9)]
    assert sides == [16, 24, 32, 16, 16, 24, 24, 32, 32]
    assert Recipe(epochs=9).resolution(0.1, 32) == 32


def test_only_the_twin_of_a_converted_network_trains_on_small_images() -> None:
    recipe = Recipe(start="cnn", epochs=9, cnn_epochs=3, first_resolution=16)
    assert [recipe.resolution((epoch + 0.5) / 9, 32) for epoch in range(9)] == [32] * 9
    assert [recipe.for_cnn_twin.resolution((epoch + 0.5) / 3, 32) for epoch in range(3)] == [16, 24, 32]


@pytest.mark.parametrize(
    "section",
    [{"epochs": 0}, {"batch": 0}, {"lr": 0}, {"lr": float("nan")}, {"warmup": 1}, {"optimizer": "adam"},
     {"clip_norm": 0}, {"start": "imagenet"}, {"learning_rate": 0.1}, {"ema": 1}, {"erase": 1}, {"mixup": -1},
     {"distill": 0.5}, {"epochs": 3, "short_epochs": 3}, {"loss": "last_step"}, {"rate_penalty": -1},
     {"muon_lr": 0}, {"first_resolution": 7}],
)  # fmt: skip
def test_impossible_recipe_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(section)


def test_options_that_are_off_do_not_affect_a_training() -> None:
    plain = Recipe().effective()
    assert Recipe(temperature=5, short_timesteps=3, muon_lr=0.2).effective() == plain
    assert sorted(plain) == [  # the fingerprint of a stored study contains these; a new option must be absent if off
        "augment", "batch", "chance_patience", "clip_norm", "epochs", "label_smoothing", "lr", "momentum", "optimizer",
        "precision", "rungs", "schedule", "start", "warmup", "weight_decay",
    ]  # fmt: skip
    for section in ({"ema": 0.9}, {"loss": "each_step"}, {"mixup": 0.2}, {"erase": 0.5}, {"rate_penalty": 0.1},
                    {"first_resolution": 16}, {"optimizer": "muon", "muon_lr": 0.2}):  # fmt: skip
        assert Recipe.model_validate(section).effective() == plain | section
    distilling = Recipe(start="cnn", distill=0.5, temperature=5).effective()
    assert (distilling["distill"], distilling["temperature"], distilling["cnn_epochs"]) == (0.5, 5, 10)


def test_recipe_of_a_twin_has_no_option_about_spikes() -> None:
    recipe = Recipe(start="cnn", cnn_epochs=7, distill=0.5, rate_penalty=1, loss="each_step", short_epochs=2, ema=0.9)
    assert recipe.for_cnn_twin == Recipe(epochs=7, cnn_epochs=7, ema=0.9)
    growing = Recipe(start="cnn", cnn_epochs=7, optimizer="muon", first_resolution=16)
    assert growing.for_cnn_twin == Recipe(epochs=7, cnn_epochs=7, optimizer="muon", first_resolution=16)
    assert Recipe(epochs=3, cnn_epochs=7).for_cnn_twin.epochs == 3


def test_recipe_loads_no_torch() -> None:
    code = "import sys, snnkit.training.recipe; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


# Augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_crop_moves_whole_images_by_an_eighth_at_most() -> None:
    side, pad, count = 16, 2, 200
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    image = torch.stack([rows, columns]).to(torch.uint8)  # a pixel carries its own place
    found = flip_crop(image.expand(count, 2, side, side), generator()).int()
    row_shift, middle = found[:, 0, 8, 8] - 8, found[:, 1, 8, 8]
    mirrored = found[:, 1, 8, 9] < middle
    column_shift = torch.where(mirrored, middle - 7, middle - 8)
    assert row_shift.unique().tolist() == column_shift.unique().tolist() == list(range(-pad, pad + 1))
    assert 0.35 < mirrored.float().mean() < 0.65
    inner = slice(pad, side - pad)  # no reflected edge in it
    expected_rows = torch.arange(side)[None, inner] + row_shift[:, None]
    assert torch.equal(found[:, 0, inner, 8], expected_rows.int())
    assert found.max() == side - 1  # reflected, not padded with another value


def test_alternate_crop_mirrors_each_image_in_every_second_epoch() -> None:
    """Rows of an image are equal, so a shifted image is mirrored if its pixels fall to the right."""
    count = 64
    rising = np.broadcast_to(np.arange(0, 240, 8, dtype=np.uint8), (count, 1, 30, 30))
    images = Images(rising, np.arange(count))
    splits = Splits("rising", images, images, images, (0.5,), (0.3,), tuple(map(str, range(count))))

    def mirrored(epoch: int) -> set[int]:
        loader = BatchLoader(splits, Recipe(batch=16, augment="alternate_crop"), seed=0, device=torch.device("cpu"))
        batches = [loader.load(epoch, step) for step in range(4)]
        return {
            int(label)
            for batch in batches
            for image, label in zip(batch.images, batch.labels, strict=True)
            if image[0, 15, 14] > image[0, 15, 15]
        }

    first, second = mirrored(0), mirrored(1)
    assert 16 < len(first) < 48
    assert second == set(range(count)) - first
    assert mirrored(2) == first


def test_area_is_averaged() -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert area_resized(images, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert area_resized(images, 4) is images
    frames = torch.zeros(1, 2, 1, 4, 4)
    assert area_resized(frames, 2) is frames


def test_flip_crop_keeps_channels_together() -> None:
    images = torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8).expand(8, 3, 32, 32)
    found = flip_crop(images, generator())
    assert torch.equal(found[:, 0], found[:, 2])
    assert found.shape == images.shape


def test_same_generator_same_crop() -> None:
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(flip_crop(images, generator(1)), flip_crop(images, generator(1)))
    assert not torch.equal(flip_crop(images, generator(1)), flip_crop(images, generator(2)))


def test_trivial_augment_is_torchvision_s_and_leaves_the_global_generator_alone() -> None:
    from torchvision.transforms.v2 import TrivialAugmentWide

    images = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=generator())
    state = torch.get_rng_state()
    found = trivial_augment(images, generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, trivial_augment(images, generator(1)))
    assert not torch.equal(found, trivial_augment(images, generator(2)))
    torch.manual_seed(int(torch.randint(2**62, (), generator=generator(1))))
    assert torch.equal(found, torch.stack([TrivialAugmentWide()(image) for image in images]))
    changed = (found != images).flatten(1).any(1).float().mean()
    assert 0.5 < changed < 1  # one of its operations is none at all


def test_cutout_squares_have_the_given_size() -> None:
    found = cutout(torch.ones(500, 2, 16, 16), 0.5, generator())
    hidden = found == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    rows, columns = hidden[:, 0].any(2).sum(1), hidden[:, 0].any(1).sum(1)
    assert torch.equal(hidden[:, 0].sum((1, 2)), rows * columns)  # one rectangle
    assert (int(rows.max()), int(columns.max())) == (8, 8)
    assert 3 < int(rows.min()) < 8  # over an edge at times
    frames = cutout(torch.ones(5, 4, 2, 16, 16), 0.5, generator())
    assert torch.equal(frames[:, 0], frames[:, 3])


def test_mixed_images_and_labels_are_mixed_alike() -> None:
    images, labels = torch.eye(6)[:, :, None, None].contiguous(), torch.arange(6)
    shares = []
    for seed in range(200):
        found = mix_up(Batch(images, labels), 0.3, seed)
        assert found.mixup_labels is not None
        expected = found.mixup_share * torch.eye(6) + (1 - found.mixup_share) * torch.eye(6)[found.mixup_labels]
        assert torch.allclose(found.images[:, :, 0, 0], expected, atol=1e-6)
        assert torch.equal(found.labels, labels)
        assert sorted(found.mixup_labels.tolist()) == labels.tolist()
        shares.append(found.mixup_share)
    assert min(shares) >= 0.5
    assert 0.8 < sum(shares) / len(shares) < 0.97  # a small alpha: mostly the one or the other


# Loss


def loss_of(recipe: Recipe, logits: Tensor, batch: Batch, teacher: Network | None = None) -> float:
    step = TrainStep(nn.Conv2d(2, 3, 1), SPLITS, recipe, seed=0, device="cpu", teacher=teacher)
    return float(step._loss(logits, batch))


def test_loss_of_each_step_is_the_mean_over_time_steps() -> None:
    logits, labels = torch.randn(3, 5, 4, generator=generator()), torch.tensor([0, 1, 2, 3, 0])
    batch = Batch(torch.empty(5, 2, 4, 4), labels)
    expected = sum(nn.functional.cross_entropy(step, labels, label_smoothing=0.1) for step in logits) / 3
    assert loss_of(Recipe(label_smoothing=0.1), logits, batch) == pytest.approx(float(expected))


def test_mixed_labels_count_by_their_share() -> None:
    logits, one, other = torch.randn(2, 5, 4, generator=generator()), torch.tensor([0, 1, 2, 3, 0]), torch.arange(5) % 4
    batch = Batch(torch.empty(5, 2, 4, 4), one, other, torch.tensor(0.7))
    plain = [loss_of(Recipe(), logits, Batch(batch.images, labels)) for labels in (one, other)]
    assert loss_of(Recipe(), logits, batch) == pytest.approx(0.7 * plain[0] + 0.3 * plain[1])


def twin_and_images() -> tuple[Network, Tensor]:
    design = SqueezeNet.model_validate(
        {"stem": {"width": 4}} | {f"fire{number}": {"keep": False} for number in range(2, 10)}
    )
    twin = Network(plan(design, 3, (2, 8, 8)), None, EncodingConfig())
    return twin, torch.randn(5, 2, 8, 8, generator=generator())


def test_distillation_compares_with_the_teacher_and_leaves_it_as_it_is() -> None:
    twin, images = twin_and_images()
    labels, recipe = torch.tensor([0, 1, 2, 0, 1]), Recipe(start="cnn", distill=0.4, temperature=3, precision="fp32")
    before = {name: tensor.clone() for name, tensor in twin.state_dict().items()}
    logits = torch.randn(2, 5, 3, generator=generator())
    found = loss_of(recipe, logits, Batch(images, labels), twin)
    wanted = (twin.eval()(images) / 3).softmax(1)
    distance = sum(
        (wanted * (wanted.log() - (step / 3).log_softmax(1))).sum(1).mean() * 9 for step in logits
    ) / len(logits)  # fmt: skip
    entropy = loss_of(Recipe(), logits, Batch(images, labels))
    assert found == pytest.approx(0.6 * entropy + 0.4 * float(distance.detach()), rel=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in twin.state_dict().items())
    with torch.no_grad():
        same = twin(images)[None]
    perfect = recipe.model_copy(update={"distill": 1.0})
    assert loss_of(perfect, same, Batch(images, labels), twin) == pytest.approx(0, abs=1e-6)


# Evaluation

RNG = np.random.default_rng(0)
IMAGES = Images(RNG.integers(0, 256, (23, 2, 4, 4), np.uint8), RNG.integers(0, 3, 23))
SPLITS = Splits("small", IMAGES, IMAGES, IMAGES, (0.4, 0.6), (0.2, 0.3), ("a", "b", "c"))


class Means(nn.Module):
    """Logits that are the means of quarters of the image, so that a prediction is known by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor, observe: object = None) -> Tensor:
        scores: Tensor = self.dropout(images.mean((1, 2))[:, :3])
        return scores


def test_normalised_pixels_have_the_stated_moments() -> None:
    images = torch.tensor(IMAGES.array)
    expected = (IMAGES.array / 255 - np.array([0.4, 0.6])[:, None, None]) / np.array([0.2, 0.3])[:, None, None]
    assert normalise(images, SPLITS).numpy() == pytest.approx(expected, abs=1e-5)
    assert normalise(images, SPLITS).dtype == torch.float32


def test_batches_come_in_order_and_lose_no_image() -> None:
    parts = list(batches(IMAGES, SPLITS, "cpu", batch=10))
    assert [len(part) for part in parts] == [10, 10, 3]
    assert torch.equal(torch.cat(parts), normalise(torch.tensor(IMAGES.array), SPLITS))


@pytest.mark.parametrize("batch", [1, 10, 23, 100])
def test_evaluation_does_not_depend_on_the_batch(batch: int) -> None:
    network = Means()
    found = evaluate(network, IMAGES, SPLITS, device="cpu", batch=batch)
    scores = normalise(torch.tensor(IMAGES.array), SPLITS).mean((1, 2))[:, :3]
    predicted = scores.argmax(1).numpy()
    assert (found.correct, found.count) == ((predicted == IMAGES.labels).sum(), 23)
    assert found.accuracy == found.correct / 23
    assert found.loss == pytest.approx(
        float(nn.functional.cross_entropy(scores, torch.tensor(IMAGES.labels))), rel=1e-5
    )
    assert found.macro_f1 == pytest.approx(f1_score(IMAGES.labels, predicted, average="macro"))
    assert network.training  # as it was before


def test_macro_f1_counts_classes_that_occur() -> None:
    labels, predicted = torch.tensor([0, 0, 1, 3]), torch.tensor([0, 1, 1, 4])
    expected = f1_score(labels, predicted, average="macro", zero_division=0)
    assert macro_f1(labels, predicted) == pytest.approx(expected)  # classes 0, 1, 3, 4; 2 does not occur


# Training images on a device


def test_images_are_copied_to_a_device_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnkit.training.batch.IMAGES_PER_UPLOAD", 5)
    view = IMAGES.take(np.array([20, 3, 3, 8, 1, 22, 0]))
    assert torch.equal(copy_to_device(view, torch.device("cpu")), torch.from_numpy(view.rows()))


def test_batch_is_the_same_from_a_device_and_from_the_mapped_array() -> None:
    recipe = Recipe(batch=7, augment="flip_crop")
    loader = BatchLoader(SPLITS, recipe, seed=0, device=torch.device("cpu"))
    batch = loader.load(1, 2)
    loader.images_on_device = copy_to_device(SPLITS.train, torch.device("cpu"))
    again = loader.load(1, 2)
    assert torch.equal(batch.images, again.images)
    assert torch.equal(batch.labels, again.labels)


# Checkpoint

STATE = {"weights": {"a": torch.arange(1000.0)}, "step": 7, "history": [{"loss": 0.5}]}


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", STATE)
    found = load_checkpoint(tmp_path / "c.pt")
    assert torch.equal(found["weights"]["a"], STATE["weights"]["a"])  # type: ignore[index]
    assert (found["step"], found["history"]) == (7, [{"loss": 0.5}])
    assert os.listdir(tmp_path) == ["c.pt"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "truncated or changed"),
        (lambda content: content[:2000] + bytes([content[2000] ^ 1]) + content[2001:], "truncated or changed"),
        (lambda content: content[:30], "not a checkpoint of this program"),
        (lambda content: b"", "not a checkpoint of this program"),
        (lambda content: pickle.dumps({"step": 7}), "not a checkpoint of this program"),
    ],
)
def test_damaged_checkpoint_is_named(tmp_path: Path, damage: object, message: str) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert set_aside(path) == tmp_path / "c.pt.corrupt"
    assert not path.exists()


class Touch:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (self.path,))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", {"step": Touch(str(tmp_path / "owned"))})
    with pytest.raises(CheckpointError, match="not readable"):
        load_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(
        OSError, match="No space left on device; checkpoint not written, the previous one is intact"
    ) as error:
        save_checkpoint(path, {"step": 8})
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"]
