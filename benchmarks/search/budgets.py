"""Accuracy against the cost of training: one network, trained in several ways.

    python -m benchmarks.search.budgets few --out budgets.csv     12,500 images of 16 pixels: minutes each
    python -m benchmarks.search.budgets all --out budgets.csv     all images at 16 pixels: a quarter of an hour each
    python -m benchmarks.search.budgets full --out budgets.csv --seeds 2     32 pixels: hours each
    python -m benchmarks.search.budgets few --out budgets.csv --seeds 0      the table

The network is pooled-currents of spaces/squeezenet_edge.yaml, T = 2. Each finished training appends a row, and rows
that the file has are not trained again. A training that was killed resumes from its checkpoints beside the file.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.search.rows import append_rows, read_rows
from snnkit.architecture.plan import Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import DataChoice, Splits, load_dataset, split_dataset
from snnkit.energy import estimate_all
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import SqueezeNet
from snnkit.kernels import prepare
from snnkit.nn.network import Network
from snnkit.training.evaluation import evaluate_and_count
from snnkit.training.loop import Epoch, train
from snnkit.training.recalibration import calibration_batches, recalibrate
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep
from snnkit.weights.ann_to_snn import convert

DESIGN = {
    "stem": {"width": 24},
    "fire2": {"keep": False},
    "fire3": {"keep": False},
    "fire4": {"squeeze": 32, "expand1x1": 64, "expand3x3": 32},
    "fire5": {"keep": False},
    "fire6": {"squeeze": 64, "expand1x1": 96, "expand3x3": 64},
    "fire7": {"keep": False},
    "fire8": {"squeeze": 64, "expand1x1": 128, "expand3x3": 96},
    "fire9": {"squeeze": 96, "expand1x1": 128, "expand3x3": 128},
    "pool": {"of": "currents"},
}
PRICE = "horowitz45/exact"
Change = Mapping[str, Any]  # path -> value; paths begin with neuron, encoding, train, or twin: the CNN twin's recipe


@dataclass(frozen=True)
class Setting:
    """Images, the recipe of all variants, and what each variant changes. The first one is the baseline."""

    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    variants: Mapping[str, Change]


MUON: dict[str, Any] = {"train.optimizer": "muon", "train.muon_lr": 0.05}
SLOW: dict[str, Any] = {"twin.lr": 4e-3, "twin.muon_lr": 0.05, "train.lr": 1e-3, "train.muon_lr": 0.02}
DISTIL: dict[str, Any] = {"train.distill": 0.7, "twin.warmup": 0.2, "train.warmup": 0.05}
SCRATCH: dict[str, Any] = {"train.start": "scratch", "train.epochs": 4}
THIRD: dict[str, Any] = {"train.epochs": 16, "train.cnn_epochs": 22, "train.first_resolution": 16}
ALTERNATE: dict[str, Any] = {"train.augment": "alternate_crop"}

_BATCHES: dict[str, Any] = {"start": "cnn", "batch": 64, "lr": 4e-3, "augment": "none", "chance_patience": 0}
SETTINGS: Mapping[str, Setting] = {
    "few": Setting(
        {"resolution": 16, "subset": 15_000, "validation": 2500},
        _BATCHES | {"cnn_epochs": 4, "epochs": 2},
        {
            "adamw": {},
            "muon": MUON,
            "muon, muon_lr: 0.15": MUON | {"train.muon_lr": 0.15},
            "muon, then lr: 1e-3, muon_lr: 0.02": MUON | SLOW | {"twin.warmup": 0.2, "train.warmup": 0.05},
            "the same, reset_delay: false": MUON
            | SLOW
            | {"twin.warmup": 0.2, "train.warmup": 0.05, "neuron.reset_delay": False},
            "muon, distill: 0.7": MUON | DISTIL,
            "muon, distill: 0.7, then lr: 1e-3, muon_lr: 0.02": MUON | SLOW | DISTIL,
            "scratch, muon, muon_lr: 0.1": MUON | SCRATCH | {"train.muon_lr": 0.1},
        },
    ),
    "all": Setting(
        {"resolution": 16, "validation": 2500},
        _BATCHES | {"cnn_epochs": 5, "epochs": 4},
        {
            "adamw": {},
            "muon, distill: 0.7, alternate_crop": MUON | DISTIL | ALTERNATE | {"train.warmup": 0.1},
        },
    ),
    "full": Setting(
        {"resolution": 32, "validation": 2500},
        {
            "start": "cnn", "cnn_epochs": 40, "epochs": 30, "batch": 128, "lr": 3e-3, "warmup": 0.1,
            "label_smoothing": 0.1, "ema": 0.999, "chance_patience": 0,
        },
        {
            "finals' recipe": {},
            "finals' recipe, muon": MUON,
            "a third": THIRD,
            "a third, muon": THIRD | MUON,
            "a third, muon, distill: 0.7, alternate_crop": THIRD | MUON | ALTERNATE | {"train.distill": 0.7},
        },
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One finished training."""

    setting: str
    variant: str
    seed: int
    twin: float  # validation accuracy of the CNN twin; 0 without one
    accuracy: float  # on the validation images
    energy_mj: float
    macs: float  # dense multiply-accumulates of the training, with the twin's and the teacher's
    cpu_s: float  # of one core, with the validation after each epoch


