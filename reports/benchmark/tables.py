"""The two tables of a benchmark, ours beside the published, and a file with every training."""

import csv
import io
from collections.abc import Callable

from reports.benchmark.agreement import given_ratio
from reports.benchmark.groups import (
    Group,
    Measure,
    Pair,
    accuracy,
    acs,
    energy,
    f1,
    groups,
    macs,
    pairs,
    params,
    preset_of,
    prices_of,
)
from reports.document.table import Table, csv_cell
from reports.document.wording import number, ratio, times
from reports.records.benchmark import BenchmarkRecord, Published
from reports.records.study import Leaf, TrialRecord

PUBLISHED = "published"
Shown = Callable[[float], str]


def networks_table(record: BenchmarkRecord, data: str) -> Table:
    """The SNNs on one data set: accuracy, F1, parameters, then operations and energy by each preset and price."""
    blocks = _price_blocks(record)
    columns = ["network", "n", "accuracy", "macro F1", "parameters, k"]
    heads = [("", len(columns)), *((price, len(heads)) for price, heads in blocks)]
    columns += [column for _, heads in blocks for column in heads]
    rows: list[tuple[str, ...]] = []
    published = set()
    for group in groups(record):
        if group.data != data or group.kind != "snn":
            continue
        rows.append(_own_row(group, blocks))
        if group.published:
            published.add(len(rows))
            rows.append(_published_row(group.published, blocks))
    numeric = (False, *(True for _ in columns[1:]))
    return Table(tuple(columns), numeric, tuple(rows), tuple(heads), frozenset(published))


def _price_blocks(record: BenchmarkRecord) -> list[tuple[str, list[str]]]:
    """For each price its columns; the operations of a preset stand with the first price that counts by it."""
    blocks, counted = [], set()
    for price in prices_of(record):
        preset = preset_of(price)
        blocks.append((price, (["AC, k", "MAC, k"] if preset not in counted else []) + ["energy, mJ"]))
        counted.add(preset)
    return blocks


def _own_row(group: Group, blocks: list[tuple[str, list[str]]]) -> tuple[str, ...]:
    cells = [group.network, f"{group.n} of {group.wanted}" if group.n < group.wanted else str(group.n)]
    cells += [_told(group, accuracy, ratio), _told(group, f1, ratio), _told(group, params, _tenths, 1000)]
    for price, columns in blocks:
        if len(columns) > 1:
            cells += [_told(group, count(preset_of(price)), _tenths, 1000) for count in (acs, macs)]
        cells.append(_told(group, energy(price), number))
    return tuple(cells)


def _published_row(point: Published, blocks: list[tuple[str, list[str]]]) -> tuple[str, ...]:
    cells = [PUBLISHED, "", given_ratio(point.accuracy), given_ratio(point.f1), _in_thousands(point.params)]
    for price, columns in blocks:
        own = price == point.price
        if len(columns) > 1:
            cells += [_in_thousands(count if own else None) for count in (point.acs, point.macs)]
        cells.append(_as_given(point.energy_mj if own else None))
    return tuple(cells)


def twins_table(record: BenchmarkRecord, data: str) -> Table | None:
    """Each network as CNN and as SNN on one data set, and how many times the SNN's energy the CNN needs; None without
    twins."""
    found = [pair for pair in pairs(groups(record)) if pair.snn.data == data]
    if not found:
        return None
    prices = prices_of(record)
    rows: list[tuple[str, ...]] = []
    published = set()
    for pair in found:
        rows.append(_pair_row(pair, prices))
        if pair.snn.published and pair.cnn.published:
            published.add(len(rows))
            rows.append(_published_pair_row(pair, prices))
    columns = ("network", "CNN", "SNN", *(column for _ in prices for column in ("CNN, mJ", "SNN, mJ", "CNN / SNN")))
    heads = (("", 1), ("accuracy", 2), *((price, 3) for price in prices))
    return Table(columns, (False, *(True for _ in columns[1:])), tuple(rows), heads, frozenset(published))


