"""How the energies in the report are computed."""

from reports.benchmark.groups import energy_models_of
from reports.document.energy_models import rules
from reports.document.model import Section
from reports.records.benchmark import BenchmarkRecord


def energy_section(record: BenchmarkRecord) -> Section | None:
    """Return the rule of each energy model in the report; None before the first training is finished."""
    models = energy_models_of(record)
    if not models:
        return None
    return Section("How energies are computed", (rules(models, record.header.energy_rules, record.trials),))
