"""The report of a study: which sections it has, and in what order.

To add a section, write a function from a study to a `Section` in reports/study/sections and add it to `SECTIONS`. It
appears on the page and in Markdown. A function returns None if the study has nothing to show in that section.
"""

from collections.abc import Callable

from reports.analysis.front import finished, status_summary
from reports.document.html import render_html
from reports.document.markdown import render_markdown
from reports.document.model import Definitions, Document, KeyFigure, Section
from reports.document.wording import count, duration, moment, objective_value
from reports.records.objectives import OBJECTIVES, axis_title
from reports.records.study import StudyRecord
from reports.study.payload import payload
from reports.study.sections.candidates import front_section, hypervolume_section
from reports.study.sections.energy import energy_section
from reports.study.sections.finalists import finalists_section
from reports.study.sections.findings import findings_section
from reports.study.sections.published import published_section
from reports.study.sections.reproduce import reproduce_section
from reports.study.sections.unfinished import unfinished_section
from reports.study.summary import ACCURACY_NOTE, summary

SECTIONS: tuple[Callable[[StudyRecord], Section | None], ...] = (
    finalists_section,
    findings_section,
    front_section,
    hypervolume_section,
    published_section,
    unfinished_section,
    energy_section,
    reproduce_section,
)
SCRIPTS = tuple(f"scripts/{name}.js" for name in ("times", "dom", "axes", "plot", "table", "charts", "detail", "page"))


def page(study: StudyRecord) -> str:
    """Return report.html."""
    return render_html(study_document(study))


def markdown(study: StudyRecord) -> str:
    """Return report.md."""
    return render_markdown(study_document(study))


def study_document(study: StudyRecord) -> Document:
    """Return the report of a study, ready to be rendered."""
    return Document(
        kind="snnsearch report",
        title=study.header.name,
        summary=summary(study),
        note=ACCURACY_NOTE,
        key_figures=_key_figures(study),
        facts=_labels(study),
        sections=tuple(section for build in SECTIONS if (section := build(study)) is not None),
        data=payload(study),
        scripts=SCRIPTS,
    )


def _labels(study: StudyRecord) -> Definitions | None:
    """Return the tags and the notes of the study; None if it has neither."""
    tags = [("tags", ", ".join(study.labels.tags))] if study.labels.tags else []
    notes = [(f"note of {moment(note.written_at)}", note.text) for note in study.labels.notes]
    return Definitions((*tags, *notes)) if tags or notes else None


def _key_figures(study: StudyRecord) -> tuple[KeyFigure, ...]:
    state = status_summary(study)
    n_finished = len(finished(study))
    figures = [KeyFigure("finished candidates", f"{n_finished:,}", f"of {count(state.total, 'trial')}")]
    if n_finished:
        figures.append(KeyFigure("on the front", str(len(state.front)), f"of {n_finished:,} finished"))
    for best in state.best:
        info = OBJECTIVES.get(best.objective)
        lowest = "fewest" if info and info.is_count else "lowest"
        adjective = "best" if best.direction == "maximize" else lowest
        who = f"{best.name} ({best.trial})" if best.name else f"candidate {best.trial}"
        value = objective_value(best.objective, best.value)
        figures.append(KeyFigure(f"{adjective} {axis_title(best.objective)}", value, who))
    if state.training_s:
        figures.append(KeyFigure("training time", duration(state.training_s), "all trials together"))
    return tuple(figures)
