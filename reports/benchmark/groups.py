"""The trainings of a benchmark, grouped over the seeds: one network on one data set, as SNN or as CNN twin."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.records.benchmark import BenchmarkRecord, Kind, Published
from reports.records.study import Metrics, TrialRecord

Metric = Callable[[Metrics], float | None]
MIN_VALUES_FOR_SD = 3  # with fewer values, the range is printed


@dataclass(frozen=True)
class Spread:
    """A figure over several seeds."""

    values: tuple[float, ...]  # at least one

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """The sample standard deviation, with n - 1; None for fewer than three values."""
        return statistics.stdev(self.values) if len(self.values) >= MIN_VALUES_FOR_SD else None

    def over(self, unit: float) -> "Spread":
        """Return the figure in multiples of ``unit``."""
        return Spread(tuple(value / unit for value in self.values))

    def text(self, format_value: Callable[[float], str]) -> str:
        """Return ``0.812 ± 0.004``, or ``0.812 (0.808 to 0.816)`` for two values.

        Only the mean is printed if the spread is zero in its digits.
        """
        mean, low, high = (format_value(value) for value in (self.mean, min(self.values), max(self.values)))
        if self.sd is None:
            return mean if low == high else f"{mean} ({low} to {high})"
        sd = f"{self.sd:,.{len(mean.partition('.')[2])}f}"  # with the decimals of the mean
        return f"{mean} ± {sd}" if sd.strip("0.") else mean


@dataclass(frozen=True)
class Group:
    """The finished trainings of one network on one data set, and the published figures of the same network."""

    data: str
    network: str
    kind: Kind
    by_seed: dict[int, Metrics]
    n_seeds: int  # including trainings that are not finished
    published: Published | None

    @property
    def n(self) -> int:
        return len(self.by_seed)

    def spread(self, metric: Metric) -> Spread | None:
        """Return the metric over the seeds; None if no finished training has it."""
        found = [value for metrics in self.by_seed.values() if (value := metric(metrics)) is not None]
        return Spread(tuple(found)) if found else None

    def mean(self, metric: Metric) -> float | None:
        """Return the mean of a metric; None if no finished training has it."""
        spread = self.spread(metric)
        return None if spread is None else spread.mean


def groups(record: BenchmarkRecord) -> tuple[Group, ...]:
    """Group the trainings by data set, network and kind, in the order of the cells."""
    header = record.header
    members: dict[tuple[str, str, Kind], dict[int, TrialRecord]] = {}
    for cell, trial in zip(header.cells, record.trials, strict=True):
        members.setdefault((cell.data, cell.network, cell.kind), {})[cell.seed] = trial
    published = {(point.data, point.network, point.kind): point for point in header.published}
    return tuple(
        Group(
            data=data,
            network=network,
            kind=kind,
            by_seed={
                seed: t.metrics for seed, t in trials.items() if t.status == "complete" and t.metrics and not t.doubts
            },
            n_seeds=len(trials),
            published=published.get((data, network, kind)),
        )
        for (data, network, kind), trials in members.items()
    )


@dataclass(frozen=True)
class Pair:
    """A network as an SNN and as its CNN twin on one data set."""

    snn: Group
    cnn: Group

    def energy_ratio(self, model: str) -> Spread | None:
        """Return CNN energy / SNN energy over the seeds that have both; None if there is no such seed."""
        found = [
            self.cnn.by_seed[seed].energy_mj[model] / metrics.energy_mj[model]
            for seed, metrics in self.snn.by_seed.items()
            if seed in self.cnn.by_seed and metrics.energy_mj.get(model) and model in self.cnn.by_seed[seed].energy_mj
        ]
        return Spread(tuple(found)) if found else None

    @property
    def published_ratio(self) -> float | None:
        """CNN energy / SNN energy as published; None unless both are published by the same energy model."""
        snn, cnn = self.snn.published, self.cnn.published
        if snn is None or cnn is None or snn.price != cnn.price or not snn.energy_mj or not cnn.energy_mj:
            return None
        return cnn.energy_mj / snn.energy_mj


def pairs(found: Sequence[Group]) -> tuple[Pair, ...]:
    """Return the networks that were trained as both kinds, in order."""
    twins = {(group.data, group.network): group for group in found if group.kind == "cnn"}
    snns = [group for group in found if group.kind == "snn"]
    return tuple(Pair(snn, twins[snn.data, snn.network]) for snn in snns if (snn.data, snn.network) in twins)


def energy_models_of(record: BenchmarkRecord) -> tuple[str, ...]:
    """Return the energy models that all finished trainings have, the benchmark's own first."""
    shared = [set(t.metrics.energy_mj) for t in record.trials if t.metrics]
    own = record.header.price
    return tuple(sorted(set.intersection(*shared), key=lambda model: (model != own, model))) if shared else ()


def preset_of(model: str) -> str:
    """Return the counting preset of an energy model: ``exact`` for ``horowitz45/exact``."""
    return model.split("/", 1)[-1]


def accuracy(metrics: Metrics) -> float:
    return metrics.test_accuracy


def f1(metrics: Metrics) -> float:
    return metrics.test_f1


def params(metrics: Metrics) -> float:
    return metrics.params


def own(name: str) -> Metric:
    """Return the metric of the figure ``name``, which is measured only if a benchmark asks for it."""
    return lambda metrics: metrics.own.get(name)


def energy(model: str) -> Metric:
    """Return the metric of millijoules per inference by the energy model ``model``."""
    return lambda metrics: metrics.energy_mj.get(model)


def alternative(model: str, name: str) -> Metric:
    """Return the metric of millijoules by ``model`` under the assumption ``name``, for example ``with_neurons``."""
    return lambda metrics: metrics.alternative_mj(model, name)


def macs(preset: str) -> Metric:
    return lambda metrics: metrics.operations[preset].macs if preset in metrics.operations else None


def acs(preset: str) -> Metric:
    return lambda metrics: metrics.operations[preset].acs if preset in metrics.operations else None
