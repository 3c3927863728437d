"""The text that a benchmark shows about itself: before it runs, and for ``--dry-run``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from reports.document.wording import count, duration
from reports.records.benchmark import BenchmarkHeader
from search.benchmark.benchmark import Benchmark
from search.benchmark.estimate import describe_work, own_work, work_left
from search.executors import WorkerPool
from search.runner.budget import Budget
from search.runner.describe import describe_recipe, describe_workers
from search.trial.job import Job


def describe_run(header: BenchmarkHeader, done: int, budget: Budget, pool: WorkerPool, folder: Path) -> str:
    """Return a few lines that say what is about to happen and for how long. ``done`` trainings are finished."""
    until = f" or {duration(budget.seconds)}" if budget.seconds else ""
    lines = [
        f"benchmark {header.name}: {count(len(header.cells), 'training')}" + (f", {done} done already" if done else ""),
        f"networks  {', '.join(header.networks)}",
        *(f"on        {setup.data}: {setup.train:,} images, {setup.training}" for setup in header.setups),
        f"with      {describe_workers(pool)}",
        f"until     all are trained{until}; Ctrl-C stops, then: {header.sittings[-1].command}",
        f"files     {folder}",
    ]
    return "\n".join(lines)


def describe_plan(benchmark: Benchmark, jobs: Sequence[Job], done: Sequence[int]) -> str:
    """Return what is trained, and how much work each network is and all trainings are that are not ``done``."""
    left = len(jobs) - len(done)
    lines = [f"benchmark {benchmark.section.name}: {count(len(jobs), 'training')}"]
    lines += [f"seeds     {', '.join(map(str, benchmark.section.seeds))}"]
    work = {(job.candidate.data.name, network): own_work(job) for job, network in _spiking(benchmark, jobs)}
    for data, row in benchmark.candidates.items():
        first = next(iter(row.values()))
        lines.append(f"on        {data}: {describe_recipe(first.train)}, T = {first.encoding.timesteps}")
        for network, candidate in row.items():
            figures = candidate.static()
            lines.append(
                f"  {network:<16} {figures['params']:,} parameters, {figures['dense_macs']:,} MACs a dense pass; "
                f"a training: {describe_work(work[data, network])}"
            )
    total = describe_work(work_left(jobs, done))
    lines.append(f"work      {count(left, 'training')} left{f', {len(done)} done' if done else ''}: {total}")
    return "\n".join(lines)


def _spiking(benchmark: Benchmark, jobs: Sequence[Job]) -> Iterator[tuple[Job, str]]:
    """Yield the jobs of spiking networks, each with the label of its network."""
    for job, cell in zip(jobs, benchmark.cells, strict=True):
        if cell.kind == "snn":
            yield job, cell.network
