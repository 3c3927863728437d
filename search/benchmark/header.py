"""The header of a benchmark: what is stored of it and of each of its runs."""

import time

from reports.document.wording import listing
from reports.records.benchmark import BenchmarkHeader, Setup, Sitting
from reports.records.objectives import OWN_FIGURES
from reports.storage.benchmarks import is_benchmark, read_header
from search.benchmark.benchmark import Benchmark
from search.errors import format_value
from search.runner.describe import describe_recipe
from search.runner.options import RunOptions
from search.space.candidate import Candidate
from search.trial import environment
from snnkit.data import load_dataset, split_dataset


def benchmark_header(benchmark: Benchmark, options: RunOptions, command: str) -> BenchmarkHeader:
    """Return the header with this run added to the earlier ones.

    Loads the data sets, so that no worker has to download them. Raises DataError.
    """
    folder = options.runs / benchmark.section.name
    run = Sitting(
        started_at=time.time(),
        command=command,
        commit=environment.commit(),
        versions=environment.versions(),
        machine=environment.describe(options.device),
        hardware=environment.hardware(options.device),
    )
    before = read_header(folder).sittings if is_benchmark(folder) else ()
    return BenchmarkHeader(
        name=benchmark.section.name,
        cells=benchmark.cells,
        networks=tuple(benchmark.networks),
        own_figures=tuple(OWN_FIGURES[name] for name in benchmark.section.figures),
        setups=tuple(_setup(data, benchmark, options) for data in benchmark.entries),
        price=benchmark.energy.key,
        energy_rules=dict(benchmark.energy.rules),
        published=benchmark.published,
        references=benchmark.references,
        benchmark_yaml=benchmark.dump(),
        benchmark_hash=benchmark.fingerprint,
        sittings=(*before, run),
    )


def _setup(data: str, benchmark: Benchmark, options: RunOptions) -> Setup:
    """Return how networks are trained on ``data``. Raises DataError."""
    entry = benchmark.entries[data]
    whole = entry.info
    candidates = benchmark.candidates[data]
    first = next(iter(candidates.values()))
    images = load_dataset(entry.source, options.data_root, side=entry.resolution)
    parts = split_dataset(images, first.data, benchmark.section.seeds[0], frames=first.encoding.frames)
    return Setup(
        data=data,
        train=len(parts.train),
        validation=len(parts.validation),
        train_of=whole.train,
        test=len(parts.test),
        test_of=whole.test,
        side=entry.shape[-1],
        side_of=whole.shape[-1],
        classes=entry.outputs,
        classes_of=whole.classes,
        epochs=first.train.epochs,
        timesteps=first.encoding.timesteps,
        training=describe_recipe(first.train),
        own={
            label: text
            for label, candidate in candidates.items()
            if (text := _differences(candidate, first, benchmark.origins.get(label, ())))
        },
    )


def _differences(candidate: Candidate, other: Candidate, origins: tuple[str, ...]) -> str:
    """Return every setting outside the network that differs from ``other``.

    For example ``from the weights of X, neuron.threshold 0.5, encoding.timesteps 4``.
    """
    different = candidate.different(other)
    leaves = [
        f"{section}.{name} {format_value(value)}" for section, each in different.items() for name, value in each.items()
    ]
    start = "the mean of" if len(origins) > 1 else "from the weights of"
    return ", ".join([f"{start} {listing(origins)}", *leaves] if origins else leaves)
