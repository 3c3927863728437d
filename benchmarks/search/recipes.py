"""Ablation of the recipe: train one network from the same CNN twin, each time with one thing changed.

    python -m benchmarks.search.recipes --out recipes.csv --seeds 2      half an hour on a core; can be continued
    python -m benchmarks.search.recipes --out recipes.csv --seeds 0      the table

The network is SqueezeNet-P in the setting of `benchmarks.search.masks`: 16x16 pixels, 4,096 images, T = 2. The CNN twin
is trained for four epochs, converted to the variant's neurons, and trained as a spiking network for four more. Such a
short training shows what speeds up learning. Regularisation (mixup, augmentation) costs accuracy at first and only
helps in long trainings.
"""

import argparse
import csv
import statistics
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.search.masks.train import COUNTED, DATA, ENCODING, NEURON, PRICE, RECIPE, design, first
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import Splits, load_dataset, split_dataset
from snnkit.energy import estimate_all
from snnkit.energy.operations import count_operations
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import SqueezeNet
from snnkit.nn.network import Network
from snnkit.training.loop import train
from snnkit.training.recalibration import recalibrate
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep
from snnkit.weights.ann_to_snn import convert

MASK = "00101011"
BASE = RECIPE.model_copy(update={"rungs": (), "start": "cnn"})
Change = Mapping[str, Any]  # path -> value; paths begin with network, neuron, encoding or train

SQUEEZES = {4: 32, 6: 48, 8: 64, 9: 64}


def reshaped(factor: float) -> Change:
    """Make squeezes wider and expands narrower by ``factor``; parameters and operations stay about the same."""
    return {
        f"network.fire{number}": {
            "squeeze": 4 * round(factor * squeeze / 4),
            "expand1x1": int(4 * squeeze / factor),
            "expand3x3": int(4 * squeeze / factor),
        }
        for number, squeeze in SQUEEZES.items()
    }


VARIANTS: Mapping[str, Change] = {
    "as it is": {},
    "ema: 0.99": {"train.ema": 0.99},
    "loss: each_step": {"train.loss": "each_step"},
    "distill: 0.5": {"train.distill": 0.5},
    "distill: 0.9": {"train.distill": 0.9},
    "rate_penalty: 0.1": {"train.rate_penalty": 0.1},
    "rate_penalty: 1": {"train.rate_penalty": 1.0},
    "short_epochs: 2": {"train.short_epochs": 2},
    "label_smoothing: 0.1": {"train.label_smoothing": 0.1},
    "schedule: cosine": {"train.schedule": "cosine"},
    "augment: flip_crop": {"train.augment": "flip_crop"},
    "augment: trivial": {"train.augment": "trivial"},
    "erase: 0.25": {"train.erase": 0.25},
    "mixup: 0.2": {"train.mixup": 0.2},
    "recalibrate: 1024": {"train.recalibrate": 1024},
    "augment: flip_crop, recalibrate: 1024": {"train.augment": "flip_crop", "train.recalibrate": 1024},
    "erase: 0.25, recalibrate: 1024": {"train.erase": 0.25, "train.recalibrate": 1024},
    "mixup: 0.2, recalibrate: 1024": {"train.mixup": 0.2, "train.recalibrate": 1024},
    "threshold: 0.5": {"neuron.threshold": 0.5},
    "leak: 0.25": {"neuron.leak": 0.25},
    "leak: 0.75": {"neuron.leak": 0.75},
    "learn_leak: true": {"neuron.learn_leak": True},
    "slope: 2": {"neuron.slope": 2.0},
    "reset: zero": {"neuron.reset": "zero"},
    "reset_delay: false": {"neuron.reset_delay": False},
    "pool: avg": {"network.pool": {"kind": "avg"}},
    "pool: currents": {"network.pool": {"of": "currents"}},
    "pool: avg, currents": {"network.pool": {"kind": "avg", "of": "currents"}},
    "timesteps: 4": {"encoding.timesteps": 4},
    "timesteps: 4, learn_leak: true": {"encoding.timesteps": 4, "neuron.learn_leak": True},
    "squeezes x 1.4, expands / 1.4": reshaped(1.4),
    "squeezes x 2, expands / 2": reshaped(2.0),
    "squeezes x 2.8, expands / 2.8": reshaped(2.8),
    "squeezes x 2, expands / 2, pool: currents": {**reshaped(2.0), "network.pool": {"of": "currents"}},
}


