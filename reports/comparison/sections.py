"""The sections of a comparison, one function each. `reports.comparison.report` lists them in order."""

from itertools import permutations

from reports.analysis.front import finished, status_summary
from reports.analysis.hypervolume import hypervolume_over_time
from reports.comparison.comparison import Comparison, Entry
from reports.comparison.warnings import warnings
from reports.document.energy_models import rules
from reports.document.html import render_template
from reports.document.model import Bullets, Figure, Section, Text
from reports.document.table import Table
from reports.document.wording import candidate_name, count, duration, listing, objective_value, ratio
from reports.records.objectives import axis_title, objective_label
from reports.records.study import TrialRecord
from reports.study.sections.candidates import BOX_NOTE

MAX_ROWS = 40  # of a table of candidates
SETTINGS_NOTE = "Leaves of the spaces that differ, as each study stored its space. A dial shows its values."


def warnings_section(comparison: Comparison) -> Section | None:
    """Return what keeps figures from being compared; None if nothing does."""
    found = warnings(comparison)
    return Section("Before you compare", (Bullets(found),), id="warnings") if found else None


def studies_section(comparison: Comparison) -> Section:
    """Return a row for each study: its trials, its front, its hypervolume and its cost."""
    joint = [entry.name for entry, _ in comparison.joint_front()]
    columns = ("study", "finished", "of trials", "on its front", "on the joint front", "hypervolume", "MACs", "time")
    rows = []
    for entry in comparison.entries:
        state, curve = status_summary(entry.study), entry.curve
        rows.append(
            (
                entry.name, f"{len(finished(entry.study)):,}", f"{state.total:,}", str(len(entry.front)),
                str(joint.count(entry.name)), ratio(curve.steps[-1].value) if curve else "-",
                f"{state.training_macs:.3g}" if state.training_macs else "-", duration(state.training_s),
            )
        )  # fmt: skip
    table = Table(columns, (False, *(True,) * 7), tuple(rows), "Studies")
    note = "MACs are dense multiply-accumulates of training. The joint front is the front of all candidates together."
    return Section("Studies", (table, Text(note, style="note")))


def fronts_section(comparison: Comparison) -> Section:
    """Return the fronts together: plots on the page, and the joint front as a table."""
    joint = comparison.joint_front()
    if not joint:
        return Section("Fronts", (Text("No trial is complete yet, so there is no front to show.", style="empty"),))
    figure = Figure(render_template("comparison.html"))
    return Section("Fronts", (figure, _joint_table(comparison, joint)), id="fronts", own_heading=True)


def _joint_table(comparison: Comparison, joint: list[tuple[Entry, TrialRecord]]) -> Section:
    names = [each.name for each in comparison.objectives]
    rows = []
    for entry, trial in joint[:MAX_ROWS]:
        values = [objective_value(name, trial.values[name]) for name in names]
        test = ratio(trial.metrics.test_accuracy) if trial.metrics else ""
        removed = " ".join(module.name for module in trial.modules if module.state == "removed") or "-"
        rows.append((entry.name, str(trial.number), trial.name or "", *values, test, removed))
    columns = ("study", "trial", "candidate", *map(axis_title, names), "test accuracy", "removed")
    numeric = (False, True, False, *(True for _ in names), True, False)
    table = Table(columns, numeric, tuple(rows), "The joint front")
    title = f"The joint front: {count(len(joint), 'candidate')}"
    more = (Text(f"The first {MAX_ROWS} are listed.", style="note"),) if len(joint) > MAX_ROWS else ()
    return Section(title, (table, *more))


