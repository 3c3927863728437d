"""What the page's script draws from: the finished candidates, as compact JSON."""

import json
from dataclasses import asdict
from typing import Any

from reports.analysis.front import finished, front_trials, trial_ranks
from reports.analysis.hypervolume import hypervolume_over_time
from reports.document.wording import axis, beginning, started
from reports.records.study import EpochRecord, LayerRecord, StudyRecord, TrialRecord
from reports.study.reproduce import circumstances, show, train_again

DETAILED = 500  # candidates whose details, most of a page, are in it: named ones first, then the best by rank


def payload(study: StudyRecord) -> str:
    """JSON that may stand in a script element: no ``<``, ``>`` or ``&`` in it, whatever the study's texts hold."""
    text = json.dumps(_payload(study), separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _payload(study: StudyRecord) -> dict[str, Any]:
    trials, ranks, front = finished(study), trial_ranks(study), front_trials(study)
    progress = hypervolume_over_time(study)
    prices = prices_of(study)
    by_rank = sorted(trials, key=lambda trial: (trial.name is None, ranks[trial.number], trial.number))
    detailed = {trial.number for trial in by_rank[:DETAILED]}
    return {
        "objectives": [o.model_dump() | {"axis": axis(o.name)} for o in study.header.objectives],
        "price": study.header.price if study.header.price in prices or not prices else prices[0],
        "prices": prices,
        "references": [r.model_dump() for r in study.header.references],
        "trials": [
            _trial(study, t, ranks[t.number]) | (_details(study, t, prices) if t.number in detailed else {})
            for t in trials
        ],
        "selected": front[0].number if front else None,
        "hypervolume": None if isinstance(progress, str) else [asdict(step) for step in progress.steps],
    }


def prices_of(study: StudyRecord) -> list[str]:
    """The prices that all finished candidates have; the study's own first."""
    shared = [set(t.metrics.energy_mj) for t in finished(study) if t.metrics]
    return sorted(set.intersection(*shared), key=lambda p: (p != study.header.price, p)) if shared else []


def _trial(study: StudyRecord, trial: TrialRecord, rank: int) -> dict[str, Any]:
    """A row of the table, and what stands beside a selected one."""
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
        "energy": {price: _brief(value) for price, value in metrics.energy_mj.items()},
        "twin": {price: _brief(value) for price, value in metrics.twin_energy_mj.items()},
        "values": trial.values,
        "wall": _brief(trial.wall_s),
        "device": trial.device,
        "restarts": trial.restarts,
        "start": beginning(trial),
        "origin": started(trial),
        "show": show(study, trial),
    }


def _details(study: StudyRecord, trial: TrialRecord, prices: list[str]) -> dict[str, Any]:
    return {
        "layers": [_layer(layer, prices) for layer in trial.layers],
        "history": [_epoch(epoch) for epoch in trial.history],
        "dials": trial.params,
        "again": train_again(study, trial),
        "circumstances": circumstances(study.header, trial),
    }


def _layer(layer: LayerRecord, prices: list[str]) -> list[Any]:
    """In the order of LAYER in detail.js."""
    counts = [layer.macs, layer.acs, layer.dense_macs, layer.spikes_in, layer.spikes_out, layer.neurons]
    energies = [layer.energy_mj.get(price, 0.0) for price in prices]
    rate = None if layer.firing_rate is None else _brief(layer.firing_rate)
    return [layer.name, *map(_brief, counts), rate, layer.params, *map(_brief, energies)]


def _epoch(epoch: EpochRecord) -> list[float]:
    figures = (epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy)
    return [epoch.epoch, *map(_brief, figures)]


def _brief(value: float) -> float:
    """Five significant digits, whole numbers as they are: a third of the page's size."""
    return value if isinstance(value, int) else float(f"{value:.5g}")
