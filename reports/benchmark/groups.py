"""The trainings of a benchmark put together: one network on one data set, as SNN or as CNN twin, over its seeds."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.records.benchmark import BenchmarkRecord, Kind, Published
from reports.records.study import Metrics, TrialRecord

Measure = Callable[[Metrics], float | None]
FEW = 3  # values below which a standard deviation says nothing: their range is given


@dataclass(frozen=True)
class Spread:
    """A figure over several seeds."""

    values: tuple[float, ...]  # one at least

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Of the sample, n - 1; None below three values."""
        return statistics.stdev(self.values) if len(self.values) >= FEW else None

    def over(self, unit: float) -> "Spread":
        """In multiples of ``unit``."""
        return Spread(tuple(value / unit for value in self.values))

    def text(self, shown: Callable[[float], str]) -> str:
        """``0.812 ± 0.004``; of two values ``0.812 (0.808 to 0.816)``; the mean alone where its digits show no
        spread."""
        mean, low, high = (shown(value) for value in (self.mean, min(self.values), max(self.values)))
        if self.sd is None:
            return mean if low == high else f"{mean} ({low} to {high})"
        sd = f"{self.sd:,.{len(mean.partition('.')[2])}f}"  # in the digits of the mean
        return f"{mean} ± {sd}" if sd.strip("0.") else mean


@dataclass(frozen=True)
class Group:
    """The finished trainings of one network on one data set, and what was published of it."""

    data: str
    network: str
    kind: Kind
    by_seed: dict[int, Metrics]
    wanted: int  # seeds
    published: Published | None

    @property
    def n(self) -> int:
        return len(self.by_seed)

    def spread(self, measure: Measure) -> Spread | None:
        """None where no training is finished, or none has the figure."""
        found = [value for metrics in self.by_seed.values() if (value := measure(metrics)) is not None]
        return Spread(tuple(found)) if found else None

    def mean(self, measure: Measure) -> float | None:
        spread = self.spread(measure)
        return None if spread is None else spread.mean


def groups(record: BenchmarkRecord) -> tuple[Group, ...]:
    """By data set, network and kind, in the order of the cells."""
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
            by_seed={seed: t.metrics for seed, t in trials.items() if t.status == "complete" and t.metrics},
            wanted=len(trials),
            published=published.get((data, network, kind)),
        )
        for (data, network, kind), trials in members.items()
    )


@dataclass(frozen=True)
class Pair:
    """A network as SNN and as CNN twin on one data set."""

    snn: Group
    cnn: Group

    def ratio(self, price: str) -> Spread | None:
        """CNN energy over SNN energy, seed by seed; None where no seed has both, or one of them costs nothing."""
        found = [
            self.cnn.by_seed[seed].energy_mj[price] / metrics.energy_mj[price]
            for seed, metrics in self.snn.by_seed.items()
            if seed in self.cnn.by_seed and metrics.energy_mj.get(price) and price in self.cnn.by_seed[seed].energy_mj
        ]
        return Spread(tuple(found)) if found else None

    @property
    def published_ratio(self) -> float | None:
        """Of the published energies, where both are there and priced alike."""
        snn, cnn = self.snn.published, self.cnn.published
        if snn is None or cnn is None or snn.price != cnn.price or not snn.energy_mj or not cnn.energy_mj:
            return None
        return cnn.energy_mj / snn.energy_mj


def pairs(found: Sequence[Group]) -> tuple[Pair, ...]:
    """Networks that are there as both kinds, in order."""
    twins = {(group.data, group.network): group for group in found if group.kind == "cnn"}
    snns = [group for group in found if group.kind == "snn"]
    return tuple(Pair(snn, twins[snn.data, snn.network]) for snn in snns if (snn.data, snn.network) in twins)


def prices_of(record: BenchmarkRecord) -> tuple[str, ...]:
    """The prices that all finished trainings have; the benchmark's own first."""
    shared = [set(t.metrics.energy_mj) for t in record.trials if t.metrics]
    own = record.header.price
    return tuple(sorted(set.intersection(*shared), key=lambda price: (price != own, price))) if shared else ()


def preset_of(price: str) -> str:
    """``horowitz45/exact`` counts by ``exact``."""
    return price.split("/", 1)[-1]


def accuracy(metrics: Metrics) -> float:
    return metrics.test_accuracy


def f1(metrics: Metrics) -> float:
    return metrics.test_f1


def params(metrics: Metrics) -> float:
    return metrics.params


def energy(price: str) -> Measure:
    """Millijoules per inference by ``price``."""
    return lambda metrics: metrics.energy_mj.get(price)


def macs(preset: str) -> Measure:
    return lambda metrics: metrics.operations[preset].macs if preset in metrics.operations else None


def acs(preset: str) -> Measure:
    return lambda metrics: metrics.operations[preset].acs if preset in metrics.operations else None
