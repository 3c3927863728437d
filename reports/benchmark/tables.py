"""The tables of a benchmark, with our figures and the published ones, and a CSV file with every training."""

import csv
import io
from collections.abc import Callable

from reports.benchmark.agreement import given_ratio
from reports.benchmark.groups import (
    Group,
    Metric,
    Pair,
    accuracy,
    acs,
    alternative,
    energy,
    energy_models_of,
    f1,
    groups,
    macs,
    own,
    pairs,
    params,
    preset_of,
)
from reports.document.energy_models import ALTERNATIVES, alternatives_of
from reports.document.table import Table, csv_cell
from reports.document.wording import factor, number, ratio
from reports.records.benchmark import BenchmarkRecord, Published
from reports.records.objectives import axis_title
from reports.records.study import Leaf, TrialRecord

PUBLISHED, ENERGY = "published", "energy, mJ"
COUNTS = {"AC, k": acs, "MAC, k": macs}  # columns with the operations of a preset, in thousands
Formatter = Callable[[float], str]


def networks_table(record: BenchmarkRecord, data: str) -> Table:
    """Return a row for each SNN on one data set: accuracy, F1, parameters, operations and energies."""
    blocks = _energy_columns(record)
    figures = [figure.name for figure in record.header.own_figures]
    columns = ["network", "n", "accuracy", "macro F1", "parameters, k", *map(axis_title, figures)]
    heads = [("", len(columns)), *((model, len(heads)) for model, heads in blocks)]
    columns += [column for _, heads in blocks for column in heads]
    rows: list[tuple[str, ...]] = []
    published = set()
    for group in groups(record):
        if group.data != data or group.kind != "snn":
            continue
        rows.append(_own_row(group, figures, blocks))
        if group.published:
            published.add(len(rows))
            rows.append(_published_row(group.published, figures, blocks))
    numeric = (False, *(True for _ in columns[1:]))
    label = f"Spiking networks on {data}"
    return Table(tuple(columns), numeric, tuple(rows), label, tuple(heads), frozenset(published))


def _energy_columns(record: BenchmarkRecord) -> list[tuple[str, list[str]]]:
    """Return the columns of each energy model: the energy and the alternatives that the trainings have.

    The first model of a preset also has the preset's operations.
    """
    blocks, counted = [], set()
    for model in energy_models_of(record):
        preset = preset_of(model)
        heads = (list(COUNTS) if preset not in counted else []) + [ENERGY]
        blocks.append((model, heads + [_head(name) for name in alternatives_of(record.trials, model)]))
        counted.add(preset)
    return blocks


def _own_row(group: Group, figures: list[str], blocks: list[tuple[str, list[str]]]) -> tuple[str, ...]:
    cells = [group.network, f"{group.n} of {group.n_seeds}" if group.n < group.n_seeds else str(group.n)]
    cells += [_cell(group, accuracy, ratio), _cell(group, f1, ratio), _cell(group, params, _tenths, 1000)]
    cells += [_cell(group, own(name), number) for name in figures]
    for model, columns in blocks:
        cells += [_own_cell(group, model, column) for column in columns]
    return tuple(cells)


def _head(alternative_name: str) -> str:
    return f"{ALTERNATIVES[alternative_name]}, mJ"


def _own_cell(group: Group, model: str, column: str) -> str:
    """Return one figure of `_energy_columns`. An alternative that no training has is a dash."""
    if column in COUNTS:
        return _cell(group, COUNTS[column](preset_of(model)), _tenths, 1000)
    if column == ENERGY:
        return _cell(group, energy(model), number)
    (name,) = (name for name in ALTERNATIVES if _head(name) == column)
    return _cell(group, alternative(model, name), number) or "-"


def _published_row(point: Published, figures: list[str], blocks: list[tuple[str, list[str]]]) -> tuple[str, ...]:
    cells = [PUBLISHED, "", given_ratio(point.accuracy), given_ratio(point.f1), _in_thousands(point.params)]
    cells += [""] * len(figures)
    for model, columns in blocks:
        priced_so = model == point.price
        given = {"AC, k": _in_thousands(point.acs), "MAC, k": _in_thousands(point.macs)}
        given[ENERGY] = _as_given(point.energy_mj)
        cells += [given.get(column, "") if priced_so else "" for column in columns]
    return tuple(cells)


def twins_table(record: BenchmarkRecord, data: str) -> Table | None:
    """Return each network as CNN and as SNN on one data set, with the ratio of their energies; None without twins."""
    found = [pair for pair in pairs(groups(record)) if pair.snn.data == data]
    if not found:
        return None
    models = energy_models_of(record)
    rows: list[tuple[str, ...]] = []
    published = set()
    for pair in found:
        rows.append(_pair_row(pair, models))
        if pair.snn.published and pair.cnn.published:
            published.add(len(rows))
            rows.append(_published_pair_row(pair, models))
    columns = ("network", "CNN", "SNN", *(column for _ in models for column in ("CNN, mJ", "SNN, mJ", "CNN / SNN")))
    heads = (("", 1), ("accuracy", 2), *((model, 3) for model in models))
    numeric = (False, *(True for _ in columns[1:]))
    label = f"CNN against SNN on {data}"
    return Table(columns, numeric, tuple(rows), label, heads, frozenset(published))


