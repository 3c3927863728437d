"""Complete old records: the energies with the neurons' own work, from the counts that are stored.

Records before version 8 have no ``energy_alternatives_mj``. The plan of the network and the stored operations and
spikes of its layers give the same values. Reports import no plans, so the commands complete a record before they show
it.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from reports.records.benchmark import BenchmarkRecord
from reports.records.study import LayerRecord, StudyRecord, TrialRecord
from search.benchmark.loader import load_benchmark
from search.errors import InputError
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.space import ParamsError
from snnkit.architecture.plan import PlanError
from snnkit.energy import EnergyConfig, estimate_energy
from snnkit.energy.operations import LayerCounts, silent_counts

RULE = EnergyConfig()  # horowitz45/exact: its alternatives need the stored counts only
RELATIVE_TOLERANCE = 1e-6  # the same terms are summed in another order


def complete_study(study: StudyRecord) -> StudyRecord:
    """Return ``study`` with the alternatives of all trials whose stored counts give them."""
    if not any(map(_is_incomplete, study.trials)):
        return study
    try:
        space = load_space(study.header.space_yaml)
    except InputError:  # an older space that no longer loads; its report still does
        return study
    trials = tuple(_completed(trial, partial(space.candidate, trial.params)) for trial in study.trials)
    return study.model_copy(update={"trials": trials})


def complete_benchmark(record: BenchmarkRecord) -> BenchmarkRecord:
    """Return ``record`` with the alternatives of all spiking networks whose stored counts give them."""
    if not any(map(_is_incomplete, record.trials)):
        return record
    try:
        benchmark = load_benchmark(record.header.benchmark_yaml)
    except InputError:
        return record
    if benchmark.cells != record.header.cells:
        return record
    trials = tuple(
        trial if cell.kind == "cnn" else _completed(trial, partial(benchmark.trained, cell))
        for cell, trial in zip(record.header.cells, record.trials, strict=True)
    )
    return record.model_copy(update={"trials": trials})


def _is_incomplete(trial: TrialRecord) -> bool:
    return trial.metrics is not None and not trial.metrics.energy_alternatives_mj and bool(trial.layers)


def _completed(trial: TrialRecord, candidate: Callable[[], Candidate]) -> TrialRecord:
    """Return ``trial`` with its alternatives; unchanged if its counts are not the ones of the candidate's plan."""
    if not _is_incomplete(trial):
        return trial
    assert trial.metrics is not None  # it is incomplete
    try:
        found = _alternatives(trial, candidate())
    except (ParamsError, PlanError):
        return trial
    metrics = trial.metrics.model_copy(update={"energy_alternatives_mj": {RULE.key: found} if found else {}})
    return trial.model_copy(update={"metrics": metrics})


def _alternatives(trial: TrialRecord, candidate: Candidate) -> dict[str, float]:
    """Return the alternatives of the stored counts; empty if they do not give the stored energy."""
    assert trial.metrics is not None  # as the caller has checked
    silent = silent_counts(candidate.plan(), candidate.neuron, candidate.encoding)
    if [layer.name for layer in silent.layers] != [layer.name for layer in trial.layers]:
        return {}
    layers = tuple(map(_as_stored, silent.layers, trial.layers))
    energy = estimate_energy(replace(silent, layers=layers), RULE)
    stored = trial.metrics.energy_mj.get(RULE.key)
    if stored is None or not math.isclose(energy.total_mj, stored, rel_tol=RELATIVE_TOLERANCE):
        return {}
    return energy.alternatives


def _as_stored(silent: LayerCounts, stored: LayerRecord) -> LayerCounts:
    """Return the stored counts of a layer. Its synapses include the additions, which records do not tell apart."""
    return replace(silent, macs=stored.macs, synapses=stored.acs, additions=0.0, spikes_out=stored.spikes_out)
