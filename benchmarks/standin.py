"""Samplers on whole spaces, against a stand-in for training that takes no time.

    python -m benchmarks.standin spaces/squeezenet_prune.yaml spaces/squeezenet_resize.yaml --seeds 10

Parameters and dense MACs are a candidate's own. Its accuracy is a formula: it saturates with the logarithm of the MACs,
falls where a network is too deep for a short training, and every module adds a deviation drawn from its dials' values.
That is no network, but it has what a search has to find: modules that pay and others that do not, a trade-off, noise.
Found is the hypervolume of the trials so far, in a box from the best to the worst of 400 random candidates: it may be
above 1, and is to be compared within one space. The order of trials is a study's: named candidates, corners, sampler.
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

from reports.pareto import Direction, Point, hypervolume
from reports.record import Leaf
from search.candidate import Candidate
from search.corners import corners
from search.moves import module
from search.samplers import StatelessSampler, choose
from search.space import Space, load_space
from search.stopping import RUNG, Rungs, Stopping

OBJECTIVES: Mapping[str, Direction] = {"accuracy": "maximize", "energy_mj": "minimize", "params": "minimize"}
EPOCHS, RUNGS = 4, (1, 2)  # as in the table of masks
MARKS = (30, 60, 100)  # trials after which it is looked at what was found
DEVIATION = 0.012  # of accuracy, that one module causes
NOISE = 0.01  # of accuracy, between trainings

Values = tuple[float, float, float]


def epochs(params: Mapping[str, Leaf], candidate: Candidate) -> list[Values]:
    """Accuracy, energy and parameters after each epoch."""
    figures, steps = candidate.static(), candidate.encoding.timesteps
    modules: dict[str, list[Leaf]] = {}
    for path, value in params.items():
        modules.setdefault(module(path), []).append(value)
    depth = sum(each.state != "removed" for each in candidate.modules())
    size = 0.6 / (1 + math.exp(-2 * (math.log10(figures["dense_macs"]) - 6.3)))
    deviations = DEVIATION * sum(_normal("accuracy", name, values) for name, values in modules.items())
    final = 0.15 + size - 0.006 * max(0, depth - 5) ** 2 + 0.03 * math.log2(steps) + deviations
    rate = math.exp(0.1 * sum(_normal("rate", name, values) for name, values in modules.items()))
    energy_mj = figures["dense_macs"] * steps * 1e-10 * rate
    accuracies = [
        final * (1 - 0.6 * math.exp(-epoch)) + NOISE * _normal("noise", candidate.key, epoch)
        for epoch in range(1, EPOCHS + 1)
    ]
    return [(min(max(each, 0.05), 0.95), energy_mj, float(figures["params"])) for each in accuracies]


def _normal(*key: object) -> float:
    return random.Random(hashlib.sha256(repr(key).encode()).digest()).gauss()


def trials(space: Space, sampler: str, seed: int, rule: Stopping | None) -> Iterator[Values | None]:
    """What every trained trial comes to, None where it was stopped; without an end."""
    space = replace(space, study=space.study.model_copy(update={"sampler": sampler, "objectives": OBJECTIVES}))
    stateless = StatelessSampler(choose(space), seed)
    study = optuna.create_study(directions=list(OBJECTIVES.values()), sampler=stateless)
    for params in (*space.candidates.values(), *corners(space)):
        study.enqueue_trial(dict(params))
    rungs = Rungs(rule, OBJECTIVES) if rule is not None else None
    seen: set[str] = set()
    rng = random.Random(seed)
    while True:
        trial = study.ask()
        params = space.suggest(trial)  # type: ignore[arg-type]  # overloads, narrower than it is
        candidate = space.candidate(params)
        refused = bool(space.refusals(candidate))
        for name, excess in space.violations(candidate).items():
            trial.set_constraint(name, excess)
        if refused or candidate.key in seen:
            study.tell(trial, state=TrialState.PRUNED if refused else TrialState.FAIL)
            study.enqueue_trial(_untried(space, params, seen, rng))
            continue
        seen.add(candidate.key)
        trial.set_user_attr("key", candidate.key)
        values = _trained(trial, epochs(params, candidate), rungs, named=trial.number < len(space.candidates))
        study.tell(trial, values, state=TrialState.PRUNED if values is None else TrialState.COMPLETE)
        yield values


def _untried(space: Space, params: Mapping[str, Leaf], seen: set[str], rng: random.Random) -> dict[str, Leaf]:
    while True:
        params = space.neighbour(params, rng)
        candidate = space.candidate(params)
        if candidate.key not in seen and not space.refusals(candidate):
            return dict(params)


def _trained(trial: optuna.Trial, history: Sequence[Values], rungs: Rungs | None, *, named: bool) -> Values | None:
    for epoch, values in enumerate(history, 1):
        if rungs is not None and epoch in RUNGS:
            rungs.add(epoch, trial.number, values)
            trial.set_user_attr(f"{RUNG}{epoch}", list(values))
            if rungs.verdict(epoch, trial.number) is not None and not named:
                return None
    return history[-1]


def found(space: Space, sampler: str, rule: Stopping | None, seeds: int) -> list[list[float]]:
    """For each of ``MARKS`` the hypervolume of every seed."""
    ends = _ends(space)
    shares: list[list[float]] = [[] for _ in MARKS]
    for seed in range(seeds):
        outcomes = trials(space, sampler, seed, rule)
        points: list[Point] = []
        for number in range(1, MARKS[-1] + 1):
            values = next(outcomes)
            if values is not None:
                points.append(_scaled(values, ends))
            if number in MARKS:
                shares[MARKS.index(number)].append(hypervolume(points, (1.0, 1.0, 1.0)))
    return shares


def _ends(space: Space) -> list[tuple[float, float]]:
    rng = random.Random(0)
    drawn = (space.sample(rng) for _ in range(400))
    built = [(params, candidate) for params in drawn if not space.refusals(candidate := space.candidate(params))]
    losses = [_losses(epochs(params, candidate)[-1]) for params, candidate in built]
    return [(min(axis), max(axis)) for axis in zip(*losses, strict=True)]


def _losses(values: Values) -> Point:
    accuracy, energy_mj, params = values
    return (-accuracy, math.log(energy_mj), math.log(params))


def _scaled(values: Values, ends: Sequence[tuple[float, float]]) -> Point:
    return tuple((loss - low) / (high - low) for loss, (low, high) in zip(_losses(values), ends, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("spaces", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samplers", nargs="*", default=["random", "tpe", "ga", "ehvi"])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print("| space | sampler | early stopping | " + " | ".join(f"{mark} trials" for mark in MARKS) + " |")
    print("|---" * (3 + len(MARKS)) + "|")
    for source in options.spaces:
        space = load_space(source)
        for name in options.samplers:
            for rule in (None,) if name == "gp" else (None, Stopping()):
                cells = [
                    f"{statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})"
                    for each in found(space, name, rule, options.seeds)
                ]
                stopping = "no" if rule is None else "yes"
                print(f"| {space.study.name} | {name} | {stopping} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