def sections(change: Change) -> tuple[SqueezeNet, NeuronConfig, EncodingConfig, Recipe]:
    tree = {
        "network": design(MASK).model_dump(),
        "neuron": NEURON.model_dump(),
        "encoding": ENCODING.model_dump(),
        "train": BASE.model_dump(),
    }
    for path, value in change.items():
        section, leaf = path.split(".")
        old = tree[section][leaf]
        tree[section][leaf] = old | value if isinstance(value, dict) else value
    return (
        SqueezeNet.model_validate(tree["network"]), NeuronConfig.model_validate(tree["neuron"]),
        EncodingConfig.model_validate(tree["encoding"]), Recipe.model_validate(tree["train"]),
    )  # fmt: skip


class Ablation:
    """Trains variants from one seed. Variants with the same network share a twin."""

    def __init__(self, parts: Splits, seed: int) -> None:
        self._parts, self._seed = parts, seed
        self._twins: dict[str, dict[str, Tensor]] = {}

    def run(self, change: Change) -> tuple[float, float]:
        """Return accuracy, and energy in mJ on the first COUNTED validation images."""
        network_design, neuron, encoding, recipe = sections(change)
        plan = FAMILIES["squeezenet"].plan(network_design, DATA.outputs, DATA.shape)
        twin = Network(plan, None, encoding, seed=self._seed)
        if repr(plan) not in self._twins:
            self._train(twin, BASE.for_cnn_twin)
            self._twins[repr(plan)] = {name: tensor.clone() for name, tensor in twin.state_dict().items()}
        twin.load_state_dict(self._twins[repr(plan)])
        network = Network(plan, neuron, encoding, seed=self._seed)
        convert(network, twin, self._images(512))
        recalibrate(network, self._images(1024))
        accuracy = self._train(network, recipe, twin)
        activity = count_operations(network, first(self._parts.validation, self._parts, COUNTED, 50))
        return accuracy, estimate_all(activity)[PRICE].total_mj

    def _train(self, network: Network, recipe: Recipe, teacher: Network | None = None) -> float:
        make_step = partial(TrainStep, teacher=teacher)
        *_, last = train(network, self._parts, recipe, seed=self._seed, device="cpu", make_step=make_step)
        return last.val_accuracy

    def _images(self, count: int) -> list[Tensor]:
        return first(self._parts.train, self._parts, count, 64)


def read(path: Path) -> dict[tuple[str, int], tuple[float, float]]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return {(row["variant"], int(row["seed"])): (float(row["accuracy"]), float(row["energy_mj"])) for row in rows}


def table(found: Mapping[tuple[str, int], tuple[float, float]]) -> Iterator[str]:
    """Yield the lines of the table. A difference compares the same seeds of the variant and of the first one."""
    yield "| one change | accuracy, by seed | difference | energy, mJ |\n|---|---|---|---|"
    plain = next(iter(VARIANTS))
    for variant in VARIANTS:
        seeds = [seed for name, seed in found if name == variant]
        if not seeds:
            continue
        accuracies = [found[variant, seed][0] for seed in seeds]
        gains = [found[variant, seed][0] - found[plain, seed][0] for seed in seeds]
        energy = statistics.mean(found[variant, seed][1] for seed in seeds)
        told = ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        gain = "" if variant == plain else f"{statistics.mean(gains):+.3f}"
        yield f"| {variant} | {told} | {gain} | {energy:.5f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.out.exists():
        options.out.write_text("variant,seed,accuracy,energy_mj\n")
    parts = split_dataset(load_dataset(DATA.name, side=DATA.resolution), DATA, seed=0)
    for seed in range(options.seeds):
        ablation = Ablation(parts, seed)
        for variant, change in VARIANTS.items():
            if (variant, seed) not in read(options.out):
                accuracy, energy_mj = ablation.run(change)
                with options.out.open("a", newline="") as file:
                    csv.writer(file).writerow([variant, seed, accuracy, energy_mj])
    print("\n".join(table(read(options.out))))


if __name__ == "__main__":
    main()
