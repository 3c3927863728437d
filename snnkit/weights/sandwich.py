"""Train a supernet: each step trains several of its subnetworks on the same images.

The sandwich rule of Yu and Huang (2019, arXiv:1903.05134) trains the largest and the smallest network at every step and
some in between. Here these two alternate, and depths are sampled uniformly. With the largest network at every step,
deep networks were trained so much better than shallow ones that the ranking was a ranking of depth.
"""

import random
from collections.abc import Sequence

import torch
from torch import nn

from snnkit.architecture.plan import Plan, training_macs
from snnkit.base.seeds import derived_seed
from snnkit.data import Splits
from snnkit.training.batch import Batch
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep, loss_and_correct
from snnkit.weights.supernet import Supernet


class SandwichStep(TrainStep):
    """Run training steps on a supernet, each on ``paths`` of its subnetworks.

    ``plans`` are the plans that the supernet was built for, the largest first and the smallest last. The subnetworks of
    a step depend on its number alone.
    """

    # only the largest network is evaluated, and its running statistics are outdated: others have changed its weights
    stops_at_chance = False

    def __init__(
        self,
        network: nn.Module,
        splits: Splits,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device | str,
        plans: Sequence[Plan],
        paths: int,
    ) -> None:
        assert isinstance(network, Supernet)
        super().__init__(network, splits, recipe, seed=seed, device=device)
        self.supernet, self.paths = network, paths
        self._largest_and_smallest = plans[0], plans[-1]
        self._by_depth: dict[int, list[Plan]] = {}
        for plan in plans:
            self._by_depth.setdefault(len(plan.convs), []).append(plan)

    def sample_plans(self, epoch: int, step: int) -> list[Plan]:
        """Return the plans of the subnetworks that a step trains."""
        rng = random.Random(derived_seed(self.seed, "paths", epoch, step))
        depths = sorted(self._by_depth)
        sampled = (rng.choice(self._by_depth[rng.choice(depths)]) for _ in range(self.paths - 1))
        return [self._largest_and_smallest[(epoch * self.steps_per_epoch + step) % 2], *sampled]

    @property
    def images_per_epoch(self) -> int:
        """Number of images that pass forward and backward in an epoch, once per path."""
        return super().images_per_epoch * self.paths

    def epoch_macs(self, epoch: int) -> float:
        """Dense multiply-accumulates of an epoch, forward and backward, over all sampled subnetworks."""
        encoding = self.supernet.encoding
        macs_per_image = sum(
            training_macs(plan, timesteps=encoding.timesteps, input_steps=encoding.frames or 1)
            for step in range(self.steps_per_epoch)
            for plan in self.sample_plans(epoch, step)
        )
        return float(macs_per_image) * self.batch_size

    def _compute_gradients(self, batch: Batch, epoch: int, step: int) -> tuple[float, int]:
        """Leave the gradients of all paths in the shared weights; return their mean loss and correct predictions."""
        plans = self.sample_plans(epoch, step)
        losses, correct = [], 0
        for plan in plans:
            loss, right = loss_and_correct(self._backward(self.supernet.subnetwork(plan).train(), batch))
            self.supernet.collect_gradients(plan)
            losses.append(loss)
            correct += right
        return sum(losses) / len(plans), correct // len(plans)
