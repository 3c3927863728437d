"""The data that the page's scripts draw: the finished candidates as compact JSON."""

import json
from dataclasses import asdict
from typing import Any

from reports.analysis.front import finished, front_trials, trial_ranks
from reports.analysis.hypervolume import hypervolume_over_time
from reports.document.energy_models import ALTERNATIVES
from reports.document.wording import initialization_label, initialization_phrase, objective_value
from reports.records.objectives import OBJECTIVES, axis_title
from reports.records.study import EpochRecord, LayerRecord, Metrics, ObjectiveRecord, StudyRecord, TrialRecord
from reports.study.reproduce import circumstances, show, train_again

MAX_DETAILED = 500  # candidates with details, which are most of the page: named ones first, then the best by rank


def payload(study: StudyRecord) -> str:
    """Return JSON for the page's scripts."""
    return json_for_script(_payload(study))


def json_for_script(value: object) -> str:
    """Return JSON that is safe inside a script element: it has no ``<``, ``>`` or ``&``, whatever ``value`` holds."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _payload(study: StudyRecord) -> dict[str, Any]:
    trials, ranks, front = finished(study), trial_ranks(study), front_trials(study)
    progress = hypervolume_over_time(study)
    models = energy_models_of(study)
    by_rank = sorted(trials, key=lambda trial: (trial.name is None, ranks[trial.number], trial.number))
    detailed = {trial.number for trial in by_rank[:MAX_DETAILED]}
    return {
        "objectives": [objective_data(o) for o in study.header.objectives],
        "energy_model": study.header.price if study.header.price in models or not models else models[0],
        "energy_models": models,
        "references": [r.model_dump() for r in study.header.references],
        "trials": [
            candidate_data(study, t, ranks[t.number]) | (_details(study, t, models) if t.number in detailed else {})
            for t in trials
        ],
        "selected": front[0].number if front else None,
        "hypervolume": None if isinstance(progress, str) else [asdict(step) for step in progress.steps],
    }


def objective_data(objective: ObjectiveRecord) -> dict[str, Any]:
    """Return what the scripts need to draw an objective. An unknown one is drawn as a plain number."""
    info = OBJECTIVES.get(objective.name)
    return {
        "name": objective.name,
        "direction": objective.direction,
        "axis": axis_title(objective.name),
        "log": info is not None and info.log_axis,
        "ratio": info is not None and info.is_ratio,
    }


def energy_models_of(study: StudyRecord) -> list[str]:
    """Return the energy models that all finished candidates have, the study's own first."""
    shared = [set(t.metrics.energy_mj) for t in finished(study) if t.metrics]
    return sorted(set.intersection(*shared), key=lambda p: (p != study.header.price, p)) if shared else []


def candidate_data(study: StudyRecord, trial: TrialRecord, rank: int) -> dict[str, Any]:
    """Return a candidate's row of the table and the figures that the page shows when it is selected."""
    metrics = trial.metrics
    assert metrics is not None  # finished
    return {
        "number": trial.number,
        "name": trial.name,
        "rank": rank,
        "modules": [[m.name, m.state, m.detail] for m in trial.modules],
        "accuracy": metrics.accuracy,
        "test": metrics.test_accuracy,
        "f1": metrics.test_f1,
        "params": metrics.params,
        "macs": _brief(metrics.macs),
        "acs": _brief(metrics.acs),
        "spikes": _brief(metrics.spikes),
        "rate": _brief(metrics.firing_rate),
        "timesteps": metrics.timesteps,
        "energy": {model: _brief(value) for model, value in metrics.energy_mj.items()},
        "alternatives": {
            model: [[ALTERNATIVES[name], _brief(value)] for name, value in found.items() if name in ALTERNATIVES]
            for model, found in metrics.energy_alternatives_mj.items()
        },
        "twin": {model: _brief(value) for model, value in metrics.twin_energy_mj.items()},
        "values": trial.values,
        "wall": _brief(trial.wall_s),
        "device": trial.device,
        "restarts": trial.restarts,
        "start": initialization_phrase(trial),
        "origin": initialization_label(trial),
        "show": show(study, trial),
        **({"own": _own_figures(metrics)} if metrics.own else {}),
    }


def _own_figures(metrics: Metrics) -> list[list[str]]:
    """Return the figures that plug-ins measured: label with unit, value."""
    return [[axis_title(name), objective_value(name, value)] for name, value in metrics.own.items()]


def _details(study: StudyRecord, trial: TrialRecord, models: list[str]) -> dict[str, Any]:
    """Return the layers, training curve and dials of a candidate."""
    return {
        "layers": [_layer(layer, models) for layer in trial.layers],
        "history": [_epoch(epoch) for epoch in trial.history],
        "dials": trial.params,
        "again": train_again(study, trial),
        "circumstances": circumstances(study.header, trial),
    }


def _layer(layer: LayerRecord, models: list[str]) -> list[Any]:
    """Return a layer in the order of LAYER in detail.js."""
    counts = [layer.macs, layer.acs, layer.dense_macs, layer.spikes_in, layer.spikes_out, layer.neurons]
    energies = [layer.energy_mj.get(model, 0.0) for model in models]
    rate = None if layer.firing_rate is None else _brief(layer.firing_rate)
    return [layer.name, *map(_brief, counts), rate, layer.params, *map(_brief, energies)]


def _epoch(epoch: EpochRecord) -> list[float]:
    figures = (epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy)
    return [epoch.epoch, *map(_brief, figures)]


def _brief(value: float) -> float:
    """Round to five significant digits, except whole numbers. This saves a third of the page's size."""
    return value if isinstance(value, int) else float(f"{value:.5g}")
