"""pymoo's NSGA-II with its operators for binary variables (https://pymoo.org).

The population of 100 is the default, and operators are those that pymoo recommends for truth values. pymoo evaluates
whole generations: it learns the losses of a generation when all its masks are trained. It has no objectives that are
known before training, and no costs.
"""

from collections.abc import Mapping

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.bitflip import BitflipMutation
from pymoo.operators.sampling.rnd import BinaryRandomSampling
from pymoo.problems.static import StaticProblem

from benchmarks.search.masks.rivals.protocol import N_LOSSES, Facts, Rival
from reports.analysis.pareto import Point
from snnkit.families.squeezenet import FIRES


class NSGA2Search:
    def __init__(self, masks: Mapping[str, Facts], seed: int, population: int) -> None:
        self._problem = Problem(n_var=len(FIRES), n_obj=N_LOSSES, xl=0, xu=1, vtype=bool)
        self._algorithm = NSGA2(
            pop_size=population,
            sampling=BinaryRandomSampling(),
            crossover=TwoPointCrossover(),
            mutation=BitflipMutation(),
            eliminate_duplicates=True,
        )
        self._algorithm.setup(self._problem, termination=NoTermination(), seed=seed, verbose=False)
        self._generation: Population | None = None
        self._masks: list[str] = []  # of this generation
        self._losses: list[Point] = []  # of the first of these

    def ask(self) -> str | None:
        if len(self._losses) == len(self._masks):
            self._generation, self._losses = self._algorithm.ask(), []
            if self._generation is None or not len(self._generation):
                return None
            self._masks = ["".join(str(int(bit)) for bit in row) for row in self._generation.get("X")]
        return self._masks[len(self._losses)]

    def tell(self, mask: str, losses: Point) -> None:
        self._losses.append(losses)
        if len(self._losses) == len(self._masks):
            Evaluator().eval(StaticProblem(self._problem, F=np.array(self._losses)), self._generation)
            self._algorithm.tell(infills=self._generation)


def make_rival(masks: Mapping[str, Facts], seed: int, population: int = 100) -> Rival:
    return NSGA2Search(masks, seed, population)
