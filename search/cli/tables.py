"""Show studies and trials on a terminal."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.analysis.finalists import compare_finalists
from reports.analysis.front import StatusSummary, front_trials
from reports.document.commands import command
from reports.document.energy_models import ALTERNATIVES, alternatives_of
from reports.document.wording import count, duration, initialization_phrase, listing, objective_value
from reports.records.objectives import OBJECTIVES, objective_values, short_name
from reports.records.study import FidelityRecord, LayerRecord, StudyHeader, StudyRecord, TrialRecord
from reports.study.reproduce import train_again
from search.errors import format_value

if TYPE_CHECKING:  # data sets import numpy, which `status` does not need
    from search.space.shipped import ShippedFile
    from snnkit.counting.count import ModelCounts
    from snnkit.data import ClassCount, Described, Status
    from snnkit.energy import Energy

CELLS = {"kept": ("■", "green"), "resized": ("▪", "yellow"), "removed": ("·", "dim")}


def figure(objective: str, value: float) -> str:
    """Return an objective's value with its unit if its name has none: ``0.412``, ``599,130``, energy_mj ``0.0295``."""
    unit = OBJECTIVES[objective].unit_symbol if objective in OBJECTIVES else ""  # unknown: stored by a newer snnsearch
    return f"{objective_value(objective, value)} {'' if objective.endswith(f'_{unit.lower()}') else unit}".rstrip()


def named_figure(objective: str, value: float) -> str:
    """Return an objective's name and value: ``accuracy 0.412``. The name of a plug-in's objective is its label."""
    return f"{short_name(objective)} {figure(objective, value)}"


def module_bar(states: Iterable[str]) -> Text:
    """Return the modules of a network in one line, with one cell for each."""
    return Text.assemble(*(CELLS[state] for state in states))


def legend() -> str:
    """Return the meaning of the cells of `module_bar`."""
    return "   ".join(f"{mark} {state}" for state, (mark, _) in CELLS.items())


def unfinished(record: TrialRecord) -> Text:
    """Return the status and the reason of a trial that is not complete, or the doubts about one that is."""
    if record.doubts:
        return Text(f"doubtful: {record.doubt}", style="red")
    return Text(f"{record.status}: {record.reason}", style="red" if record.status == "failed" else "yellow")


def status_table(summaries: list[StatusSummary]) -> RenderableType:
    """Return a table of studies, one a line."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("study", "complete", "running", "front", "best", "trained for", "last trial"):
        table.add_column(column, justify="right" if column in ("complete", "running", "front") else "left")
    if tagged := max((len(tag) for found in summaries for tag in found.tags), default=0):
        table.add_column("tags", min_width=tagged + 1)  # and a comma
    for found in summaries:
        counts = found.counts
        best = named_figure(found.best[0].objective, found.best[0].value) if found.best else ""
        table.add_row(
            found.study, str(counts.get("complete", 0)), str(counts.get("running", 0)), str(len(found.front)),
            best, duration(found.training_s), _ago(found), *([", ".join(found.tags)] if tagged else []),
        )  # fmt: skip
    return table


def status_view(found: StatusSummary) -> RenderableType:
    """Return the progress of one study and the best value of each objective."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("study", Text(found.study, style="bold"))
    if found.tags:
        grid.add_row("tags", ", ".join(found.tags))
    for note in found.notes:
        grid.add_row("note", note)
    grid.add_row("trials", " · ".join(f"{n} {status}" for status, n in found.counts.items()) or "none yet")
    for best in found.best:
        trial = f"trial {best.trial}" + (f" {best.name}" if best.name else "")
        grid.add_row("best", f"{named_figure(best.objective, best.value)}, {trial}")
    grid.add_row("front", f"{len(found.front)} candidates")
    ledger = f", {found.training_images:,} images, {found.training_macs:.3g} MACs" if found.training_macs else ""
    spent = f"{duration(found.training_s)}{ledger} in all"
    grid.add_row("trained", f"{spent}; last trial {_ago(found) or 'not yet finished'}")
    return grid


