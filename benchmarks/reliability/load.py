"""Measure what a trial costs the driver, and what reading a study costs, as the number of its trials grows.

    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --trials 5000

The study, its driver, the screen and the database are real. Only training is replaced: `stand_in` returns at once, with
the figures of `benchmarks.search.standin` and a record as long as a real one. Each block of trials prints a line: CPU
time that a trial took the driver for asking, storing and the screen, elapsed time, memory and size of the database.
At each mark, the commands that read a study are timed, each in its own process.

    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --folder long --sampler random --trials 4900
    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --folder long --sampler ehvi --trials 5000
    --block 50

``--folder`` keeps the study and continues it, also with another sampler: that measures a slow sampler in a long study
that a fast one made. ``--executor ray`` sends the same trials through Ray Tune and its workers.
"""

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import optuna

from benchmarks.reliability.memory import peak_mb, resident_mb
from benchmarks.reliability.stand_in import stand_in
from reports.records.study import EpochRecord, TrialRecord
from reports.storage.studies import DATABASE, read_header, read_study, sqlite_url
from search import executors
from search.cli.console import Terminal
from search.cli.progress import TerminalObserver
from search.executors import Source, WorkerPool, inline
from search.registries import EXECUTORS, SAMPLERS
from search.runner import files, launch
from search.runner.budget import Budget
from search.runner.header import study_header
from search.runner.loop import Driver
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import plan_workers
from search.space.limits import Resources
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study import create, study
from search.trial.folder import RunFolder
from search.trial.job import Job

MB = 2**20
POLL_S = 0.01  # between two looks at a command's memory
TITLE = "| trials | ask, ms | store, ms | screen, ms | wall, ms | resident MB | database MB |\n" + "|---" * 7 + "|"
CLI = "from search.cli import main; main()"


# -- what a trial costs the driver ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Means per trained trial. The cost of proposals that were not trained is part of ``ask_s``."""

    trials: int  # finished so far
    ask_s: float  # CPU time of this thread, like the next two
    store_s: float
    screen_s: float
    wall_s: float  # elapsed time, including the stand-in for training
    resident_mb: float
    database_mb: float


@dataclass
class CpuTime:
    ask_s: float = 0.0
    store_s: float = 0.0
    screen_s: float = 0.0