def dominance_section(comparison: Comparison) -> Section | None:
    """Return which candidates of one front dominate candidates of another; None before both have a front."""
    rows = []
    for winner, loser in permutations(comparison.entries, 2):
        if not winner.front or not loser.front:
            continue
        found = comparison.dominated(winner, loser)
        pairs = [f"{candidate_name(trial)} by {listing([candidate_name(t) for t in by], 3)}" for trial, by in found]
        share = f"{len(found)} of {len(loser.front)}"
        rows.append((winner.name, loser.name, share, "; ".join(pairs[:MAX_ROWS]) or "-"))
    if not rows:
        return None
    columns = ("front of", "dominates, on the front of", "candidates", "which, by which")
    table = Table(columns, (False, False, True, False), tuple(rows), "Dominance", wide=frozenset({3}))
    labels = listing([objective_label(each.name) for each in comparison.objectives])
    return Section("Which front dominates which", (Text(f"In {labels}.", style="note"), table))


def hypervolume_section(comparison: Comparison) -> Section | None:
    """Return the hypervolume of all studies against compute and time; None before the first trial is complete."""
    first = next((entry for entry in comparison.entries if finished(entry.study)), None)
    if first is None:
        return None
    curve = hypervolume_over_time(first.study)
    if isinstance(curve, str):
        return Section("Hypervolume", (Text(f"Not drawn: {curve}.", style="note"),))
    rows = []
    for title, amount, found in (
        ("equal compute", lambda spent: f"{spent:.3g} MACs", comparison.at_equal_macs()),
        ("equal training time", duration, comparison.at_equal_time()),
    ):
        if found is not None:
            spent, values = found
            rows.append((title, amount(spent), *map(ratio, values)))
    ends = [entry.curve.steps[-1].value if entry.curve else None for entry in comparison.entries]
    rows.append(("at the end", "", *("-" if value is None else ratio(value) for value in ends)))
    columns = ("hypervolume at", "spent by each", *comparison.names)
    table = Table(columns, (False, False, *(True for _ in ends)), tuple(rows), "Hypervolume")
    figure = Figure(render_template("comparison_progress.html"))
    blocks = (figure, table, Text(BOX_NOTE.format(box=curve.box), style="note"))
    return Section("Hypervolume against compute and time", blocks, id="progress")


def common_section(comparison: Comparison) -> Section:
    """Return the networks that several studies trained, side by side."""
    rows = comparison.common()
    if not rows:
        text = "No network was trained to the end by more than one of these studies."
        return Section("Common candidates", (Text(text, style="note"),))
    names = [each.name for each in comparison.objectives]
    columns = ("trained", *(axis_title(name) for _ in comparison.entries for name in ("trial", *names)))
    groups = (("", 1), *((entry.name, 1 + len(names)) for entry in comparison.entries))
    cells = tuple(
        ("equally" if comparison.trained_equally(row) else "differently", *(c for t in row for c in _cells(t, names)))
        for row in rows[:MAX_ROWS]
    )
    table = Table(columns, (False, *(True,) * (len(columns) - 1)), cells, "Common candidates", groups=groups)
    note = f"{count(len(rows), 'network')} that at least two of the studies trained to the end."
    return Section("Common candidates", (Text(note, style="note"), table))


def _cells(trial: TrialRecord | None, names: list[str]) -> tuple[str, ...]:
    if trial is None:
        return ("-",) * (1 + len(names))
    return (candidate_name(trial), *(objective_value(name, trial.values[name]) for name in names))


def settings_section(comparison: Comparison) -> Section:
    """Return the settings of the spaces that differ."""
    rows = comparison.differing_settings()
    if not rows:
        return Section("Settings", (Text("All settings of the spaces are equal.", style="note"),))
    table = Table(
        ("setting", *comparison.names),
        (False,) * (1 + len(comparison.entries)),
        tuple((path, *values) for path, values in rows),
        "Settings that differ",
    )
    return Section("Settings that differ", (Text(SETTINGS_NOTE, style="note"), table))


def energy_section(comparison: Comparison) -> Section | None:
    """Return the rule of the energy model; None if energy is not compared."""
    if all(each.name != "energy_mj" for each in comparison.objectives):
        return None
    first = comparison.entries[0].study
    return Section("How energies are computed", (rules([comparison.price], first.header.energy_rules, first.trials),))
