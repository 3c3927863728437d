"""Syne Tune's multi-objective regularised evolution (https://syne-tune.readthedocs.io).

The adapter uses `AskTellScheduler`, the interface for custom loops. The population of 100 and the tournament of 10 are
defaults. Syne Tune draws the first population from NumPy's global generator, so the adapter seeds that one too. Syne
Tune has no objectives that are known before training, and this search has no costs.
"""

from collections.abc import Mapping

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler
from syne_tune.optimizer.schedulers.multiobjective import MultiObjectiveRegularizedEvolution
from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

from benchmarks.search.masks.rivals.protocol import N_LOSSES, Facts, Rival, mask_of
from reports.analysis.pareto import Point
from snnkit.families.squeezenet import FIRES

METRICS = [f"loss {number}" for number in range(N_LOSSES)]


class MOREASearch:
    def __init__(self, masks: Mapping[str, Facts], seed: int, population: int) -> None:
        np.random.seed(seed)
        space = {fire: choice([False, True]) for fire in FIRES}
        searcher = MultiObjectiveRegularizedEvolution(space, population_size=population, random_seed=seed)
        self._scheduler = AskTellScheduler(SingleFidelityScheduler(space, METRICS, searcher=searcher))
        self._open: dict[str, Trial] = {}

    def ask(self) -> str:
        trial = self._scheduler.ask()
        mask = mask_of(trial.config)
        self._open[mask] = trial
        return mask

    def tell(self, mask: str, losses: Point) -> None:
        self._scheduler.tell(self._open.pop(mask), dict(zip(METRICS, losses, strict=True)))


def make_rival(masks: Mapping[str, Facts], seed: int, population: int = 100) -> Rival:
    return MOREASearch(masks, seed, population)