def _pair_row(pair: Pair, prices: tuple[str, ...]) -> tuple[str, ...]:
    cells = [pair.snn.network, _told(pair.cnn, accuracy, ratio), _told(pair.snn, accuracy, ratio)]
    for price in prices:
        factor = pair.ratio(price)
        cells += [_told(pair.cnn, energy(price), number), _told(pair.snn, energy(price), number)]
        cells.append("" if factor is None else factor.text(times))
    return tuple(cells)


def _published_pair_row(pair: Pair, prices: tuple[str, ...]) -> tuple[str, ...]:
    snn, cnn = pair.snn.published, pair.cnn.published
    assert snn is not None  # asked by the caller
    assert cnn is not None
    cells = [PUBLISHED, given_ratio(cnn.accuracy), given_ratio(snn.accuracy)]
    for price in prices:
        cells += [_as_given(point.energy_mj if point.price == price else None) for point in (cnn, snn)]
        factor = pair.published_ratio if snn.price == price else None
        cells.append("" if factor is None else times(factor))
    return tuple(cells)


def failures_table(record: BenchmarkRecord) -> Table:
    """Trainings that ended without a result, and why."""
    ended = [
        (cell.data, cell.network, cell.kind, cell.seed, trial)
        for cell, trial in zip(record.header.cells, record.trials, strict=True)
        if trial.status in ("failed", "stopped")
    ]
    rows = tuple(
        (str(trial.number), data, network, kind, str(seed), trial.status, trial.reason or "")
        for data, network, kind, seed, trial in ended
    )
    columns = ("trial", "data", "network", "kind", "seed", "status", "reason")
    return Table(columns, (True, False, False, False, True, False, False), rows)


def benchmark_csv(record: BenchmarkRecord) -> str:
    """Every training that has ended, a row each: all figures, all prices."""
    prices = prices_of(record)
    presets = sorted({preset for t in record.trials if t.metrics for preset in t.metrics.operations})
    measures = ["test_accuracy", "test_f1", "validation_accuracy", "params", "dense_macs", "spikes", "firing_rate"]
    measures += ["timesteps", *(f"{name} {preset}" for preset in presets for name in ("macs", "acs"))]
    columns = ["trial", "data", "network", "kind", "seed", "status", *measures]
    columns += [*(f"energy_mj {price}" for price in prices), "epochs", "wall_s", "device", "reason"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    for cell, trial in zip(record.header.cells, record.trials, strict=True):
        if trial.status not in ("running", "waiting"):
            where: list[Leaf] = [trial.number, cell.data, cell.network, cell.kind, cell.seed, trial.status]
            writer.writerow(map(csv_cell, [*where, *_measured(trial, presets, prices), *_circumstances(trial)]))
    return text.getvalue()


def _measured(trial: TrialRecord, presets: list[str], prices: tuple[str, ...]) -> list[Leaf]:
    m = trial.metrics
    if m is None:
        return [""] * (8 + 2 * len(presets) + len(prices))
    found: list[Leaf] = [m.test_accuracy, m.test_f1, m.accuracy, m.params, m.dense_macs, m.spikes, m.firing_rate]
    found.append(m.timesteps)
    for preset in presets:
        counted = m.operations.get(preset)
        found += [counted.macs, counted.acs] if counted else ["", ""]
    return found + [m.energy_mj[price] for price in prices]


def _circumstances(trial: TrialRecord) -> list[Leaf]:
    return [len(trial.history), trial.wall_s, trial.device or "", trial.reason or ""]


def _told(group: Group, measure: Measure, shown: Shown, unit: float = 1) -> str:
    spread = group.spread(measure)
    return "" if spread is None else spread.over(unit).text(shown)


def _tenths(value: float) -> str:
    """To a tenth below a thousand."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"


def _in_thousands(value: float | None) -> str:
    return "" if value is None else f"{value / 1000:,.6g}"


def _as_given(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
