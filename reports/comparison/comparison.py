"""Several studies in common terms: the objectives that all have, with energy by one energy model for all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from reports.analysis.front import finished, front_trials, losses
from reports.analysis.hypervolume import HypervolumeCurve, Step, hypervolume_over_time
from reports.analysis.pareto import dominates, front
from reports.errors import ReportError
from reports.records.study import ObjectiveRecord, StudyRecord, TrialRecord

ENERGY = "energy_mj"
MAX_STUDIES = 6  # colours that are easy to tell apart


@dataclass(frozen=True)
class Entry:
    """One study: ``keys`` identify the training of each candidate, ``networks`` its network, by trial number.

    ``settings`` are the leaves of its space by path, in words.
    """

    study: StudyRecord
    keys: Mapping[int, str]
    networks: Mapping[int, str]
    settings: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.study.header.name

    @cached_property
    def curve(self) -> HypervolumeCurve | None:
        """The hypervolume over time; None if it is not computed."""
        found = hypervolume_over_time(self.study)
        return None if isinstance(found, str) else found

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        return front_trials(self.study)


@dataclass(frozen=True)
class Comparison:
    """Studies with the same objectives in the same order and energies by the same model, as ``entries``.

    ``notes`` list the objectives that are left out and the energies that were computed again.
    """

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries]

    @property
    def objectives(self) -> tuple[ObjectiveRecord, ...]:
        return self.entries[0].study.header.objectives

    @property
    def price(self) -> str:
        return self.entries[0].study.header.price

    def joint_front(self) -> list[tuple[Entry, TrialRecord]]:
        """Return the candidates that no candidate of any study dominates, best in the first objective first."""
        every = [(entry, trial) for entry in self.entries for trial in finished(entry.study)]
        points = [losses(entry.study, trial) for entry, trial in every]
        return [every[at] for at in sorted(front(points), key=points.__getitem__)]

    def dominated(self, winner: Entry, loser: Entry) -> list[tuple[TrialRecord, list[TrialRecord]]]:
        """Return the candidates of the loser's front that the winner's front dominates, with what dominates them."""
        found = []
        for trial in loser.front:
            point = losses(loser.study, trial)
            if by := [other for other in winner.front if dominates(losses(winner.study, other), point)]:
                found.append((trial, by))
        return found

    def common(self) -> list[list[TrialRecord | None]]:
        """Return the networks that at least two studies trained to the end: the first trial of each study, or None."""
        rows: dict[str, list[TrialRecord | None]] = {}
        for at, entry in enumerate(self.entries):
            for trial in finished(entry.study):
                if (network := entry.networks.get(trial.number)) is not None:
                    row = rows.setdefault(network, [None] * len(self.entries))
                    row[at] = row[at] or trial
        return [row for row in rows.values() if sum(trial is not None for trial in row) > 1]

    def trained_equally(self, row: Sequence[TrialRecord | None]) -> bool:
        """Return whether all trials of a row of `common` trained the same candidate in the same way, from one seed."""
        pairs = [(entry, trial) for entry, trial in zip(self.entries, row, strict=True) if trial is not None]
        return len({(entry.keys.get(trial.number), trial.seed) for entry, trial in pairs}) == 1

    def differing_settings(self) -> list[tuple[str, list[str]]]:
        """Return each path whose values differ, with the value in each study; ``-`` where a study lacks it."""
        paths = dict.fromkeys(path for entry in self.entries for path in entry.settings)
        rows = [(path, [entry.settings.get(path, "-") for entry in self.entries]) for path in paths]
        return [(path, values) for path, values in rows if len(set(values)) > 1]

    def at_equal_macs(self) -> tuple[float, list[float]] | None:
        """Return the most MACs that all studies have spent, and the hypervolume of each then; None if unknown."""
        return self._at_equal(lambda step: step.training_macs)

    def at_equal_time(self) -> tuple[float, list[float]] | None:
        """Return the longest training time in seconds that all studies had, and the hypervolume of each then."""
        return self._at_equal(lambda step: step.training_s)

    def _at_equal(self, spent: Callable[[Step], float]) -> tuple[float, list[float]] | None:
        curves = [entry.curve for entry in self.entries]
        steps = [curve.steps for curve in curves if curve is not None]
        if len(steps) < len(self.entries) or not (limit := min(spent(each[-1]) for each in steps)):
            return None
        return limit, [max((step.value for step in each if spent(step) <= limit), default=0.0) for each in steps]


def compare(entries: Sequence[Entry]) -> Comparison:
    """Bring studies to common terms. Raises ReportError if they are fewer than two, too many, or share no objective."""
    names = [entry.name for entry in entries]
    if not 2 <= len(entries) <= MAX_STUDIES or len(set(names)) < len(names):
        raise ReportError(f"given {', '.join(names)}: write 2 to {MAX_STUDIES} different studies")
    notes = []
    price, shared = _common_price(entries)
    objectives = [each for each in entries[0].study.header.objectives if all(_has(entry, each) for entry in entries)]
    if price is None:
        objectives = [each for each in objectives if each.name != ENERGY]
    if not objectives:
        raise ReportError(f"{' and '.join(names)} share no objective that could be compared")
    kept = {each.name for each in objectives}
    if left_out := sorted({each.name for entry in entries for each in entry.study.header.objectives} - kept):
        notes.append(f"Only common objectives are compared. Left out: {', '.join(left_out)}.")
    if ENERGY in kept and not shared:
        again = [entry.name for entry in entries if entry.study.header.price != price]
        notes.append(f"Energies of {', '.join(again)} are shown by {price}, from the same trainings.")
    return Comparison(tuple(_in_terms(entry, tuple(objectives), price) for entry in entries), tuple(notes))


def _has(entry: Entry, objective: ObjectiveRecord) -> bool:
    return objective in entry.study.header.objectives


def _common_price(entries: Sequence[Entry]) -> tuple[str | None, bool]:
    """Return an energy model by which all candidates have energy, and whether it is the model of every study."""
    own = [entry.study.header.price for entry in entries]
    measured = [trial.metrics for entry in entries for trial in finished(entry.study) if trial.metrics]
    models = [model for model in dict.fromkeys(own) if all(model in each.energy_mj for each in measured)]
    return (models[0] if models else None), len(set(own)) == 1


def _in_terms(entry: Entry, objectives: tuple[ObjectiveRecord, ...], price: str | None) -> Entry:
    """Return the study with these objectives only and energies by ``price``."""
    header = entry.study.header.model_copy(
        update={"objectives": objectives, "price": price or entry.study.header.price}
    )
    done = {trial.number for trial in finished(entry.study)}

    def converted(trial: TrialRecord) -> TrialRecord:
        if trial.number not in done:
            return trial
        assert trial.metrics is not None  # it is finished
        values = {each.name: trial.values[each.name] for each in objectives}
        if ENERGY in values and price is not None:
            values[ENERGY] = trial.metrics.energy_mj[price]
        return trial.model_copy(update={"values": values})

    trials = tuple(map(converted, entry.study.trials))
    return replace(entry, study=entry.study.model_copy(update={"header": header, "trials": trials}))
