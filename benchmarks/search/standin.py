"""Compare samplers on whole spaces, with a formula in place of training.

    python -m benchmarks.search.standin spaces/squeezenet_prune.yaml spaces/squeezenet_resize.yaml --worlds 20

Parameters and dense MACs are computed from the candidate. Accuracy is a formula: it saturates with the logarithm of the
MACs, falls if a network is too deep for a short training, and each module adds a deviation drawn from its dials'
values. So a search has to find good modules, a trade-off, and its way through noise. Each world draws other deviations
and is searched once with each sampler, in the order of a study: named candidates, corners, proposals. The result is the
hypervolume of the trials so far, as a share of the hypervolume of all samplers' trials together; accuracy is linear,
energy and parameters are logarithmic, each from the best of those trials to the worst.
"""

import argparse
import hashlib
import math
import random
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import TrialState

from benchmarks.search.outcomes import losses, scaled
from reports.analysis.volume import hypervolume
from reports.records.study import Direction, Leaf
from search.registries import SAMPLERS
from search.samplers import make_sampler
from search.samplers.initial_design import initial_design
from search.samplers.variation import module_of
from search.space.candidate import Candidate
from search.space.constraints import known_constraints
from search.space.loading.loader import load_space
from search.space.space import Space

DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize", "minimize")  # of accuracy, energy and parameters
MODULE_DEVIATION = 0.012  # standard deviation of accuracy that one module causes
NOISE = 0.01  # standard deviation of accuracy between trainings

Values = tuple[float, float, float]


def outcome(params: Mapping[str, Leaf], candidate: Candidate, world: int) -> Values:
    """Return accuracy, energy in mJ and parameters."""
    figures, steps = candidate.static(), candidate.encoding.timesteps
    modules: dict[str, list[Leaf]] = {}
    for path, value in params.items():
        modules.setdefault(module_of(path), []).append(value)
    depth = sum(each.state != "removed" for each in candidate.modules())
    size = 0.6 / (1 + math.exp(-2 * (math.log10(figures["dense_macs"]) - 6.3)))
    too_deep = 0.006 * max(0, depth - 5) ** 2
    deviations = MODULE_DEVIATION * sum(normal(world, "accuracy", *each) for each in modules.items())
    noise = NOISE * normal(world, "noise", candidate.fingerprint)
    accuracy = 0.15 + size - too_deep + 0.03 * math.log2(steps) + deviations + noise
    rate = math.exp(0.1 * sum(normal(world, "rate", *each) for each in modules.items()))
    energy_mj = figures["dense_macs"] * steps * 1e-10 * rate
    return min(max(accuracy, 0.05), 0.95), energy_mj, float(figures["params"])


def normal(*key: object) -> float:
    return random.Random(hashlib.sha256(repr(key).encode()).digest()).gauss()


def trials(space: Space, sampler: str, world: int) -> Iterator[Values]:
    """Yield the outcome of each trained trial, endlessly. Repeated and refused proposals are skipped, as in a study."""
    space = replace(space, study=space.study.model_copy(update={"sampler": sampler}))
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(space, world))
    for params in (*space.candidates.values(), *initial_design(space)):
        study.enqueue_trial(dict(params))
    seen: set[str] = set()
    rng = random.Random(world)
    while True:
        trial = study.ask()
        params = space.suggest(trial)  # type: ignore[arg-type]  # Optuna overloads suggest_categorical
        candidate = space.candidate(params)
        refused = bool(space.refusals(candidate))
        for name, excess in space.violations(candidate).items():
            trial.set_constraint(name, excess)
        if refused or candidate.fingerprint in seen:
            study.tell(trial, state=TrialState.PRUNED if refused else TrialState.FAIL)
            study.enqueue_trial(_untried(space, params, seen, rng))
            continue
        seen.add(candidate.fingerprint)
        trial.set_user_attr("key", candidate.fingerprint)
        values = outcome(params, candidate, world)
        study.tell(trial, values)
        yield values


def _untried(space: Space, params: Mapping[str, Leaf], seen: set[str], rng: random.Random) -> dict[str, Leaf]:
    while True:
        near = space.neighbour(params, rng)
        candidate = space.candidate(near)
        if candidate.fingerprint not in seen and not space.refusals(candidate):
            return near
        params = near


def shares(runs: Mapping[str, Sequence[Values]], marks: Sequence[int]) -> dict[str, list[float]]:
    """Return the share of hypervolume that each sampler has found in one world after each number of trials."""
    together = scaled({(name, at): losses(*values) for name, run in runs.items() for at, values in enumerate(run)})
    box = (1.0, 1.0, 1.0)
    best = hypervolume(list(together.values()), box)
    return {
        name: [hypervolume([together[name, at] for at in range(min(mark, len(run)))], box) / best for mark in marks]
        for name, run in runs.items()
    }


def without_accuracy_bound(space: Space) -> Space:
    """Return ``space`` with the constraints that are known before training: accuracies here are made up."""
    constraints = known_constraints(space.study.constraints)
    return replace(space, study=space.study.model_copy(update={"constraints": constraints}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("spaces", type=Path, nargs="+")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--samplers", nargs="*", default=["random", "tpe", "ga", "ehvi"], choices=list(SAMPLERS))
    parser.add_argument("--trials", type=int, nargs="*", default=[30, 60, 100])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print("| space | sampler | " + " | ".join(f"{mark} trials" for mark in options.trials) + " |")
    print("|---" * (2 + len(options.trials)) + "|")
    for source in options.spaces:
        space = without_accuracy_bound(load_space(source))
        found: list[dict[str, list[float]]] = []
        for world in range(options.worlds):
            most = range(max(options.trials))
            runs = {
                name: [values for _, values in zip(most, trials(space, name, world), strict=False)]
                for name in options.samplers
            }
            found.append(shares(runs, options.trials))
        for name in options.samplers:
            columns = zip(*(each[name] for each in found), strict=True)
            cells = [f"{statistics.median(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in columns]
            print(f"| {space.study.name} | {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