class TimedDriver:
    """A Source that measures the time that the driver takes, and prints it at every block and mark."""

    def __init__(self, driver: Driver, spent: CpuTime, load: "LoadTest") -> None:
        self._driver = driver
        self._spent = spent
        self._load = load

    def next(self) -> Job | None:
        with self._timed("ask_s"):
            return self._driver.next()

    def epoch(self, number: int, epoch: EpochRecord) -> bool:
        with self._timed("store_s"):
            return self._driver.epoch(number, epoch)

    def finished(self, record: TrialRecord) -> None:
        with self._timed("store_s"):
            self._driver.finished(record)
        self._load.trial_finished(self._spent)

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        self._driver.lost(number, reason, traceback)

    def note(self, text: str) -> None:
        self._driver.note(text)

    def halt(self, reason: str) -> None:
        self._driver.halt(reason)

    def stopping(self) -> bool:
        with self._timed("ask_s"):
            return self._driver.stopping()

    @contextlib.contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Add the block's CPU time to ``part``, without the screen's share, which is measured separately."""
        began, screen_s = time.thread_time(), self._spent.screen_s
        yield
        took = time.thread_time() - began - (self._spent.screen_s - screen_s)
        setattr(self._spent, part, getattr(self._spent, part) + took)


@dataclass
class LoadTest:
    """Drives one study to its end and prints what it costs."""

    space: Space
    folder: Path
    block: int
    marks: Sequence[int]
    trained: int = 0
    in_block: int = 0  # trials of the current block
    block_began: float = 0.0
    out: TextIO = sys.stdout  # bound here, because the screen replaces sys.stdout while it is drawn

    def run(self, trials: int, executor: str, workers: int) -> None:
        options = _options(self.folder.parent, executor, workers)
        opened, over = self._opened(options)
        spent = CpuTime()
        observer = TimedObserver(Terminal(file=_Screen(), width=120), spent)
        observer.opened(opened.header, over)
        before = RunProgress.of(over)
        del over
        self.trained = before.count("complete")
        pool = plan_workers(options, RunFolder(self.folder), Resources())
        self.block_began = time.perf_counter()
        with observer.running():
            driver = Driver(opened, Budget(trials, None), before, observer)
            _execute(executor)(TimedDriver(driver, spent, self), pool)
        if driver.failure is not None:
            raise driver.failure

    def _opened(self, options: RunOptions) -> tuple[study.Study, tuple[TrialRecord, ...]]:
        url = sqlite_url(self.folder / DATABASE)
        if not (self.folder / DATABASE).exists():
            files.make_folder(RunFolder(self.folder))
            return create.create_study(study_header(self.space, options), self.space, self.folder, url), ()
        opened = create.load_study(read_header(url, self.space.study.name), self.space, self.folder, url)
        opened.recover()
        trials = read_study(url, self.space.study.name).trials
        return opened, tuple(trial for trial in trials if trial.status not in ("running", "waiting"))

    def trial_finished(self, spent: CpuTime) -> None:
        self.trained += 1
        self.in_block += 1
        if self.trained % self.block == 0:
            print(_line(self._block(spent)), file=self.out, flush=True)
            self.in_block, spent.ask_s, spent.store_s, spent.screen_s = 0, 0.0, 0.0, 0.0
            self.block_began = time.perf_counter()
        if self.trained in self.marks:
            for line in time_commands(self.folder, self.trained):
                print(line, file=self.out, flush=True)
            self.block_began = time.perf_counter()

    def _block(self, spent: CpuTime) -> Block:
        size = sum(path.stat().st_size for path in self.folder.glob(f"{DATABASE}*"))
        totals = (spent.ask_s, spent.store_s, spent.screen_s, time.perf_counter() - self.block_began)
        ask_s, store_s, screen_s, wall_s = (total / self.in_block for total in totals)
        return Block(self.trained, ask_s, store_s, screen_s, wall_s, resident_mb(), size / MB)


class _Screen(io.StringIO):
    """A terminal that nobody sees."""

    def isatty(self) -> bool:
        return True


class TimedObserver(TerminalObserver):
    """Adds the time that the screen takes to ``spent``."""

    def __init__(self, console: Terminal, spent: CpuTime) -> None:
        super().__init__(console)
        self._spent = spent

    def progressed(self, progress: RunProgress) -> None:
        began = time.thread_time()
        super().progressed(progress)
        self._spent.screen_s += time.thread_time() - began

    def trial_ended(self, record: TrialRecord) -> None:
        began = time.thread_time()
        super().trial_ended(record)
        self._spent.screen_s += time.thread_time() - began


def _execute(name: str) -> executors.Execute:
    """Return the executor, with training replaced by the stand-in in this process or in its workers."""
    if name == "ray":
        from benchmarks.reliability.load_ray import execute

        return execute
    inline.run = stand_in  # type: ignore[attr-defined]  # the name that the executor imported
    return inline.execute


def _options(runs: Path, executor: str, workers: int) -> RunOptions:
    return RunOptions(runs=runs, workers=workers, executor=executor)


# -- what reading a study costs ---------------------------------------------------------------------------------------


def time_commands(folder: Path, trials: int) -> Iterator[str]:
    """Time every command that reads a study, and yield the lines of a table."""
    runs, name, some = ["--runs", str(folder.parent)], folder.name, str(trials // 2)
    yield f"\n| command at {trials} trials | CPU s | wall s | peak MB | output kB |\n|---|---|---|---|---|"
    for words in (
        ["status", name], ["status", name, "--json"], ["status"], ["show", name, some], ["show", name, some, "--json"],
        ["report", name],
    ):  # fmt: skip
        yield _measured(f"snnsearch {' '.join(words)}", ["-c", CLI, *words, *runs])
    with tempfile.TemporaryDirectory() as copy:
        (Path(copy) / name / "trials").mkdir(parents=True)
        for file in folder.glob(f"{DATABASE}*"):
            shutil.copy(file, Path(copy) / name)
        yield _measured(
            f"snnsearch resume {name}, to its first question",
            ["-m", "benchmarks.reliability.load", copy, "--asked", name],
        )
    sizes = (
        f"{file} {(folder / file).stat().st_size / 1000:,.0f} kB" for file in ("report.html", "report.md", "front.json")
    )
    yield f"\n{', '.join(sizes)}\n"


def _measured(shown: str, words: list[str]) -> str:
    with tempfile.TemporaryFile() as output:
        began, peak, pid = time.perf_counter(), 0.0, 0
        process = subprocess.Popen([sys.executable, *words], stdout=output)
        while pid == 0:
            peak = max(peak, peak_mb(process.pid))  # the peak that wait4 returns includes this process
            time.sleep(POLL_S)
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
        took = time.perf_counter() - began
        size = output.seek(0, io.SEEK_END)
    failed = "" if status == 0 else f" (failed: {os.waitstatus_to_exitcode(status)})"
    cpu_s = used.ru_utime + used.ru_stime
    return f"| `{shown}`{failed} | {cpu_s:.1f} | {took:.1f} | {peak:,.0f} | {size / 1000:,.1f} |"


def resume_until_first_question(runs: Path, name: str) -> None:
    """Run `resume` until it has asked for its first candidate, then exit."""

    def asked(source: Source, pool: WorkerPool) -> None:
        source.next()
        sys.exit(0)

    inline.execute = asked
    launch.resume(name, replace(_options(runs, "inline", 1), trials=1))


# -- the command ------------------------------------------------------------------------------------------------------


def _line(block: Block) -> str:
    times = " | ".join(f"{1000 * each:.1f}" for each in (block.ask_s, block.store_s, block.screen_s, block.wall_s))
    return f"| {block.trials} | {times} | {block.resident_mb:.0f} | {block.database_mb:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("space", type=Path)
    parser.add_argument("--sampler", choices=list(SAMPLERS), default="random")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--block", type=int, default=500)
    parser.add_argument(
        "--marks", type=int, nargs="*", default=[1000, 5000], help="numbers of trials at which commands are timed"
    )
    parser.add_argument("--executor", choices=list(EXECUTORS), default="inline")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the study in this folder, and continue it if it exists")
    parser.add_argument("--asked", help=argparse.SUPPRESS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if options.asked:
        resume_until_first_question(options.space, options.asked)
        return
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "load"
        overrides = {"study.name": folder.name, "study.sampler": options.sampler, "study.fidelities": "[]"}
        space = load_space(options.space, overrides=overrides)
        print(f"{options.space.name}, sampler {options.sampler}, executor {options.executor}\n")
        print(TITLE, flush=True)
        LoadTest(space, folder, options.block, options.marks).run(options.trials, options.executor, options.workers)


if __name__ == "__main__":
    main()
