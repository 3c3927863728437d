"""The candidates as tables: for the report and the terminal, and as CSV and JSON files."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from reports.analysis.comparisons import compare_references
from reports.analysis.finalists import wilson_interval
from reports.analysis.front import finished, front_trials, initializations_differ, trial_ranks
from reports.document.energy_models import ALTERNATIVES, alternatives_of
from reports.document.table import Table, csv_cell
from reports.document.wording import candidate_name, initialization_label, objective_value, ratio
from reports.records.objectives import axis_title
from reports.records.study import StudyRecord, TrialRecord


def candidates_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> Table:
    """Return a row for each finished candidate of ``trials``: number, name, objectives, measurements, rank and modules.

    The table has a column ``started from`` if not all candidates of the study train from scratch.
    """
    objectives = [o.name for o in study.header.objectives]
    ranks = trial_ranks(study)
    further = alternatives_of(trials, study.header.price)
    energies = tuple(f"energy {ALTERNATIVES[name]}, mJ" for name in further)
    measures = ("test accuracy", "twin / SNN", *energies, "firing rate", "rank", "removed", "resized")
    columns = ("trial", "candidate", *map(axis_title, objectives), *measures)
    rows = []
    for t in trials:
        assert t.metrics is not None  # finished
        values = [objective_value(name, t.values[name]) for name in objectives]
        alternatives = (_alternative(t.metrics.alternative_mj(study.header.price, name)) for name in further)
        test, twin = _with_interval(t.metrics.test_accuracy, study), twin_ratio(t, study.header.price)
        measured = (test, twin, *alternatives, ratio(t.metrics.firing_rate))
        removed = " ".join(m.name for m in t.modules if m.state == "removed") or "-"
        resized = ", ".join(f"{m.name} {m.detail}" for m in t.modules if m.state == "resized") or "-"
        rows.append((str(t.number), t.name or "", *values, *measured, str(ranks[t.number]), removed, resized))
    numeric = (True, False, *(True for _ in (*objectives, *further)), True, True, True, True, False, False)
    label = "Candidates"
    if not initializations_differ(study):
        return Table(columns, numeric, tuple(rows), label)
    longer = tuple((*row, initialization_label(t)) for row, t in zip(rows, trials, strict=True))
    return Table((*columns, "started from"), (*numeric, False), longer, label)


def energies_table(trials: Sequence[TrialRecord], models: Sequence[str]) -> Table:
    """Return a row for each finished candidate of ``trials``, with its energy by each of ``models``."""
    rows = [
        (str(t.number), t.name or "", *(objective_value("energy_mj", t.metrics.energy_mj[model]) for model in models))
        for t in trials
        if t.metrics is not None
    ]
    columns = ("trial", "candidate", *(f"energy {model}, mJ" for model in models))
    return Table(columns, (True, False, *(True for _ in models)), tuple(rows), "Energy by model")


def _with_interval(accuracy: float, study: StudyRecord) -> str:
    """Return ``0.811 ± 0.017``, half of the 95 % interval; without it if the number of test images is not known."""
    if study.header.test_images is None:
        return ratio(accuracy)
    low, high = wilson_interval(accuracy, study.header.test_images)
    return f"{ratio(accuracy)} ± {ratio((high - low) / 2)}"


def _alternative(value: float | None) -> str:
    return "-" if value is None else objective_value("energy_mj", value)


def twin_ratio(trial: TrialRecord, model: str) -> str:
    """Return how many times the candidate's energy its CNN twin needs; empty if one is unknown or the first is 0."""
    assert trial.metrics is not None
    own, twin = trial.metrics.energy_mj.get(model), trial.metrics.twin_energy_mj.get(model)
    return f"{twin / own:.1f}" if own and twin is not None else ""


def published_table(study: StudyRecord) -> Table:
    """Return the published points, what dominates them, and the best candidate at their energy and size."""
    columns = (
        "published point", "accuracy", "energy, mJ", "parameters", "energy by", "dominated by",
        "best test accuracy at its energy and size", "source",
    )  # fmt: skip
    rows = []
    for c in compare_references(study):
        r, best = c.reference, "none"
        if c.within and c.within.metrics:
            best = f"{ratio(c.within.metrics.test_accuracy)}, {candidate_name(c.within)}"
        by = ", ".join(candidate_name(t) for t in c.dominated_by) or ("none" if c.comparable else "not comparable")
        figures = (ratio(r.accuracy), objective_value("energy_mj", r.energy_mj), f"{r.params:,}")
        rows.append((r.label, *figures, r.price, by, best, r.source))
    numeric = (False, True, True, True, False, False, False, False)
    return Table(columns, numeric, tuple(rows), "Published points")


def front_csv(study: StudyRecord) -> str:
    """Return the front as CSV: number, name, objectives, measurements, energies by every model, and dials by path.

    The file has a column ``started_from`` if not all candidates of the study train from scratch.
    """
    trials = front_trials(study)
    objectives = [o.name for o in study.header.objectives]
    models = sorted({model for t in trials if t.metrics for model in t.metrics.energy_mj})
    further = [(model, name) for model in models for name in alternatives_of(trials, model)]
    measures = ["test_accuracy", "test_f1", "firing_rate", *(f"energy_mj {model}" for model in models)]
    measures += [f"energy_mj {model} {name}" for model, name in further]
    measures += ["started_from"] * initializations_differ(study)
    dials = list(dict.fromkeys([*study.header.dials, *(path for t in trials for path in t.params)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, ["number", "name", *objectives, *measures, *dials]))
    for t in trials:
        assert t.metrics is not None
        measured = [t.metrics.test_accuracy, t.metrics.test_f1, t.metrics.firing_rate]
        energies = [t.metrics.energy_mj.get(model, "") for model in models]
        alternatives = (t.metrics.alternative_mj(model, name) for model, name in further)
        energies += ["" if value is None else value for value in alternatives]
        row = [t.number, t.name or "", *(t.values[o] for o in objectives), *measured, *energies]
        row += [initialization_label(t)] * initializations_differ(study)
        writer.writerow(map(csv_cell, [*row, *(t.params.get(path, "") for path in dials)]))
    return text.getvalue()


def front_json(study: StudyRecord) -> str:
    """Return the front as JSON: the study, its objectives, and each candidate with measurements, modules and dials."""
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
    exported = {"number", "name", "values", "metrics", "modules", "params", "seed", "device", "wall_s"}
    start = {}
    if trial.start is not None:
        unset = {name for name in ("fidelity", "study") if getattr(trial.start, name) is None}
        start = {"start": trial.start.model_dump(mode="json", exclude={"history", *unset})}
    found = trial.model_dump(mode="json", include=exported)
    for added in ("energy_alternatives_mj", "own"):  # in version 8 and 10: files of older studies stay the same
        if trial.metrics and not found["metrics"][added]:
            del found["metrics"][added]
    return found | start
