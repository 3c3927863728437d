"""Benchmarks without training: records whose figures follow from a table, equal on every run."""

import random
from collections.abc import Sequence

from reports.records.benchmark import BenchmarkHeader, BenchmarkRecord, Cell, Kind, Published, Setup, Sitting
from reports.records.study import Metrics, Operations, TrialRecord

# network: parameters, accuracy, then by the paper's rule ACs and MACs, as SNN on CIFAR-10 (arXiv:2602.09717)
NETWORKS = {
    "ShuffleNetV2": (911_000, 0.40, 93_000, 894_000),
    "MnasNet": (151_800, 0.78, 3_430_000, 12_130_000),
    "MixNet": (84_900, 0.73, 523_000, 506_900),
    "SqueezeNet": (736_458, 0.75, 16_610_000, 4_466_848),
    "SqueezeNet-P": (549_114, 0.81, 11_200_000, 4_227_232),
}
PUBLISHED = {"SqueezeNet": (0.75, 736_500, 0.0355), "SqueezeNet-P": (0.81, 599_100, 0.0295)}
START = 1_790_000_000.0


def setup(data: str, **changes: object) -> Setup:
    values = {
        "data": data, "train": 45_000, "validation": 5_000, "train_of": 50_000, "test": 10_000, "test_of": 10_000,
        "side": 32, "side_of": 32, "classes": 10, "classes_of": 10, "epochs": 100, "timesteps": 2,
        "training": "100 epochs, batch 128, adamw",
    }  # fmt: skip
    return Setup(**(values | changes))


def published(data: str = "cifar10", networks: Sequence[str] = tuple(PUBLISHED)) -> tuple[Published, ...]:
    """A point for each network and kind; the CNN needs seven times the SNN's energy."""
    points = []
    for network in networks:
        accuracy, params, energy_mj = PUBLISHED[network]
        macs, acs = NETWORKS[network][3], NETWORKS[network][2]
        points.append(
            Published(
                data=data, network=network, kind="snn", accuracy=accuracy, f1=accuracy, params=params, macs=macs,
                acs=acs, energy_mj=energy_mj, source="arXiv:2602.09717",
            )
        )  # fmt: skip
        points.append(Published(data=data, network=network, kind="cnn", accuracy=0.82, energy_mj=7 * energy_mj))
    return tuple(points)


def metrics(cell: Cell, *, shift: float = 0.0, times: float = 1.0) -> Metrics:
    """Pretend to train: the table's accuracy plus ``shift`` and a little by seed, and its ACs times ``times``."""
    params, accuracy, acs, macs = NETWORKS[cell.network]
    rng = random.Random(cell.label)
    twin = cell.kind == "cnn"
    accuracy = accuracy + shift + (0.05 if twin else 0.0) + rng.uniform(-0.004, 0.004)
    rule = (
        Operations(macs=12.0 * macs, acs=0.0) if twin else Operations(macs=macs, acs=times * acs * rng.uniform(1, 1.02))
    )
    exact = Operations(macs=12.0 * macs, acs=0.0) if twin else Operations(macs=0.8 * macs, acs=1.7 * rule.acs)
    energies = {
        "horowitz45/exact": 1e-9 * (4.6 * exact.macs + 0.9 * exact.acs),
        "horowitz45/paper2602": 1e-9 * (4.6 * rule.macs + 0.9 * rule.acs),
        "lemaire2022/exact": 1e-9 * (12 * exact.macs + 14 * exact.acs),
    }
    return Metrics(
        accuracy=accuracy, test_accuracy=accuracy, test_f1=accuracy - 0.01, params=params, dense_macs=12 * macs,
        macs=exact.macs, acs=exact.acs, spikes=0.0 if twin else 1e5, firing_rate=0.0 if twin else 0.1,
        timesteps=1 if twin else 2, energy_mj=energies,
        twin_energy_mj=dict.fromkeys(energies, 1e-9 * 4.6 * 12 * macs),
        operations={"exact": exact, "paper2602": rule}, nonzero_macs=0.5 * exact.macs if twin else exact.macs,
    )  # fmt: skip


