"""The candidates that the finals trained longer: what a launch ends with."""

from collections.abc import Sequence

from reports.analysis.finalists import Finalist, compare_finalists
from reports.document.commands import command
from reports.document.model import Code, Section, Text
from reports.document.table import Table
from reports.document.wording import listing, number, ratio
from reports.records.objectives import axis_title
from reports.records.study import StudyRecord

NOTE = (
    "These candidates of the front were trained longer after the search, with their CNN twins, as the space's finals "
    "say. Test accuracy was measured once after each training; the interval (95 %, Wilson) covers the choice of test "
    "images, not the seed."
)
COLUMNS = (
    "finalist", "test accuracy", "95 % interval", "trainings", "CNN twin", "energy_mj", "params", "dominates",
)  # fmt: skip


def finalists_section(study: StudyRecord) -> Section | None:
    """Return the finalists, the most accurate first; None if the study has none."""
    found = compare_finalists(study)
    if not found:
        return None
    note = NOTE + (f" {same}" if (same := _indistinguishable(found)) else "")
    best = found[0].record
    export = command("export", best.benchmark, best.number, "--format", "onnx")
    return Section("Finalists", (Text(note, style="note"), finalists_table(study), Code(export, "sh")))


def finalists_table(study: StudyRecord) -> Table:
    """Return a row for each finalist, the most accurate first."""
    figures = [figure.name for figure in study.header.own_figures]
    rows = tuple(_row(each, figures) for each in compare_finalists(study))
    columns = tuple(axis_title(name) for name in (*COLUMNS[:-1], *figures, COLUMNS[-1]))
    return Table(columns, (False, *(True for _ in columns[2:]), False), rows, "Finalists")


def _row(each: Finalist, figures: Sequence[str]) -> tuple[str, ...]:
    low, high = each.interval
    return (
        each.record.label,
        ratio(each.accuracy),
        f"{ratio(low)} to {ratio(high)}",
        str(len(each.record.trainings)),
        "" if each.twin_accuracy is None else ratio(each.twin_accuracy),
        number(each.energy_mj),
        f"{each.params:,}",
        *(number(each.own[name]) if name in each.own else "" for name in figures),
        listing(each.dominated) or "-",
    )


def _indistinguishable(found: tuple[Finalist, ...]) -> str:
    """Name the finalists whose interval overlaps the interval of the most accurate one."""
    best, *others = found
    same = [each.record.label for each in others if each.interval[1] >= best.interval[0]]
    if not same:
        return ""
    verb = "differs" if len(same) == 1 else "differ"
    return f"In accuracy, {listing(same)} {verb} from {best.record.label} by no more than chance."