def _pair_row(pair: Pair, models: tuple[str, ...]) -> tuple[str, ...]:
    cells = [pair.snn.network, _cell(pair.cnn, accuracy, ratio), _cell(pair.snn, accuracy, ratio)]
    for model in models:
        times = pair.energy_ratio(model)
        cells += [_cell(pair.cnn, energy(model), number), _cell(pair.snn, energy(model), number)]
        cells.append("" if times is None else times.text(factor))
    return tuple(cells)


def _published_pair_row(pair: Pair, models: tuple[str, ...]) -> tuple[str, ...]:
    snn, cnn = pair.snn.published, pair.cnn.published
    assert snn is not None  # the caller has checked both
    assert cnn is not None
    cells = [PUBLISHED, given_ratio(cnn.accuracy), given_ratio(snn.accuracy)]
    for model in models:
        cells += [_as_given(point.energy_mj if point.price == model else None) for point in (cnn, snn)]
        times = pair.published_ratio if snn.price == model else None
        cells.append("" if times is None else factor(times))
    return tuple(cells)


def failures_table(record: BenchmarkRecord) -> Table:
    """Return the trainings that ended without a result, or with one that contradicts itself, with their reasons."""
    ended = [
        (cell.data, cell.network, cell.kind, cell.seed, trial)
        for cell, trial in zip(record.header.cells, record.trials, strict=True)
        if trial.status in ("failed", "stopped") or trial.doubts
    ]
    rows = tuple(
        (str(trial.number), data, network, kind, str(seed), trial.status, trial.doubt or trial.reason or "")
        for data, network, kind, seed, trial in ended
    )
    columns = ("trial", "data", "network", "kind", "seed", "status", "reason")
    numeric = (True, False, False, False, True, False, False)
    return Table(columns, numeric, rows, "Trainings without a result", wide=frozenset({6}))


def benchmark_csv(record: BenchmarkRecord) -> str:
    """Return a row for every training that has ended, with all figures and all energy models."""
    models = energy_models_of(record)
    presets = sorted({preset for t in record.trials if t.metrics for preset in t.metrics.operations})
    measures = ["test_accuracy", "test_f1", "validation_accuracy", "params", "dense_macs", "spikes", "firing_rate"]
    measures += ["timesteps", *(f"{name} {preset}" for preset in presets for name in ("macs", "acs"))]
    columns = ["trial", "data", "network", "kind", "seed", "status", *measures]
    further = [(model, name) for model in models for name in alternatives_of(record.trials, model)]
    columns += [*(f"energy_mj {model}" for model in models), *(f"energy_mj {model} {name}" for model, name in further)]
    figures = [figure.name for figure in record.header.own_figures]
    columns += [*figures, "epochs", "wall_s", "device", "reason"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    for cell, trial in zip(record.header.cells, record.trials, strict=True):
        if trial.status not in ("running", "waiting"):
            where: list[Leaf] = [trial.number, cell.data, cell.network, cell.kind, cell.seed, trial.status]
            measured = _measured(trial, presets, models, further)
            measured += [_or_empty(trial.metrics.own.get(name)) if trial.metrics else "" for name in figures]
            writer.writerow(map(csv_cell, [*where, *measured, *_circumstances(trial)]))
    return text.getvalue()


def _measured(
    trial: TrialRecord, presets: list[str], models: tuple[str, ...], further: list[tuple[str, str]]
) -> list[Leaf]:
    m = trial.metrics
    if m is None:
        return [""] * (8 + 2 * len(presets) + len(models) + len(further))
    found: list[Leaf] = [m.test_accuracy, m.test_f1, m.accuracy, m.params, m.dense_macs, m.spikes, m.firing_rate]
    found.append(m.timesteps)
    for preset in presets:
        counted = m.operations.get(preset)
        found += [counted.macs, counted.acs] if counted else ["", ""]
    found += [m.energy_mj[model] for model in models]
    return found + [_or_empty(m.alternative_mj(model, name)) for model, name in further]


def _or_empty(value: float | None) -> Leaf:
    return "" if value is None else value


def _circumstances(trial: TrialRecord) -> list[Leaf]:
    return [len(trial.history), trial.wall_s, trial.device or "", trial.doubt or trial.reason or ""]


def _cell(group: Group, metric: Metric, format_value: Formatter, unit: float = 1) -> str:
    spread = group.spread(metric)
    return "" if spread is None else spread.over(unit).text(format_value)


def _tenths(value: float) -> str:
    """Format with one decimal below a thousand and none above."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"


def _in_thousands(value: float | None) -> str:
    return "" if value is None else f"{value / 1000:,.6g}"


def _as_given(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