def _ago(found: StatusSummary) -> str:
    return f"{duration(time.time() - found.last_finished_at)} ago" if found.last_finished_at else ""


def front_table(study: StudyRecord) -> Table:
    """Return the non-dominated candidates, the best in the first objective first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("candidate")
    for objective in study.header.objectives:
        table.add_column(short_name(objective.name), justify="right")
    table.add_column("test accuracy", justify="right")
    table.add_column("modules")
    for trial in front_trials(study):
        values = [figure(o.name, trial.values[o.name]) for o in study.header.objectives]
        test = f"{trial.metrics.test_accuracy:.3f}" if trial.metrics else ""
        table.add_row(str(trial.number), trial.name or "", *values, test, module_bar(m.state for m in trial.modules))
    return table


def finalists_table(study: StudyRecord) -> Table:
    """Return the finalists, the most accurate on the test images first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("finalist")
    for column in ("n", "test accuracy (95 %)", "twin", "energy_mj", "params"):
        table.add_column(column, justify="right", no_wrap=True)
    names = [each.name for each in study.header.own_figures]
    for name in names:
        table.add_column(short_name(name), justify="right")
    table.add_column("modules")
    table.add_column("dominates")
    for each in compare_finalists(study):
        low, high = each.interval
        table.add_row(
            each.record.label, str(len(each.record.trainings)), f"{each.accuracy:.3f} ({low:.3f} to {high:.3f})",
            "" if each.twin_accuracy is None else f"{each.twin_accuracy:.3f}", figure("energy_mj", each.energy_mj),
            figure("params", each.params),
            *(figure(name, each.own[name]) if name in each.own else "" for name in names),
            module_bar(m.state for m in each.record.modules), listing(each.dominated),
        )  # fmt: skip
    return table


