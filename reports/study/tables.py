"""The front and all trials as tables: for the terminal, for a spreadsheet, for a program."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from reports.analysis.comparisons import compare_references
from reports.analysis.front import finished, front_trials, starts_differ, trial_ranks
from reports.document.table import Table, csv_cell
from reports.document.wording import amount, axis, candidate, ratio, started
from reports.records.study import StudyRecord, TrialRecord


def candidates_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> Table:
    """Finished candidates: number, name, objectives, test accuracy, CNN twin's energy, firing rate, rank, modules; and
    what they started from, where that is not scratch for all."""
    objectives = [o.name for o in study.header.objectives]
    ranks = trial_ranks(study)
    measures = ("test accuracy", "twin / SNN", "firing rate", "rank", "removed", "resized")
    columns = ("trial", "candidate", *map(axis, objectives), *measures)
    rows = []
    for t in trials:
        assert t.metrics is not None  # finished
        values = [amount(name, t.values[name]) for name in objectives]
        measured = (ratio(t.metrics.test_accuracy), twin_ratio(t, study.header.price), ratio(t.metrics.firing_rate))
        removed = " ".join(m.name for m in t.modules if m.state == "removed") or "-"
        resized = ", ".join(f"{m.name} {m.detail}" for m in t.modules if m.state == "resized") or "-"
        rows.append((str(t.number), t.name or "", *values, *measured, str(ranks[t.number]), removed, resized))
    numeric = (True, False, *(True for _ in objectives), True, True, True, True, False, False)
    if not starts_differ(study):
        return Table(columns, numeric, tuple(rows))
    told = tuple((*row, started(t)) for row, t in zip(rows, trials, strict=True))
    return Table((*columns, "started from"), (*numeric, False), told)


def twin_ratio(trial: TrialRecord, price: str) -> str:
    """How many times the candidate's energy its CNN twin needs; empty where either is not priced or nothing."""
    assert trial.metrics is not None
    own, twin = trial.metrics.energy_mj.get(price), trial.metrics.twin_energy_mj.get(price)
    return f"{twin / own:.1f}" if own and twin is not None else ""


def published_table(study: StudyRecord) -> Table:
    """Published points, who dominates them, and how accurate a candidate within their energy and size is."""
    rows = []
    for c in compare_references(study):
        r, within = c.reference, c.within
        best = f"{ratio(within.metrics.test_accuracy)}, {candidate(within)}" if within and within.metrics else "none"
        by = ", ".join(candidate(t) for t in c.dominated_by) or ("none" if c.comparable else "not comparable")
        figures = (ratio(r.accuracy), amount("energy_mj", r.energy_mj), f"{r.params:,}")
        rows.append((r.label, *figures, r.price, by, best, r.source))
    columns = ("published point", "accuracy", "energy, mJ", "parameters", "energy by", "dominated by")
    numeric = (False, True, True, True, False, False, False, False)
    return Table((*columns, "best test accuracy at its energy and size", "source"), numeric, tuple(rows))


def front_csv(study: StudyRecord) -> str:
    """The front: number, name, objectives, test accuracy, firing rate, every energy, what it started from where that is
    not scratch for all, then the dials by path."""
    trials = front_trials(study)
    objectives = [o.name for o in study.header.objectives]
    prices = sorted({price for t in trials if t.metrics for price in t.metrics.energy_mj})
    measures = ["test_accuracy", "test_f1", "firing_rate", *(f"energy_mj {price}" for price in prices)]
    measures += ["started_from"] * starts_differ(study)
    dials = list(dict.fromkeys([*study.header.dials, *(path for t in trials for path in t.params)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, ["number", "name", *objectives, *measures, *dials]))
    for t in trials:
        assert t.metrics is not None
        measured = [t.metrics.test_accuracy, t.metrics.test_f1, t.metrics.firing_rate]
        energies = [t.metrics.energy_mj.get(price, "") for price in prices]
        row = [t.number, t.name or "", *(t.values[o] for o in objectives), *measured, *energies]
        row += [started(t)] * starts_differ(study)
        writer.writerow(map(csv_cell, [*row, *(t.params.get(path, "") for path in dials)]))
    return text.getvalue()


def front_json(study: StudyRecord) -> str:
    """The front for programs: the study, its objectives, and every candidate with measures, modules and dials."""
    header = study.header
    found: dict[str, Any] = {
        "study": header.name,
        "objectives": [o.model_dump() for o in header.objectives],
        "price": header.price,
        "seed": header.seed,
        "commit": header.commit,
        "versions": header.versions,
        "data": header.data,
        "training": header.training,
        "finished": len(finished(study)),
        "front": [_candidate(t) for t in front_trials(study)],
        "references": [
            c.reference.model_dump() | {"dominated_by": [t.number for t in c.dominated_by]}
            for c in compare_references(study)
        ],
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _candidate(trial: TrialRecord) -> dict[str, Any]:
    kept = {"number", "name", "values", "metrics", "modules", "params", "seed", "device", "wall_s"}
    start = {} if trial.start is None else {"start": trial.start.model_dump(mode="json", exclude={"history"})}
    return trial.model_dump(mode="json", include=kept) | start
