"""Training of a supernet: at each step some of its networks on the same images, from the smallest to the largest.

After the sandwich rule of Yu and Huang (2019, arXiv:1903.05134), which trains the largest and the smallest network at
every step and some between them. Here these two take turns, and depths are drawn evenly: with the largest at every step
deep networks were so much better trained than shallow ones that the ranking was that of depth.
"""

import random
from collections.abc import Sequence

import torch
from torch import nn

from snnkit.architecture.plan import Plan, training_macs
from snnkit.base.seeds import derived_seed
from snnkit.data import Splits
from snnkit.training.recipe import Recipe
from snnkit.training.step import Batch, TrainStep, read
from snnkit.weights.supernet import Supernet


class SandwichStepper(TrainStep):
    """``plans`` are what the supernet was made for, the largest first and the smallest last; ``paths`` of them are
    trained at each step. What a step trains follows from its number alone."""

    gives_up = False  # on the largest network, whose running statistics are of weights that others have changed since

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
        self._ends = plans[0], plans[-1]
        self._by_depth: dict[int, list[Plan]] = {}
        for plan in plans:
            self._by_depth.setdefault(len(plan.convs), []).append(plan)

    def drawn(self, epoch: int, step: int) -> list[Plan]:
        """The networks of one step."""
        rng = random.Random(derived_seed(self.seed, "paths", epoch, step))
        depths = sorted(self._by_depth)
        between = (rng.choice(self._by_depth[rng.choice(depths)]) for _ in range(self.paths - 1))
        return [self._ends[(epoch * self.steps + step) % 2], *between]

    @property
    def images(self) -> int:
        return super().images * self.paths

    def macs(self, epoch: int) -> float:
        encoding = self.supernet.encoding
        an_image = sum(
            training_macs(plan, timesteps=encoding.timesteps, input_steps=encoding.frames or 1)
            for step in range(self.steps)
            for plan in self.drawn(epoch, step)
        )
        return float(an_image) * self.batch

    def _gradients(self, batch: Batch, epoch: int, step: int) -> tuple[float, int]:
        """Of all paths together; the mean of their losses, and of how many were right."""
        plans = self.drawn(epoch, step)
        losses, correct = [], 0
        for plan in plans:
            loss, right = read(self._backward(self.supernet.take(plan).train(), batch))
            self.supernet.collect(plan)
            losses.append(loss)
            correct += right
        return sum(losses) / len(plans), correct // len(plans)
