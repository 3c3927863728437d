"""Train every mask of SqueezeNet's eight Fire modules briefly on CIFAR-10, all in the same way, and store the results.

    python -m benchmarks.search.masks.train --out table.csv --seeds 1 --part 0/2    one of two processes

Each finished training appends one row per epoch. Trainings that the table holds are not repeated, so any number of
processes, each with its part, can be stopped and started again. The setting is small on purpose: 16x16 pixels, 4,096
images, 4 epochs.
"""

import argparse
import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.search.rows import append_rows, read_rows
from snnkit.architecture.plan import Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import DataChoice, Images, Splits, load_dataset, split_dataset
from snnkit.energy import estimate_all
from snnkit.energy.operations import count_operations
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import FIRES, SqueezeNet
from snnkit.nn.network import Network
from snnkit.training.evaluation import batches
from snnkit.training.loop import train
from snnkit.training.recipe import Recipe

DATA = DataChoice(name="cifar10", resolution=16, subset=6096, validation=2000, test=2000)
NEURON = NeuronConfig(leak=0.5, slope=1)
ENCODING = EncodingConfig(timesteps=2)
RECIPE = Recipe(epochs=4, batch=32, lr=4e-3, augment="none", rungs=(1, 2), chance_patience=0)
PRICE = "horowitz45/exact"
COUNTED = 500  # validation images on which spikes are counted; their mean is accurate to one percent


@dataclass(frozen=True)
class Row:
    """One epoch of one training."""

    mask: str  # "01101100": Fires 2 to 9, 1 where kept
    seed: int
    epoch: int  # 1-based
    accuracy: float  # on the validation images
    energy_mj: float  # on the first COUNTED of them, by PRICE
    params: int
    dense_macs: int
    images: int  # trained on in this epoch
    wall_s: float  # of this epoch


def design(mask: str) -> SqueezeNet:
    keeps = {fire: {"keep": kept == "1"} for fire, kept in zip(FIRES, mask, strict=True)}
    return SqueezeNet.model_validate({"geometry": "cifar", **keeps})


def plan(mask: str) -> Plan:
    return FAMILIES["squeezenet"].plan(design(mask), DATA.outputs, DATA.shape)


def masks() -> list[str]:
    """Return all 256 masks in a fixed random order, so that an unfinished table is a fair sample."""
    return random.Random(0).sample([f"{number:08b}" for number in range(256)], 256)


def first(images: Images, parts: Splits, count: int, batch: int) -> list[Tensor]:
    """Return the first ``count`` of ``images`` in whole batches, normalised."""
    return list(itertools.islice(batches(images, parts, "cpu", batch=batch), count // batch))


def trained(parts: Splits, mask: str, seed: int) -> Iterator[Row]:
    """Train one mask and yield a row per epoch, with the energy measured after it."""
    network = Network(plan(mask), NEURON, ENCODING, seed=seed)
    for epoch in train(network, parts, RECIPE, seed=seed, device="cpu"):
        activity = count_operations(network, first(parts.validation, parts, COUNTED, 50))
        yield Row(
            mask=mask,
            seed=seed,
            epoch=epoch.epoch,
            accuracy=epoch.val_accuracy,
            energy_mj=estimate_all(activity)[PRICE].total_mj,
            params=network.plan.params,
            dense_macs=network.plan.dense_macs,
            images=len(parts.train),
            wall_s=epoch.wall_s,
        )


def read(path: Path) -> list[Row]:
    return read_rows(Row, path) if path.exists() else []


def append(path: Path, rows: list[Row]) -> None:
    append_rows(Row, path, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each mask")
    parser.add_argument("--part", default="0/1", help="I/N: the I-th of N shares")
    parser.add_argument("--masks", nargs="*", default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    index, parts = map(int, options.part.split("/"))
    wanted = [(mask, seed) for seed in range(options.seeds) for mask in options.masks or masks()]
    images = split_dataset(load_dataset(DATA.name, side=DATA.resolution), DATA, seed=0)
    there = {(row.mask, row.seed) for row in read(options.out) if row.epoch == RECIPE.epochs}
    for mask, seed in wanted[index::parts]:
        if (mask, seed) in there:
            continue
        began = time.monotonic()
        append(options.out, list(trained(images, mask, seed)))
        print(f"mask={mask} seed={seed} wall_s={time.monotonic() - began:.1f}", flush=True)


if __name__ == "__main__":
    main()
