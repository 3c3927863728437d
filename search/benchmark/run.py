"""``snnsearch bench``: starts a benchmark or goes on with it, and ends with its report."""

import time
from pathlib import Path

from rich.console import Console

from reports.benchmark.write import write_benchmark
from reports.document.wording import count, duration, listing
from reports.records.benchmark import BenchmarkHeader, BenchmarkRecord, Setup, Sitting
from reports.storage.benchmarks import HEADER, is_benchmark, read_benchmark, read_header, write_header
from reports.storage.studies import DATABASE
from search.benchmark.benchmark import Benchmark, trained_leaves
from search.benchmark.loader import load_benchmark
from search.benchmark.trainings import Trainings
from search.cli.benchmark import BenchmarkShow
from search.errors import InputError, SpaceError
from search.executors import WorkerPool
from search.runner.launch import (
    announce_fetching,
    drive,
    exchange_of,
    make_folder,
    note_exchange,
    recipe_text,
    write_text,
)
from search.runner.loop import Budget
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import describe_workers, plan_workers
from search.space import document
from search.space.candidate import Candidate
from search.space.dials import shown
from search.storage.lock import StudyLock
from search.trial import environment, sync
from snnkit.data import DATASETS, load_dataset, split_dataset

FILE = "benchmark.yaml"


def start(benchmark: Benchmark, options: RunOptions, console: Console, command: str) -> BenchmarkRecord:
    """Train what is not trained yet, within the budget, and write the report. ``command`` is what was typed.

    Raises InputError where the name is taken by something else, DataError where a data set cannot be had.
    """
    name = benchmark.section.name
    folder = options.runs / name
    _check_free(folder, benchmark)
    make_folder(folder)
    with StudyLock(folder, name, ""):
        if sync.noted(folder) is None:
            note_exchange(folder, exchange_of(name, options))
        sync.catch_up(folder)
        work = Trainings(benchmark.jobs(folder), command)
        if work.left:
            header = _header(benchmark, options, console, folder, command)
            _store(folder, header)
            crew = plan_workers(options, folder, benchmark.section.resources)
            budget = _budget(benchmark, options)
            console.print(announcement(header, work, budget, crew, folder, command), highlight=False, soft_wrap=True)
            show = BenchmarkShow(header)
            show.ended(work.over)
            drive(
                work, show, console,
                budget=budget, before=RunProgress.of(work.over), crew=crew, executor=options.executor,
            )  # fmt: skip
        else:
            console.print(f"all {len(work.over)} trainings of {name} are done; nothing is trained again")
            told = {"published": benchmark.published, "references": benchmark.references}
            _store(folder, read_header(folder).model_copy(update=told | {"benchmark_yaml": benchmark.dump()}))
        record = read_benchmark(folder)
        write_benchmark(record, folder)
    return record


def preview(benchmark: Benchmark) -> str:
    """What `start` would train, without fetching, writing or training anything."""
    lines = [f"benchmark {benchmark.section.name}: {count(len(benchmark.cells), 'training')}"]
    lines += [f"seeds     {', '.join(map(str, benchmark.section.seeds))}"]
    for data, row in benchmark.candidates.items():
        candidate = next(iter(row.values()))
        lines.append(f"on        {data}: {recipe_text(candidate.train)}, T = {candidate.encoding.timesteps}")
        for network, candidate in row.items():
            figures = candidate.static()
            lines.append(
                f"  {network:<16} {figures['params']:,} parameters, {figures['dense_macs']:,} MACs a dense pass"
            )
    return "\n".join(lines)


def _check_free(folder: Path, benchmark: Benchmark) -> None:
    """Whether the folder is the benchmark's own, or to be made. Raises InputError."""
    if (folder / DATABASE).exists():
        raise InputError(f"{folder} holds a study of that name. Call the benchmark something else: --name NAME")
    if not is_benchmark(folder):
        if next((folder / "trials").glob("*"), None) is not None:
            raise InputError(
                f"{folder / 'trials'} holds trials of something else: there is no {HEADER} beside it. Move that folder "
                "away, or use another name: --name NAME"
            )
        return
    before = read_header(folder)
    if before.benchmark_hash != benchmark.hash and (difference := _differing(before, benchmark)):
        raise InputError(
            f"{folder} holds a benchmark of other trainings: {difference}. Go on with that one: "
            f"snnsearch bench {folder / FILE}; or start this one under another name: --name NAME"
        )


