"""Hypervolume over time: the share of a fixed box of outcomes that the finished trials dominate, trial by trial.

The box is made of constants (`ObjectiveInfo.box`). If it were taken from the trials, every new trial could change the
past of the curve. With constants it stays, and studies with the same objectives can be compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.analysis.finalists import intervals_overlap
from reports.analysis.front import finished, front_trials
from reports.analysis.pareto import Point
from reports.analysis.volume import hypervolume, hypervolume_contribution
from reports.records.objectives import OBJECTIVES
from reports.records.study import ObjectiveRecord, StudyRecord, TrialRecord

MAX_OBJECTIVES = 4  # with more, the exact computation takes minutes


@dataclass(frozen=True)
class Step:
    """The hypervolume after a trial finished."""

    trial: int
    finished: int  # number of complete trials so far
    training_s: float  # of all trials so far, whatever their status
    training_macs: float  # dense multiply-accumulates of the same; 0 in records before version 3
    value: float  # share of the box, 0..1


@dataclass(frozen=True)
class HypervolumeCurve:
    """One step for each complete trial, in the order of finishing, and a description of the box."""

    steps: tuple[Step, ...]
    box: str


def hypervolume_over_time(study: StudyRecord) -> HypervolumeCurve | str:
    """Return the curve, or the reason why there is none."""
    objectives = study.header.objectives
    unknown = [o.name for o in objectives if o.name not in OBJECTIVES]
    if unknown:
        return f"no fixed range is known for {', '.join(unknown)}"
    if len(objectives) > MAX_OBJECTIVES:
        return f"it is not computed for more than {MAX_OBJECTIVES} objectives"
    if not finished(study):
        return "no trial is complete yet"
    return HypervolumeCurve(_steps(study), box_text(objectives))


def _steps(study: StudyRecord) -> tuple[Step, ...]:
    objectives = study.header.objectives
    complete = {t.number for t in finished(study)}
    worst = _worst(objectives)
    steps: list[Step] = []
    front = np.empty((0, len(objectives)))  # (points, objectives)
    before = study.header.supernet
    spent, macs = (before.wall_s, before.macs) if before else (0.0, 0.0)
    volume = 0.0
    over = [t for t in study.trials if t.status not in ("running", "waiting")]
    for trial in sorted(over, key=lambda t: (t.finished_at if t.finished_at is not None else math.inf, t.number)):
        spent += trial.wall_s
        macs += trial.training_macs
        if trial.number in complete:
            point = _scaled(trial, objectives)
            if not (front <= point).all(axis=1).any():
                volume += hypervolume_contribution(point, front, worst)
                front = np.vstack([front[~(front >= point).all(axis=1)], point])
            steps.append(Step(trial.number, len(steps) + 1, spent, macs, volume))
    return tuple(steps)


def hypervolume_subset(
    study: StudyRecord, size: int, *, cost: Callable[[TrialRecord], float] = lambda _: 0.0, limit: float = math.inf
) -> tuple[tuple[TrialRecord, ...], float]:
    """Choose up to ``size`` candidates greedily by joint hypervolume (Guerreiro and Fonseca 2016), the best one first.

    Candidates of infinite cost are left out, unless all are. Each step adds the candidate of the front that contributes
    the most, of those that leave enough of ``limit``, the sum of all costs, for the cheapest others. If accuracy is an
    objective, the first step adds the most expensive candidate that cannot be told apart from the most accurate one, on
    the front or not: after short trainings, the larger one has more to gain. Then, if the front is larger than
    ``size``, only its more accurate half is considered: the box includes networks at chance, and the smallest networks
    would win by their size alone. If the hypervolume is not computed, the first candidates of the front are chosen.

    Returns:
        The chosen candidates, the first one and then the others in the order of the front, and their share of the
        hypervolume of those considered. They cost more than ``limit`` if the cheapest ones together do.
    """
    front, objectives = front_trials(study), study.header.objectives
    has_accuracy = any(o.name == "accuracy" for o in objectives)
    trials = finished(study)
    costs = {trial.number: cost(trial) for trial in trials}
    if any(map(math.isfinite, costs.values())):
        front, trials = (tuple(t for t in each if math.isfinite(costs[t.number])) for each in (front, trials))
    best = _as_accurate_as_the_best(trials, study.header.validation_images) if has_accuracy else ()
    if len(front) > size and has_accuracy:
        ranked = sorted(front, key=lambda trial: -trial.values["accuracy"])
        half = ranked[: max(size, math.ceil(len(front) / 2))]
        front = tuple(trial for trial in front if trial in half)
    if not _computed(objectives):
        return front[:size], 1.0
    worst = _worst(objectives)
    points = {trial.number: _scaled(trial, objectives) for trial in (*front, *best)}
    chosen: list[TrialRecord] = []
    for further in reversed(range(size)):
        have = [points[trial.number] for trial in chosen]
        left = sorted((trial for trial in front if trial not in chosen), key=lambda trial: costs[trial.number])
        spent = sum(costs[trial.number] for trial in chosen)
        prices = {each.number: spent + _cost_with(each, left, further, costs) for each in (*left, *best)}
        within = [trial for trial in left if prices[trial.number] <= limit] or left[:1]
        good = [] if chosen else [trial for trial in best if prices[trial.number] <= limit]
        if good:
            chosen.append(max(good, key=lambda t: (costs[t.number], t.values["accuracy"], t in front)))
        elif within:
            chosen.append(max(within, key=lambda trial: hypervolume_contribution(points[trial.number], have, worst)))
    whole = hypervolume(list(points.values()), worst) if points else 0.0
    share = hypervolume([points[trial.number] for trial in chosen], worst) / whole if whole else 1.0
    return (*chosen[:1], *(trial for trial in front if trial in chosen[1:])), share


def _as_accurate_as_the_best(trials: Sequence[TrialRecord], images: int | None) -> tuple[TrialRecord, ...]:
    """Return the trials whose accuracy cannot be told apart from the best one: their intervals overlap."""
    best = max((trial.values["accuracy"] for trial in trials), default=0.0)
    if not images:
        return tuple(trial for trial in trials if trial.values["accuracy"] == best)
    return tuple(trial for trial in trials if intervals_overlap(trial.values["accuracy"], best, images))


def _cost_with(each: TrialRecord, left: Sequence[TrialRecord], further: int, costs: Mapping[int, float]) -> float:
    """Return the cost of ``each`` and the ``further`` cheapest others. ``left`` begins with the cheapest."""
    others = [trial for trial in left if trial is not each][:further]
    return sum(costs[trial.number] for trial in (each, *others))


def _computed(objectives: tuple[ObjectiveRecord, ...]) -> bool:
    return len(objectives) <= MAX_OBJECTIVES and all(o.name in OBJECTIVES for o in objectives)


def _scaled(trial: TrialRecord, objectives: tuple[ObjectiveRecord, ...]) -> Point:
    return tuple(OBJECTIVES[o.name].box.loss(trial.values[o.name], o.direction) for o in objectives)


def _worst(objectives: tuple[ObjectiveRecord, ...]) -> Point:
    return (1.0,) * len(objectives)


def box_text(objectives: tuple[ObjectiveRecord, ...]) -> str:
    """Describe the box from its worst corner, the reference point, to its best corner."""
    sides = []
    for o in objectives:
        info = OBJECTIVES[o.name]
        low, high = info.box.low, info.box.high
        worst, best = (low, high) if o.direction == "maximize" else (high, low)
        sides.append(f"{info.axis_title} {worst:,.10g} to {best:,.10g}{', log scale' if info.box.log else ''}")
    return "; ".join(sides)
