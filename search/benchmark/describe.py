"""The text that a benchmark shows about itself: before it runs, and for ``--dry-run``."""

from pathlib import Path

from reports.document.wording import count, duration
from reports.records.benchmark import BenchmarkHeader
from search.benchmark.benchmark import Benchmark
from search.executors import WorkerPool
from search.runner.budget import Budget
from search.runner.describe import describe_recipe, describe_workers


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


def preview(benchmark: Benchmark) -> str:
    """Return what `run_benchmark` would train. Downloads, writes and trains nothing."""
    lines = [f"benchmark {benchmark.section.name}: {count(len(benchmark.cells), 'training')}"]
    lines += [f"seeds     {', '.join(map(str, benchmark.section.seeds))}"]
    for data, row in benchmark.candidates.items():
        first = next(iter(row.values()))
        lines.append(f"on        {data}: {describe_recipe(first.train)}, T = {first.encoding.timesteps}")
        for network, candidate in row.items():
            figures = candidate.static()
            lines.append(
                f"  {network:<16} {figures['params']:,} parameters, {figures['dense_macs']:,} MACs a dense pass"
            )
    return "\n".join(lines)
