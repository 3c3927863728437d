"""Recipe, augmentation, evaluation and checkpoint: the parts of a training, each on its own."""

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

from snnkit.augment import flip_crop, normalise
from snnkit.checkpoint import CheckpointError, load_checkpoint, save_checkpoint, set_aside
from snnkit.data import Images, Splits
from snnkit.evaluation import batches, evaluate, macro_f1
from snnkit.recipe import Recipe
from snnkit.steps import Stepper, _on_device

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


@pytest.mark.parametrize(
    "section",
    [{"epochs": 0}, {"batch": 0}, {"lr": 0}, {"lr": float("nan")}, {"warmup": 1}, {"optimizer": "adam"},
     {"clip_norm": 0}, {"start": "imagenet"}, {"learning_rate": 0.1}],
)  # fmt: skip
def test_impossible_recipe_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(section)


def test_recipe_loads_no_torch() -> None:
    code = "import sys, snnkit.recipe; print('torch' in sys.modules)"
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


def test_flip_crop_keeps_channels_together() -> None:
    images = torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8).expand(8, 3, 32, 32)
    found = flip_crop(images, generator())
    assert torch.equal(found[:, 0], found[:, 2])
    assert found.shape == images.shape


def test_same_generator_same_crop() -> None:
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(flip_crop(images, generator(1)), flip_crop(images, generator(1)))
    assert not torch.equal(flip_crop(images, generator(1)), flip_crop(images, generator(2)))


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
    monkeypatch.setattr("snnkit.steps.UPLOAD", 5)
    view = IMAGES.take(np.array([20, 3, 3, 8, 1, 22, 0]))
    assert torch.equal(_on_device(view, torch.device("cpu")), torch.from_numpy(view.rows()))


def test_batch_is_the_same_from_a_device_and_from_the_mapped_array() -> None:
    stepper = Stepper(nn.Conv2d(2, 3, 1), SPLITS, Recipe(batch=7, augment="flip_crop"), seed=0, device="cpu")
    images, labels = stepper._batch(1, 2)
    stepper.resident = _on_device(SPLITS.train, torch.device("cpu"))
    again, same = stepper._batch(1, 2)
    assert torch.equal(images, again)
    assert torch.equal(labels, same)


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
def test_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left on device; checkpoint not written, the one before") as error:
        save_checkpoint(path, {"step": 8})
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"]