def _differing(before: BenchmarkHeader, benchmark: Benchmark) -> str:
    """The first leaf that differs, and how many; nothing where none does, as both are read now: a leaf may have been
    added since it was begun."""
    try:
        tree = load_benchmark(before.benchmark_yaml).tree
    except SpaceError:
        tree = document.parse(before.benchmark_yaml).tree
    there, here = trained_leaves(tree), trained_leaves(benchmark.tree)
    paths = [path for path in dict.fromkeys([*here, *there]) if here.get(path) != there.get(path)]
    if not paths:
        return ""
    first, more = paths[0], len(paths) - 1
    text = f"{first} is {shown(there.get(first))} there and {shown(here.get(first))} here"
    return f"{text}, and {count(more, 'other leaf', 'other leaves')}" if more else text


def _header(benchmark: Benchmark, options: RunOptions, console: Console, folder: Path, command: str) -> BenchmarkHeader:
    """What is stored of the benchmark from now on: this run added to those before. Raises DataError."""
    sitting = Sitting(
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
        setups=tuple(_setup(data, benchmark, options, console) for data in benchmark.entries),
        price=benchmark.energy.key,
        published=benchmark.published,
        references=benchmark.references,
        benchmark_yaml=benchmark.dump(),
        benchmark_hash=benchmark.hash,
        sittings=(*before, sitting),
    )


def _store(folder: Path, header: BenchmarkHeader) -> None:
    """The header last: what has one is whole. Raises InputError."""
    write_text(folder / FILE, header.benchmark_yaml)
    try:
        write_header(folder, header)
    except OSError as error:
        raise InputError(
            f"cannot write {folder / HEADER}: {error.strerror}. Free some space, or: --runs DIR"
        ) from error


def _setup(data: str, benchmark: Benchmark, options: RunOptions, console: Console) -> Setup:
    """Loads the data set, so that no worker has to fetch it. Raises DataError."""
    announce_fetching(data, options, console)
    entry, whole = benchmark.entries[data], DATASETS[data]
    candidates = benchmark.candidates[data]
    candidate = next(iter(candidates.values()))
    there = load_dataset(data, options.data_root, side=entry.resolution)
    parts = split_dataset(there, candidate.data, benchmark.section.seeds[0], frames=candidate.encoding.frames)
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
        epochs=candidate.train.epochs,
        timesteps=candidate.encoding.timesteps,
        training=recipe_text(candidate.train),
        own={
            label: told
            for label, each in candidates.items()
            if (told := _differences(each, candidate, benchmark.origins.get(label, ())))
        },
    )


def _differences(candidate: Candidate, other: Candidate, origins: tuple[str, ...]) -> str:
    """``from the weights of X, neuron.threshold 0.5, encoding.timesteps 4``: what is not as in ``other``, but for the
    network."""
    different = candidate.different(other)
    leaves = [f"{section}.{name} {shown(value)}" for section, each in different.items() for name, value in each.items()]
    begins = "the mean of" if len(origins) > 1 else "from the weights of"
    return ", ".join([f"{begins} {listing(origins)}", *leaves] if origins else leaves)


def _budget(benchmark: Benchmark, options: RunOptions) -> Budget:
    own = benchmark.section.budget
    seconds = options.seconds if options.seconds is not None else own.seconds if own else None
    return Budget(len(benchmark.cells), seconds)


def announcement(
    header: BenchmarkHeader, work: Trainings, budget: Budget, crew: WorkerPool, folder: Path, command: str
) -> str:
    """What is about to happen and for how long, in a few lines."""
    done = len(work.over)
    until = f" or {duration(budget.seconds)}" if budget.seconds else ""
    lines = [
        f"benchmark {header.name}: {count(len(header.cells), 'training')}" + (f", {done} done already" if done else ""),
        f"networks  {', '.join(header.networks)}",
        *(f"on        {setup.data}: {setup.train:,} images, {setup.training}" for setup in header.setups),
        f"with      {describe_workers(crew)}",
        f"until     all are trained{until}; Ctrl-C stops, then go on: {command}",
        f"files     {folder}",
    ]
    return "\n".join(lines)