def sections(setting: Setting, change: Change) -> tuple[NeuronConfig, EncodingConfig, Recipe, Recipe]:
    """Return the neurons, the encoding, the recipe, and the recipe of the CNN twin."""
    parts: dict[str, dict[str, Any]] = {"neuron": {}, "encoding": {}, "train": {}, "twin": {}}
    for path, value in change.items():
        section, leaf = path.split(".")
        parts[section][leaf] = value
    recipe = Recipe.model_validate({**setting.recipe, **parts["train"]})
    return (
        NeuronConfig.model_validate({"leak": 0.5, "slope": 1} | parts["neuron"]),
        EncodingConfig.model_validate({"timesteps": 2} | parts["encoding"]),
        recipe,
        Recipe.model_validate(recipe.for_cnn_twin.model_dump() | parts["twin"]),
    )


class Training:
    """Train the network in one way, from one seed. ``folder`` has the checkpoints."""

    def __init__(self, parts: Splits, plan: Plan, seed: int, folder: Path) -> None:
        self._parts, self._plan, self._seed, self._folder = parts, plan, seed, folder

    def run(self, setting: str, variant: str) -> Row:
        change = SETTINGS[setting].variants[variant]
        neuron, encoding, recipe, twin_recipe = sections(SETTINGS[setting], change)
        network = Network(self._plan, neuron, encoding, seed=self._seed)
        began, macs, twin_accuracy, teacher = time.process_time(), 0.0, 0.0, None
        if recipe.start == "cnn":
            teacher = Network(self._plan, None, encoding, seed=self._seed)
            last, macs = self._train(teacher, twin_recipe, f"{setting} {variant} twin")
            twin_accuracy = last.val_accuracy
            images = calibration_batches(self._parts, self._seed, "cpu")
            convert(network, teacher, images[:8])
            recalibrate(network, images)
        last, own = self._train(network, recipe, f"{setting} {variant}", teacher if recipe.distill else None)
        cpu_s = time.process_time() - began
        _, counts = evaluate_and_count(network, self._parts, device="cpu")
        energy_mj = estimate_all(counts)[PRICE].total_mj
        return Row(setting, variant, self._seed, twin_accuracy, last.val_accuracy, energy_mj, macs + own, cpu_s)

    def _train(
        self, network: Network, recipe: Recipe, name: str, teacher: Network | None = None
    ) -> tuple[Epoch, float]:
        """Return the last epoch, and the multiply-accumulates of all."""
        checkpoint = self._folder / f"{name} seed {self._seed}.pt".replace(":", "")
        epochs = []
        for epoch in train(
            network, self._parts, recipe, seed=self._seed, device="cpu", checkpoint=checkpoint,
            make_step=partial(TrainStep, teacher=teacher),
        ):  # fmt: skip
            epochs.append(epoch)
            print(f"{name}: epoch={epoch.epoch} val_accuracy={epoch.val_accuracy:.4f}", flush=True)
        return epochs[-1], sum(epoch.macs for epoch in epochs)


def read(path: Path) -> list[Row]:
    return read_rows(Row, path)


def append(path: Path, row: Row) -> None:
    append_rows(Row, path, [row])


def table(setting: str, rows: list[Row]) -> Iterator[str]:
    """Yield the lines of a setting's table."""
    yield "| training | TMAC | CPU s | CNN twin | accuracy, by seed | energy, mJ |\n|---|---|---|---|---|---|"
    for variant in SETTINGS[setting].variants:
        if found := [row for row in rows if (row.setting, row.variant) == (setting, variant)]:
            twin = ", ".join(f"{row.twin:.3f}" for row in found) if found[0].twin else ""
            accuracy = ", ".join(f"{row.accuracy:.3f}" for row in found)
            macs, cpu_s, energy_mj = (
                statistics.mean(getattr(row, name) for row in found) for name in ("macs", "cpu_s", "energy_mj")
            )
            yield f"| {variant} | {macs / 1e12:.2f} | {cpu_s:.0f} | {twin} | {accuracy} | {energy_mj:.5f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", action="append", help="a variant to train, may be repeated; by default all of them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepare("cpu")
    setting: Setting = SETTINGS[options.setting]
    data = DataChoice.model_validate({"name": "cifar10", "test": 2000, **setting.data})
    plan = FAMILIES["squeezenet"].plan(SqueezeNet.model_validate(DESIGN), data.outputs, data.shape)
    for seed in range(options.seeds):
        parts = split_dataset(load_dataset(data.name, side=data.resolution), data, seed=seed)
        for variant in options.only or setting.variants:
            rows = read(options.out) if options.out.exists() else []
            if (options.setting, variant, seed) not in {(row.setting, row.variant, row.seed) for row in rows}:
                folder = options.out.with_suffix(".checkpoints")
                folder.mkdir(exist_ok=True)
                append(options.out, Training(parts, plan, seed, folder).run(options.setting, variant))
    print("\n".join(table(options.setting, read(options.out))))


if __name__ == "__main__":
    main()