def unwrapped(text: str, style: str = "") -> Text:
    """Return a line that stays one line at any width, so that a command in it can be copied. Print it uncropped."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def ending(study: StudyRecord, folder: Path) -> RenderableType:
    """Return the end of a run: the front, the files and the next command. Print it uncropped."""
    name = study.header.name
    complete = sum(trial.status == "complete" for trial in study.trials)
    failed = [trial for trial in study.trials if trial.status == "failed"]
    above = sum(trial.status in ("infeasible", "refused") for trial in study.trials)
    parts: list[RenderableType] = [Text()]
    if study.finalists:
        title = f"the finalists of {name}, trained longer"
        note = "n trainings each; accuracy on the test images, measured once after each; twin: the CNN twin's accuracy"
        parts += [Text(title, style="bold"), finalists_table(study), Text(note, style="dim"), Text()]
    if complete:
        parts += [
            Text(f"the front of {name}, of {complete} trained candidates", style="bold"),
            front_table(study),
            Text(f"modules: {legend()}", style="dim"),
            Text(),
        ]
    else:
        what = f"{above} tried, but each exceeds a bound: no candidate meets the constraints yet"
        parts.append(Text(what if above else "no candidate was trained to the end yet", style="bold red"))
    if running := [trial.number for trial in study.trials if trial.status == "running"]:
        numbers = ", ".join(map(str, running))
        parts.append(Text(f"stopped with trials {numbers} unfinished: `resume` continues from their checkpoints\n"))
    if doubtful := [str(trial.number) for trial in study.trials if trial.doubts]:
        numbers = ", ".join(doubtful)
        parts.append(
            Text(
                f"the figures of trials {numbers} contradict each other, so they are not on the front   "
                f"(snnsearch show {name} {doubtful[0]})",
                style="red",
            )
        )
    for trial in failed[:3]:
        parts.append(
            unwrapped(f"trial {trial.number} failed: {trial.reason}   ({command('show', name, trial.number)})", "red")
        )
    parts.append(unwrapped(f"report    {folder / 'report.html'}   open it: {command('report', name, '--open')}"))
    if study.finalists:
        best = compare_finalists(study)[0].record
        export = command("export", best.benchmark, best.number, "--format", "onnx")
        parts.append(unwrapped(f"export    {export}   the most accurate finalist"))
    if study.finals_left:
        left = count(study.finals_left, "training")
        parts.append(unwrapped(f"continue  {command('resume', name)}   {left} of the finals left"))
    elif running:
        parts.append(unwrapped(f"continue  {command('resume', name)}"))
    else:
        parts.append(unwrapped(f"continue  {command('resume', name, '--time', '20m')}"))
        if above and not complete:
            parts.append(Text("or        raise a bound of study.constraints, and launch the space under another name"))
    return Group(*parts)


def trial_view(study: StudyRecord, trial: TrialRecord) -> RenderableType:
    """Return all about one trial: figures, modules, layers, reason or traceback, and how to train it again.

    Print it uncropped.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("trial", Text(f"{trial.number} {trial.name or ''}".strip(), style="bold"))
    grid.add_row("status", trial.status + (f": {trial.reason}" if trial.reason else ""))
    if trial.doubt:
        grid.add_row("doubtful", Text(trial.doubt, style="red"))
    for module in trial.modules:
        grid.add_row(module.name, Text(f"{module.state:<8} {module.detail}", style=CELLS[module.state][1]))
    for path, value in trial.params.items():
        grid.add_row("dial", f"{path}: {value if isinstance(value, str) else format_value(value)}")
    parts: list[RenderableType] = [grid]
    for found in trial.fidelities:
        reached = (
            f"{reached_values(found, study.header)}, {count(len(found.epochs), 'epoch')}, {duration(found.wall_s)}"
        )
        grid.add_row(f"fidelity {found.fidelity} of {found.of}", reached)
    if trial.metrics is not None:
        parts += [Text(), _figures(trial), Text(), layer_table(trial.layers, [study.header.price])]
    if trial.traceback:
        parts += [Text(), Text(trial.traceback)]
    return Group(*parts, Text(), unwrapped(f"train it again:\n  {train_again(study, trial)}"))


def reached_values(found: FidelityRecord, header: StudyHeader) -> str:
    """Return the objectives measured at a fidelity: ``accuracy 0.512  energy_mj 0.00123 mJ``."""
    names = [objective.name for objective in header.objectives]
    values = objective_values(found.measured, names, header.price)
    return "  ".join(named_figure(name, value) for name, value in values.items())


def _figures(trial: TrialRecord) -> RenderableType:
    metrics = trial.metrics
    assert metrics is not None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("accuracy", f"{metrics.accuracy:.4f} on validation (what the search sees)")
    grid.add_row("test", f"{metrics.test_accuracy:.4f}, macro F1 {metrics.test_f1:.4f}, measured once, after training")
    grid.add_row("parameters", f"{metrics.params:,}")
    grid.add_row(
        "operations", f"{metrics.macs:,.0f} MACs and {metrics.acs:,.0f} ACs per inference, T = {metrics.timesteps}"
    )
    grid.add_row("spikes", f"{metrics.spikes:,.0f} per inference, firing rate {metrics.firing_rate:.4f}")
    for price, energy in metrics.energy_mj.items():
        twin = metrics.twin_energy_mj[price]
        grid.add_row(
            price,
            f"{energy:.4g} mJ; its CNN twin {twin:.4g} mJ, {twin / energy:.2f} times as much" if energy else "0 mJ",
        )
        for name in alternatives_of([trial], price):
            grid.add_row("", f"{metrics.alternative_mj(price, name):.4g} mJ {ALTERNATIVES[name]}")
    for name, value in metrics.own.items():
        grid.add_row(short_name(name), figure(name, value))
    if start := initialization_phrase(trial):
        grid.add_row("started", start)
    grid.add_row("trained", f"{len(trial.history)} epochs, {duration(trial.wall_s)}, {trial.device}, seed {trial.seed}")
    return grid


