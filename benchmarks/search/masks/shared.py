"""Rank all masks by the weights of one supernet, and compare with the table of real trainings.

    python -m benchmarks.search.masks.shared benchmarks/search/masks/table.csv --epochs 24 --folder /tmp/shared

Training and ranking continue from their files in the folder.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.search.masks.replay import Table, table_of
from benchmarks.search.masks.train import DATA, ENCODING, NEURON, PRICE, RECIPE, masks, plan, read
from reports.analysis.pareto import dominates, ranks
from snnkit.architecture.plan import Plan
from snnkit.data import Splits, load_dataset, split_dataset
from snnkit.energy import estimate_all
from snnkit.training.loop import train
from snnkit.weights.sandwich import SandwichStep
from snnkit.weights.supernet import Supernet
from snnkit.weights.supernet_evaluation import evaluate_in_supernet

PUBLISHED = "00101011"  # SqueezeNet-P keeps Fires 4, 6, 8 and 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--paths", type=int, default=3)
    parser.add_argument("--masks", type=int, default=256, help="number of masks to rank, in a fixed random order")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    plans = {mask: plan(mask) for mask in sorted(masks(), key=lambda mask: -mask.count("1"))}
    supernet = Supernet(list(plans.values()), NEURON, ENCODING, seed=0)
    images = split_dataset(load_dataset(DATA.name, side=DATA.resolution), DATA, seed=0)
    recipe = RECIPE.model_copy(update={"epochs": options.epochs, "rungs": ()})
    make_step = partial(SandwichStep, plans=list(plans.values()), paths=options.paths)
    checkpoint = options.folder / "checkpoint.pt"
    for epoch in train(supernet, images, recipe, seed=0, device="cpu", make_step=make_step, checkpoint=checkpoint):
        figures = f"loss={epoch.train_loss:.3f} largest={epoch.val_accuracy:.3f} wall_s={epoch.wall_s:.0f}"
        print(f"epoch={epoch.epoch} {figures}", flush=True)
    ranked = ranking(options.folder / "ranking.csv", supernet, {m: plans[m] for m in masks()[: options.masks]}, images)
    table = table_of(read(options.table))
    both = [mask for mask in ranked if mask in table.trainings]
    for at, name in enumerate(("accuracy", "energy_mj")):
        shared = [ranked[mask][at] for mask in both]
        real = [getattr(table.trainings[mask][-1], name) for mask in both]
        rho, tau = spearmanr(shared, real).statistic, kendalltau(shared, real).statistic
        print(f"{name}: Spearman {rho:+.2f}, Kendall {tau:+.2f}, n = {len(both)}")
    print("\n".join(probe(ranked, plans, table)))


def probe(ranked: Mapping[str, tuple[float, float]], plans: Mapping[str, Plan], table: Table) -> Iterator[str]:
    """Yield the place of SqueezeNet-P by shared weights, and masks that dominate it there, with their real accuracy."""
    keys = list(ranked)
    points = [(-accuracy, energy, float(plans[mask].params)) for mask, (accuracy, energy) in ranked.items()]
    own = points[keys.index(PUBLISHED)]
    rank = ranks(points)[keys.index(PUBLISHED)]
    better = sorted(zip(points, keys, strict=True))
    place = 1 + sum(point[0] < own[0] for point in points)
    yield f"{PUBLISHED} (SqueezeNet-P): non-dominated rank {rank}, place {place} of {len(keys)} by accuracy"
    for point, mask in [pair for pair in better if dominates(pair[0], own)][:5]:
        real = " and ".join(f"{table.trainings[each][-1].accuracy:.3f}" for each in (mask, PUBLISHED))
        yield f"{mask} beats it: {-point[0]:.3f} to {-own[0]:.3f} by shared weights; {real} when trained"


def ranking(
    path: Path, supernet: Supernet, plans: Mapping[str, Plan], images: Splits
) -> dict[str, tuple[float, float]]:
    """Return accuracy and energy in mJ of each mask with shared weights. ``path`` stores them between runs."""
    found: dict[str, tuple[float, float]] = {}
    if path.exists():
        found = {mask: (float(a), float(e)) for mask, a, e in csv.reader(path.open())}
    for mask, each in plans.items():
        if mask not in found:
            evaluated = evaluate_in_supernet(supernet, each, images, device="cpu")
            found[mask] = (evaluated.evaluation.accuracy, estimate_all(evaluated.counts)[PRICE].total_mj)
            with path.open("a") as file:
                file.write(f"{mask},{found[mask][0]:.6g},{found[mask][1]:.6g}\n")
    return found


if __name__ == "__main__":
    main()
