"""How the energies in the report are computed."""

from reports.document.energy_models import rules
from reports.document.model import Section, Text
from reports.records.study import StudyRecord
from reports.study.payload import energy_models_of

NOTE = (
    "Counts are per inference, summed over the time steps and averaged over the validation images. On the page, the "
    "details of a candidate list them under Counts by layer. The CNN twin is the same network with ReLU instead of "
    "spiking neurons."
)


def energy_section(study: StudyRecord) -> Section | None:
    """Return the rule of each energy model in the report; None before the first trial is complete."""
    models = energy_models_of(study)
    if not models:
        return None
    described = rules(models, study.header.energy_rules, study.trials)
    return Section("How energies are computed", (Text(NOTE, style="note"), described))
