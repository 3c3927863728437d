"""The paragraph at the top of a study's report, and the note on its accuracies."""

from reports.analysis.front import STATUSES, status_summary
from reports.document.wording import count, duration, listing, moment, number
from reports.records.objectives import OBJECTIVES, objective_label
from reports.records.study import ObjectiveRecord, StudyHeader, StudyRecord

ACCURACY_NOTE = (
    "The search and the front use validation accuracy only. Test accuracy was measured once for each finished "
    "candidate, after its training. Published accuracies are test accuracies, so they are compared with test accuracy."
)


def summary(study: StudyRecord) -> str:
    """Describe the search in one paragraph: goal, space, data, training, cost, machine and dates."""
    header = study.header
    parts = [_goal(header), f"Data: {header.data}." if header.data else ""]
    parts += [f"Training of a candidate: {header.training}." if header.training else "", _cost(study)]
    return " ".join(filter(None, parts))


def _goal(header: StudyHeader) -> str:
    size = "a continuous space" if header.space_size is None else count(round(header.space_size), "possible candidate")
    bounds = [
        f"{objective_label(name)} {'at most' if kind == 'max' else 'at least'} {number(bound)}"
        + (f" mJ by {header.price}" if name == "energy_mj" else "")
        for name, limits in header.constraints.items()
        for kind, bound in limits.items()
    ]
    return (
        f"A search for spiking networks with {listing([_objective(o) for o in header.objectives])}: "
        f"{count(len(header.dials), 'dial')}, {size}{', ' + listing(bounds) if bounds else ''}; "
        f"sampler {header.sampler}, seed {header.seed}."
    )


def _objective(objective: ObjectiveRecord) -> str:
    info = OBJECTIVES.get(objective.name)
    low = "few" if info and info.is_count else "low"
    return f"{'high' if objective.direction == 'maximize' else low} {objective_label(objective.name)}"


def _cost(study: StudyRecord) -> str:
    state = status_summary(study)
    counts = [f"{state.counts[status]:,} {status}" for status in STATUSES if status in state.counts]
    text = f"{count(state.total, 'trial')}: {listing(counts)}" if state.total else "No trial yet"
    text += f"; {duration(state.training_s)} of training" if state.training_s else ""
    if state.training_macs:
        text += f" ({state.training_images:,} images, {state.training_macs:.3g} dense multiply-accumulates)"
    text += f" on {study.header.machine}" if study.header.machine else ""
    if state.started_at is not None and state.last_finished_at is not None:
        text += f", {moment(state.started_at)} to {moment(state.last_finished_at)}"
    return text + "."