def layer_table(layers: Sequence[LayerRecord], models: Sequence[str]) -> Table:
    """Return the counts of layers, and their energies under ``models``."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    energies = [f"{model} mJ" for model in models]
    for column in ("layer", "MACs", "ACs", "spikes out", "firing rate", "params", *energies):
        table.add_column(column, justify="left" if column == "layer" else "right", no_wrap=True)
    for layer in layers:
        rate = "" if layer.firing_rate is None else f"{layer.firing_rate:.4f}"
        table.add_row(
            layer.name, f"{layer.macs:,.0f}", f"{layer.acs:,.0f}", f"{layer.spikes_out:,.0f}", rate,
            f"{layer.params:,}", *(f"{layer.energy_mj.get(model, 0.0):.3g}" for model in models),
        )  # fmt: skip
    return table


def counts_view(counts: "ModelCounts", energies: Mapping[str, "Energy"]) -> RenderableType:
    """Return the counts of a network that was not built here: totals, energies, layers. Print it uncropped."""
    from search.trial.run import layer_records

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("images", f"{counts.images:,}")
    if counts.accuracy is not None:
        grid.add_row("accuracy", f"{counts.accuracy:.4f}")
    grid.add_row("parameters", f"{counts.plan.params:,} in the counted layers")
    steps = f"T = {counts.timesteps}" + (f", {WAYS[counts.forward]}" if counts.spiking else "")
    grid.add_row("operations", f"{counts.macs:,.0f} MACs and {counts.acs:,.0f} ACs per inference, {steps}")
    if counts.spiking:
        grid.add_row("spikes", f"{counts.spikes:,.0f} per inference, firing rate {counts.firing_rate:.4f}")
    for model, energy in energies.items():
        grid.add_row(model, f"{energy.total_mj:.4g} mJ")
        for name in [each for each in ALTERNATIVES if each in energy.alternatives]:
            grid.add_row("", f"{energy.alternatives[name]:.4g} mJ {ALTERNATIVES[name]}")
    for text in counts.uncounted:
        grid.add_row(Text("not counted", style="red"), text)
    models = [model for model in energies if model.endswith("/exact")]
    return Group(grid, Text(), layer_table(layer_records(counts, energies), models))


WAYS = {
    "step": "one call for each step",
    "sequence": "one call for all steps",
    "loop": "one call, which repeats the image",
}


def shipped_table(found: Sequence["ShippedFile"]) -> Table:
    """Return the spaces and benchmarks that come with snnsearch."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "kind", "about"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(each.name, each.kind, each.about)
    return table


def class_table(found: Sequence["ClassCount"]) -> Table:
    """Return the classes of a data set with their numbers of images, and the totals."""
    table = Table(box=None, pad_edge=False, header_style="dim", show_footer=True)
    table.add_column("class", "total", overflow="fold")
    table.add_column("id", "", overflow="fold")
    table.add_column("training", f"{sum(each.train for each in found):,}", justify="right")
    if own := sum(each.validation for each in found):
        table.add_column("validation", f"{own:,}", justify="right")
    table.add_column("test", f"{sum(each.test for each in found):,}", justify="right")
    for each in found:
        counts = (each.train, each.validation, each.test) if own else (each.train, each.test)
        table.add_row(each.name, each.id if each.id != each.name else "", *(f"{number:,}" for number in counts))
    return table


def source_text(found: "Described", notes: Sequence[str]) -> str:
    """Return where a described data set is, what its images are, and what was changed when they were read."""
    return "\n".join([f"\ndata      {found.describe()}", *(f"note      {note}" for note in notes)])


def data_table(found: Sequence["Status"]) -> Table:
    """Return the data sets with their place, or with what to do to get them."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("data set", "here", "where"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(each.name, "yes" if each.available else "no", each.detail)
    return table
