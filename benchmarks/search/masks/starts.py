"""Compare ways to initialise weights: accuracy before training and after an epoch, in the setting of the table.

    python -m benchmarks.search.masks.starts --seed 0    three minutes on a core

The parent is the network with all Fires, trained for two epochs; its children lack some Fires. The CNN twin has the
architecture of SqueezeNet-P.
"""

import argparse
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.search.masks.train import DATA, ENCODING, NEURON, RECIPE, first, plan
from snnkit.data import Splits, load_dataset, split_dataset
from snnkit.nn.network import Network
from snnkit.training.evaluation import evaluate
from snnkit.training.loop import train
from snnkit.training.recalibration import recalibrate
from snnkit.weights.ann_to_snn import convert
from snnkit.weights.inherit import inherit
from snnkit.weights.refit import refit_rewired_layers

WHOLE, CHILDREN = "11111111", ("00101011", "11111011")
TWIN_EPOCHS = (2, 4)
SCRATCH_EPOCHS = (1, 2, 3)


class Starts:
    """Trainings from one seed on the same images. Each method yields (name, accuracy on the validation images)."""

    def __init__(self, parts: Splits, seed: int) -> None:
        self._parts, self._seed = parts, seed

    def scratch(self) -> Iterator[tuple[str, float]]:
        for mask, epochs in [(CHILDREN[0], epochs) for epochs in SCRATCH_EPOCHS] + [(CHILDREN[1], 1)]:
            yield f"{mask} scratch, epochs={epochs}", self._trained(self._drawn(mask), epochs)

    def converted(self) -> Iterator[tuple[str, float]]:
        for epochs in TWIN_EPOCHS:
            twin = Network(plan(CHILDREN[0]), None, ENCODING, seed=self._seed)
            yield f"{CHILDREN[0]} its twin, epochs={epochs}", self._trained(twin, epochs)
            network = self._drawn(CHILDREN[0])
            convert(network, twin, self._images(512))
            recalibrate(network, self._images(1024))
            yield f"{CHILDREN[0]} converted after epochs={epochs}", self._accuracy(network)
            yield f"{CHILDREN[0]} the same, then epochs=1", self._trained(network, 1)

    def inherited(self) -> Iterator[tuple[str, float]]:
        parent = self._drawn(WHOLE)
        yield f"{WHOLE} parent, epochs=2", self._trained(parent, 2)
        for mask in CHILDREN:
            network = self._drawn(mask)
            inherit(network, parent)
            recalibrate(network, self._images(1024))
            yield f"{mask} inherited by position", self._accuracy(network)
            network = self._drawn(mask)
            found = inherit(network, parent)
            refit_rewired_layers(network, parent, found, self._images(512))
            recalibrate(network, self._images(1024))
            yield f"{mask} inherited and fitted", self._accuracy(network)
            yield f"{mask} the same, then epochs=1", self._trained(network, 1)

    def _drawn(self, mask: str) -> Network:
        return Network(plan(mask), NEURON, ENCODING, seed=self._seed)

    def _trained(self, network: Network, epochs: int) -> float:
        recipe = RECIPE.model_copy(update={"epochs": epochs, "rungs": ()})
        *_, last = train(network, self._parts, recipe, seed=self._seed, device="cpu")
        return last.val_accuracy

    def _accuracy(self, network: Network) -> float:
        return evaluate(network, self._parts.validation, self._parts, device="cpu").accuracy

    def _images(self, count: int) -> list[Tensor]:
        return first(self._parts.train, self._parts, count, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    starts = Starts(split_dataset(load_dataset(DATA.name, side=DATA.resolution), DATA, seed=0), options.seed)
    for what, accuracy in itertools.chain(starts.scratch(), starts.converted(), starts.inherited()):
        print(f"seed={options.seed} {what} accuracy={accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
