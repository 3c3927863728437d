"""How the energies in the report are computed."""

from reports.benchmark.groups import energy_models_of
from reports.document.energy_models import describe
from reports.document.model import Definitions, Section
from reports.records.benchmark import BenchmarkRecord


def energy_section(record: BenchmarkRecord) -> Section | None:
    """Return the rule of each energy model in the report; None before the first training is finished."""
    models = energy_models_of(record)
    if not models:
        return None
    stored = record.header.energy_rules
    rules = Definitions(tuple((model, describe(model, stored)) for model in models), terms_are_code=True)
    return Section("How energies are computed", (rules,))
