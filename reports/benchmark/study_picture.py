"""A picture of a study: test accuracy against energy of its front and of published points."""

from reports.analysis.front import front_trials
from reports.benchmark.figure import Dot
from reports.benchmark.picture import fronts, panels, published_dot
from reports.document.energy_models import caveat
from reports.document.wording import candidate_name
from reports.records.study import StudyRecord


def study_picture(study: StudyRecord) -> str:
    """Return the front and the published points as SVG, each by its own energy model, and a caption."""
    model, dots = study.header.price, []
    for trial in front_trials(study):
        assert trial.metrics is not None
        if energy := trial.metrics.energy_mj.get(model):
            accuracy = trial.metrics.test_accuracy
            dots.append(Dot(candidate_name(trial), "snn", False, energy, accuracy, accuracy, accuracy))
    caption = [f"Blue: the front of {study.header.name}, {len(dots)} candidates, energy by {model}."]
    references = study.header.references
    if dots and references:
        models = " and ".join(dict.fromkeys(point.price + caveat(point.price) for point in references))
        caption.append(f"Purple: published, energy by {models}.")
    title = f"{study.header.data.partition(':')[0]}: test accuracy"
    drawn = [(title, [*dots, *map(published_dot, references)])] if dots else []
    return panels(study.header.name, drawn, caption, fronts)