def trial(number: int, cell: Cell, measured: Metrics) -> TrialRecord:
    return TrialRecord(
        number=number, status="complete", name=cell.label, metrics=measured, seed=cell.seed, wall_s=60.0,
        started_at=START, finished_at=START + 60.0 * (number + 1), device="cpu (1 thread)",
    )  # fmt: skip


def build_benchmark(
    networks: Sequence[str] = ("SqueezeNet", "SqueezeNet-P"),
    data: Sequence[str] = ("cifar10",),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    kinds: Sequence[Kind] = ("snn", "cnn"),
    points: tuple[Published, ...] | None = None,
    setups: tuple[Setup, ...] | None = None,
    name: str = "paper",
    **changes: float,
) -> BenchmarkRecord:
    """All trainings complete; ``changes`` as in `metrics`."""
    cells = tuple(
        Cell(data=d, network=n, kind=k, seed=s) for s in seeds for d in data for n in networks for k in kinds
    )  # fmt: skip
    trials = tuple(trial(number, cell, metrics(cell, **changes)) for number, cell in enumerate(cells))
    sitting = Sitting(
        started_at=START, command="snnsearch bench spaces/benchmark.yaml --device cpu", commit="0123456789ab",
        versions={"snnsearch": "0.1.0", "python": "3.11.7"}, machine="2 cores, 24 GiB, Linux", hardware="2 cores",
    )  # fmt: skip
    header = BenchmarkHeader(
        name=name, cells=cells, networks=tuple(networks), setups=setups or tuple(setup(d) for d in data),
        price="horowitz45/exact", published=published() if points is None else points,
        benchmark_yaml=f"benchmark: {{name: {name}}}\n", benchmark_hash="4f0c" * 4, sittings=(sitting,),
    )  # fmt: skip
    return BenchmarkRecord(header=header, trials=trials)


_REMOVED = ", ".join(f"fire{number}: {{keep: false}}" for number in range(4, 10))
TINY = f"""\
benchmark:
  name: tiny
  seeds: [0, 1]
  budget: {{time: 20m}}
networks:
  One:
    {{family: squeezenet, stem: {{width: 8}}, fire2: {{squeeze: 4, expand1x1: 8, expand3x3: 8}}, fire3: {{keep: false}},
     {_REMOVED}, pool: {{after: [stem, fire2]}}}}
  Two:
    {{family: squeezenet, stem: {{width: 8}}, fire2: {{squeeze: 4, expand1x1: 8, expand3x3: 8}},
     fire3: {{squeeze: 4, expand1x1: 8, expand3x3: 8}}, {_REMOVED}, pool: {{after: [stem, fire2]}}}}
encoding: {{timesteps: 2}}
train: {{epochs: 1, batch: 40, lr: 0.01, augment: none, chance_patience: 0}}
data:
  digits: {{subset: 200, validation: 0.2, test: 50, train: {{epochs: 2}}}}
published:
  - {{data: digits, network: One, kind: snn, accuracy: 0.9, params: 500, energy_mj: 0.001, source: nowhere}}
  - {{data: digits, network: One, kind: cnn, accuracy: 0.9, energy_mj: 0.007}}
"""  # a training takes a second or so
# one network in two trainings: Two continues from the weights of One, taught by One's twin
FURTHER = (
    TINY.replace("fire3: {keep: false}", "fire3: {squeeze: 4, expand1x1: 8, expand3x3: 8}")
    .replace("patience: 0}", "patience: 0, start: cnn, cnn_epochs: 1}")
    .replace(
        "published:",
        "overrides: {Two: {weights: One, encoding: {timesteps: 3}, train: {lr: 0.004, distill: 0.5}}}\npublished:",
    )
)


def with_third(label: str, overrides: str) -> str:
    """FURTHER, and the same network once more."""
    two = FURTHER[FURTHER.index("  Two:\n") : FURTHER.index("encoding:")]
    text = FURTHER.replace(two, two + two.replace("Two:", f"{label}:"))
    return text.replace("overrides: {", f"overrides: {{{label}: {overrides}, ")


AVERAGED = with_third("Mean", "{mean_of: [One, Two]}")
