"""Hypervolume over time: how much of a fixed box of outcomes the finished trials dominate, trial by trial.

The box does not depend on the study. Bounds taken from the trials (the worst seen, say) would move when a trial is
added and so redraw the past of the curve; constants do not, and two studies of the same objectives can be compared.
"""

import math
from dataclasses import dataclass

from reports.analysis.front import finished, front_trials
from reports.analysis.pareto import Direction, Point, dominates, hypervolume, hypervolume_contribution
from reports.document.wording import axis
from reports.records.study import ObjectiveRecord, StudyRecord, TrialRecord

MOST_OBJECTIVES = 4  # beyond that the exact computation takes minutes


@dataclass(frozen=True)
class Scale:
    """The range that one objective spans in the box; on a log scale where amounts differ by factors."""

    low: float
    high: float
    log: bool = True

    def loss(self, value: float, direction: Direction) -> float:
        """0 at the better end of the range, 1 at the worse; a value outside counts as the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 1.0 - share if direction == "maximize" else share


SCALES = {
    "accuracy": Scale(0.0, 1.0, log=False),
    "energy_mj": Scale(1e-4, 1e2),
    "params": Scale(1e3, 1e8),
    "dense_macs": Scale(1e4, 1e11),
    "macs": Scale(1e4, 1e11),
    "acs": Scale(1e4, 1e11),
    "spikes": Scale(1e2, 1e9),
    "firing_rate": Scale(0.0, 1.0, log=False),
    "timesteps": Scale(1.0, 64.0),
}


@dataclass(frozen=True)
class Step:
    """The hypervolume when a trial had finished."""

    trial: int
    finished: int  # complete trials so far
    training_s: float  # spent on all trials so far, whatever became of them
    training_macs: float  # the same in dense multiply-accumulates; 0 in studies of record versions before 3
    value: float  # share of the box, 0..1


@dataclass(frozen=True)
class HypervolumeCurve:
    """The curve, one step per complete trial in order of finishing, and what it is measured in."""

    steps: tuple[Step, ...]
    box: str


def hypervolume_over_time(study: StudyRecord) -> HypervolumeCurve | str:
    """The curve, or why there is none."""
    objectives = study.header.objectives
    unknown = [o.name for o in objectives if o.name not in SCALES]
    if unknown:
        return f"no fixed range is known for {', '.join(unknown)}"
    if len(objectives) > MOST_OBJECTIVES:
        return f"it is not computed for more than {MOST_OBJECTIVES} objectives"
    if not finished(study):
        return "no trial is complete yet"
    return HypervolumeCurve(_steps(study), box_text(objectives))


def _steps(study: StudyRecord) -> tuple[Step, ...]:
    objectives = study.header.objectives
    complete = {t.number for t in finished(study)}
    worst = _worst(objectives)
    steps: list[Step] = []
    front: list[Point] = []
    before = study.header.supernet
    spent, macs = (before.wall_s, before.macs) if before else (0.0, 0.0)
    volume = 0.0
    over = [t for t in study.trials if t.status not in ("running", "waiting")]
    for trial in sorted(over, key=lambda t: (t.finished_at if t.finished_at is not None else math.inf, t.number)):
        spent += trial.wall_s
        macs += trial.training_macs
        if trial.number in complete:
            point = _scaled(trial, objectives)
            if not any(q == point or dominates(q, point) for q in front):
                volume += hypervolume_contribution(point, front, worst)
                front = [q for q in front if not dominates(point, q)] + [point]
            steps.append(Step(trial.number, len(steps) + 1, spent, macs, volume))
    return tuple(steps)


def hypervolume_subset(study: StudyRecord, most: int) -> tuple[tuple[TrialRecord, ...], float]:
    """Of the front up to ``most`` candidates, each that which adds most hypervolume to those before it (Guerreiro and
    Fonseca 2016), and what share they have of that of those asked. Where the front is larger and accuracy is an
    objective, only its more accurate half is asked: the box reaches down to networks that know nothing, and the
    smallest of all have a large part of it. Where no hypervolume is computed, the front's first ones.
    """
    front, objectives = front_trials(study), study.header.objectives
    if len(front) > most and any(o.name == "accuracy" for o in objectives):
        ranked = sorted(front, key=lambda trial: -trial.values["accuracy"])
        half = ranked[: max(most, math.ceil(len(front) / 2))]
        front = tuple(trial for trial in front if trial in half)
    if len(front) <= most or not _computed(objectives):
        return front[:most], 1.0
    worst = _worst(objectives)
    points = {trial.number: _scaled(trial, objectives) for trial in front}
    chosen: list[TrialRecord] = []
    for _ in range(most):
        have = [points[trial.number] for trial in chosen]
        left = [trial for trial in front if trial not in chosen]
        chosen.append(max(left, key=lambda trial: hypervolume_contribution(points[trial.number], have, worst)))
    share = hypervolume([points[t.number] for t in chosen], worst) / hypervolume(list(points.values()), worst)
    return tuple(trial for trial in front if trial in chosen), share


def _computed(objectives: tuple[ObjectiveRecord, ...]) -> bool:
    return len(objectives) <= MOST_OBJECTIVES and all(o.name in SCALES for o in objectives)


def _scaled(trial: TrialRecord, objectives: tuple[ObjectiveRecord, ...]) -> Point:
    return tuple(SCALES[o.name].loss(trial.values[o.name], o.direction) for o in objectives)


def _worst(objectives: tuple[ObjectiveRecord, ...]) -> Point:
    return (1.0,) * len(objectives)


def box_text(objectives: tuple[ObjectiveRecord, ...]) -> str:
    """The box in words, from the reference point, its worst corner, to its best."""
    sides = []
    for o in objectives:
        scale = SCALES[o.name]
        worst, best = (scale.low, scale.high) if o.direction == "maximize" else (scale.high, scale.low)
        sides.append(f"{axis(o.name)} {worst:,.10g} to {best:,.10g}{', log scale' if scale.log else ''}")
    return "; ".join(sides)
