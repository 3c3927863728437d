"""Optuna's samplers: TPE, Gaussian processes and NSGA-II (https://optuna.readthedocs.io).

All settings are Optuna's defaults, except the population of "NSGA-II, population 20". Optuna has no objectives that are
known before training, and no costs.
"""

from collections.abc import Mapping

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler

from benchmarks.search.masks.rivals.protocol import N_LOSSES, Facts, Rival, mask_of
from reports.analysis.pareto import Point
from snnkit.families.squeezenet import FIRES


class OptunaSearch:
    def __init__(self, sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(directions=["minimize"] * N_LOSSES, sampler=sampler)
        self._open: dict[str, optuna.Trial] = {}

    def ask(self) -> str:
        trial = self._study.ask()
        mask = mask_of({fire: trial.suggest_categorical(fire, [False, True]) for fire in FIRES})
        self._open[mask] = trial
        return mask

    def tell(self, mask: str, losses: Point) -> None:
        self._study.tell(self._open.pop(mask), losses)


def make_tpe(masks: Mapping[str, Facts], seed: int) -> Rival:
    return OptunaSearch(TPESampler(seed=seed))


def make_gp(masks: Mapping[str, Facts], seed: int) -> Rival:
    return OptunaSearch(GPSampler(seed=seed))


def make_nsga2(masks: Mapping[str, Facts], seed: int, population: int = 50) -> Rival:
    return OptunaSearch(NSGAIISampler(seed=seed, population_size=population))
