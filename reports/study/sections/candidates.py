"""The finished candidates: the front, the interactive plots and table, and the hypervolume over time."""

from reports.analysis.front import finished, front_trials
from reports.analysis.hypervolume import hypervolume_over_time
from reports.document.html import render_template
from reports.document.model import Block, Figure, Section, Text
from reports.document.wording import duration, ratio
from reports.records.study import StudyRecord
from reports.study.payload import energy_models_of
from reports.study.tables import candidates_table, energies_table

BOX_NOTE = (
    "Hypervolume is the share of a fixed box of outcomes that the finished candidates dominate. The box reaches from a "
    "reference point, its worst corner, to its best corner: {box}. The box is the same for every study, so adding a "
    "trial does not change the past of the curve, and studies with the same objectives can be compared. Training time "
    "is the time of all trials, finished or not."
)


def front_section(study: StudyRecord) -> Section:
    """Return the front and all finished candidates: plots, a sortable table and details on the page, tables in
    Markdown."""
    trials, front = finished(study), front_trials(study)
    if not trials:
        return Section("Front", (Text("No trial is complete yet, so there is no front to show.", style="empty"),))
    title = f"Front: {len(front)} of {len(trials)} finished candidates"
    tables: tuple[Block, ...] = (candidates_table(study, front),)
    if len(models := energy_models_of(study)) > 1:
        tables += (Section("Energy by each model", (energies_table(front, models),)),)
    tables += (Section("All finished candidates", (candidates_table(study, trials),)),)
    return Section(title, (Figure(render_template("workspace.html"), tables),), id="workspace", own_heading=True)


def hypervolume_section(study: StudyRecord) -> Section | None:
    """Return the hypervolume over time: a plot on the page, the last value in Markdown."""
    if not finished(study):
        return None
    curve = hypervolume_over_time(study)
    if isinstance(curve, str):
        plot, note = Figure(render_template("hypervolume.html")), f"Not drawn: {curve}."
    else:
        last = curve.steps[-1]
        sentence = (
            f"Hypervolume {ratio(last.value)} after {last.finished} finished candidates and "
            f"{duration(last.training_s)} of training."
        )
        plot = Figure(render_template("hypervolume.html"), (Text(sentence),))
        note = BOX_NOTE.format(box=curve.box)
    return Section("Hypervolume over time", (plot, Text(note, style="note")), id="progress", own_heading=True)
