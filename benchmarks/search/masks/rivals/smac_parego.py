"""SMAC3's ParEGO: a random forest models a new weighting of the objectives each time it is fitted.

It uses the ask-and-tell interface of the facade for hyperparameters (https://automl.github.io/SMAC3). Not defaults:
``deterministic``, because each mask has one training, and N_STARTUP masks in the initial design, because the default
depends on a number of trials and would be a quarter of all masks. The documentation's example of ParEGO has 5. By
default SMAC3 fits its model after every eighth mask. SMAC3 has no objectives that are known before training, and this
facade has no costs.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ConfigSpace import Categorical, Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from benchmarks.search.masks.rivals.protocol import N_LOSSES, N_STARTUP, Facts, Rival, mask_of
from reports.analysis.pareto import Point
from snnkit.families.squeezenet import FIRES


class ParEGOSearch:
    def __init__(self, masks: Mapping[str, Facts], seed: int) -> None:
        self._folder = TemporaryDirectory()  # SMAC3 always writes files
        space = ConfigurationSpace(seed=seed)
        space.add([Categorical(fire, [False, True]) for fire in FIRES])
        scenario = Scenario(
            space, output_directory=Path(self._folder.name), objectives=[f"loss {n}" for n in range(N_LOSSES)],
            deterministic=True, n_trials=len(masks), seed=seed,
        )  # fmt: skip
        self._smac = HyperparameterOptimizationFacade(
            scenario,
            _never_called,
            initial_design=HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=N_STARTUP),
            multi_objective_algorithm=ParEGO(scenario),
            logging_level=False,
        )
        self._open: dict[str, TrialInfo] = {}

    def ask(self) -> str | None:
        try:
            info = self._smac.ask()
        except StopIteration:  # it found no further mask
            return None
        mask = mask_of(info.config)
        self._open[mask] = info
        return mask

    def tell(self, mask: str, losses: Point) -> None:
        self._smac.tell(self._open.pop(mask), TrialValue(cost=list(losses)), save=False)


def _never_called(config: Configuration, seed: int = 0) -> list[float]:
    raise NotImplementedError("masks are asked for and told")


def make_rival(masks: Mapping[str, Facts], seed: int) -> Rival:
    return ParEGOSearch(masks, seed)
