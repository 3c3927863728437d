"""Long studies: what a trial costs the driver, and what reading a study costs, as its trials grow in number.

    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --trials 5000

The study, its driver, the screen and the database are the real ones; what is stood in for is training. A trial comes to
what `benchmarks.search.standin` says, at once, and leaves a record as long as a real one: figures of all layers by all
prices, an epoch record for each epoch. Every block of trials is a line: CPU time that a trial took the driver in
questions, in storing what came back and in the screen, the time that went by, memory, size of the database. At each
mark the commands that read a study are run on it, each in a process of its own.

    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --folder long --sampler random --trials 4900
    python -m benchmarks.reliability.load spaces/squeezenet_prune.yaml --folder long --sampler ehvi --trials 5000
    --block 50

``--folder`` keeps the study and goes on with it, with another sampler too: so a slow one can be looked at in a study
that it has not made. ``--executor ray`` sends the same trials through Ray Tune and its workers.
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
from rich.console import Console

from benchmarks.reliability.memory import peak_mb, resident_mb
from benchmarks.search.standin import outcome
from reports.records.study import EpochRecord, Metrics, TrialRecord
from reports.storage.studies import DATABASE, read_header, read_study, sqlite_url
from search import executors
from search.cli.progress import StudyShow, Watch, watching
from search.executors import Source, WorkerPool, inline
from search.runner import launch
from search.runner.loop import Budget, Driver
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import plan_workers
from search.samplers import SAMPLERS
from search.space.limits import Resources
from search.space.space import Space, load_space
from search.study import create, study
from search.trial.job import Job, Placement, keep, outline
from search.trial.run import figures, layer_records
from snnkit.energy import estimate_all
from snnkit.energy.operations import LayerCounts, OperationCounts, silent

WORLD = 0  # of the stand-in
RATE = 0.12  # spikes per neuron and time step
MB = 2**20


# -- a trial without training -----------------------------------------------------------------------------------------


def stand_in(job: Job, placement: Placement) -> Iterator[EpochRecord | TrialRecord]:
    """In place of `search.trial.run.run`: the same events and files, figures that nothing was trained for."""
    job.folder.mkdir(parents=True, exist_ok=True)
    candidate, epochs, began = job.candidate, job.candidate.train.epochs, time.time()
    accuracy, energy_mj, _ = outcome(job.params, candidate, WORLD)
    activity = _firing(silent(candidate.plan(), candidate.neuron, candidate.encoding))
    history = []
    for number in range(1, epochs + 1):
        history.append(_epoch(number, number / epochs, accuracy, 3.0 * 4500 * activity.plan.dense_macs))
        yield history[-1]
    measured = figures(activity, accuracy, candidate.energy)
    energies = measured.energy_mj | {candidate.energy.key: energy_mj}
    metrics = Metrics(
        **(dict(measured) | {"energy_mj": energies}), test_accuracy=accuracy - 0.0123, test_f1=accuracy - 0.0134567
    )
    record = outline(job, status="complete").model_copy(
        update={
            "history": tuple(history),
            "metrics": metrics,
            "layers": layer_records(activity, estimate_all(activity)),
            "device": "cpu (1 thread)",
            "started_at": began,
            "finished_at": time.time(),
            "wall_s": sum(epoch.wall_s for epoch in history),
        }
    )
    keep(job.folder, record)
    yield record


def _firing(activity: OperationCounts) -> OperationCounts:
    """Every neuron fires at one rate."""
    layers = tuple(
        replace(
            layer, synapses=RATE * layer.dense_macs / 3, spikes_in=RATE * layer.dense_macs / 700, spikes_out=_out(layer)
        )
        for layer in activity.layers
    )
    return replace(activity, layers=layers)


def _out(layer: LayerCounts) -> float:
    return RATE * layer.neurons * layer.timesteps


def _epoch(number: int, share: float, accuracy: float, macs: float) -> EpochRecord:
    return EpochRecord(
        epoch=number, train_loss=2.3 - share * accuracy, train_accuracy=share * accuracy,
        val_loss=2.31 - share * accuracy, val_accuracy=share * accuracy,
        learning_rate=4e-3 * (1.0001 - share), wall_s=0.1 + share / 7, images=4500,
        macs=macs,
    )  # fmt: skip


# -- what a trial costs the driver ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Means over the trials of a block that were trained; what was proposed and not trained is in their questions."""

    trials: int  # finished so far
    ask_s: float  # of this thread, as the next two: other work on the machine, and the disk, are in wall_s alone
    store_s: float
    screen_s: float
    wall_s: float  # with what stands in for training
    resident_mb: float
    database_mb: float


@dataclass
class Spent:
    ask_s: float = 0.0
    store_s: float = 0.0
    screen_s: float = 0.0


class Timed:
    """A Source that notes how long another one takes, and says at every block and mark what it came to."""

    def __init__(self, driver: Driver, spent: Spent, load: "Load") -> None:
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
        self._load.one_more(self._spent)

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        self._driver.lost(number, reason, traceback)

    def halt(self, reason: str) -> None:
        self._driver.halt(reason)

    def stopping(self) -> bool:
        with self._timed("ask_s"):
            return self._driver.stopping()

    @contextlib.contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Less what the screen took in it, which is counted apart."""
        began, screen_s = time.thread_time(), self._spent.screen_s
        yield
        took = time.thread_time() - began - (self._spent.screen_s - screen_s)
        setattr(self._spent, part, getattr(self._spent, part) + took)


@dataclass
class Load:
    """One study driven to its end."""

    space: Space
    folder: Path
    block: int
    marks: Sequence[int]
    trained: int = 0
    since: int = 0  # trials in the block so far
    began: float = 0.0
    out: TextIO = sys.stdout  # while a screen is drawn, that is the screen's

    def run(self, trials: int, executor: str, workers: int) -> None:
        options = _options(self.folder.parent, executor, workers)
        opened, over = self._opened(options)
        show, before = StudyShow(opened.header), RunProgress.of(over)
        show.ended(over)
        del over
        self.trained = before.count("complete")
        crew = plan_workers(options, self.folder, Resources())
        console = Console(file=io.StringIO(), force_terminal=True, width=120)
        spent = Spent()
        self.began = time.perf_counter()
        with watching(console, show) as watch:
            driver = Driver(opened, Budget(trials, None), before, _noted(watch, spent))
            _execute(executor)(Timed(driver, spent, self), crew)
        if driver.failure is not None:
            raise driver.failure

    def _opened(self, options: RunOptions) -> tuple[study.Study, tuple[TrialRecord, ...]]:
        url = sqlite_url(self.folder / DATABASE)
        if not (self.folder / DATABASE).exists():
            launch.make_folder(self.folder)
            return create.create_study(launch.header_of(self.space, options), self.space, self.folder, url), ()
        opened = create.load_study(read_header(url, self.space.study.name), self.space, self.folder, url)
        opened.recover()
        trials = read_study(url, self.space.study.name).trials
        return opened, tuple(trial for trial in trials if trial.status not in ("running", "waiting"))

    def one_more(self, spent: Spent) -> None:
        self.trained += 1
        self.since += 1
        if self.trained % self.block == 0:
            print(_line(self._block(spent)), file=self.out, flush=True)
            self.since, spent.ask_s, spent.store_s, spent.screen_s = 0, 0.0, 0.0, 0.0
            self.began = time.perf_counter()
        if self.trained in self.marks:
            for line in reading(self.folder, self.trained):
                print(line, file=self.out, flush=True)
            self.began = time.perf_counter()

    def _block(self, spent: Spent) -> Block:
        size = sum(path.stat().st_size for path in self.folder.glob(f"{DATABASE}*"))
        totals = (spent.ask_s, spent.store_s, spent.screen_s, time.perf_counter() - self.began)
        ask_s, store_s, screen_s, wall_s = (total / self.since for total in totals)
        return Block(self.trained, ask_s, store_s, screen_s, wall_s, resident_mb(), size / MB)


def _noted(watch: Watch, spent: Spent) -> Watch:
    def noted(progress: RunProgress, record: TrialRecord | None) -> None:
        began = time.thread_time()
        watch(progress, record)
        spent.screen_s += time.thread_time() - began

    return noted


def _execute(name: str) -> executors.Execute:
    """The executor, with the stand-in where it calls the training: here, or in each of its workers."""
    if name == "ray":
        from benchmarks.reliability.load_ray import execute

        return execute
    inline.run = stand_in  # type: ignore[attr-defined]  # a name that it imports
    return inline.execute


def _options(runs: Path, executor: str, workers: int) -> RunOptions:
    return RunOptions(
        runs=runs, storage=None, trials=None, seconds=None, workers=workers, executor=executor,
        address=None, exchange=None, device="cpu", data_root=None,
    )  # fmt: skip


# -- what reading it costs --------------------------------------------------------------------------------------------


def reading(folder: Path, trials: int) -> Iterator[str]:
    """Lines of a table: every command on the study as it is now."""
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


CLI = "from search.cli.main import main; main()"


def _measured(shown: str, words: list[str]) -> str:
    with tempfile.TemporaryFile() as output:
        began, peak, pid = time.perf_counter(), 0.0, 0
        process = subprocess.Popen([sys.executable, *words], stdout=output)
        while pid == 0:
            peak = max(peak, peak_mb(process.pid))  # what wait4 tells begins with what this process has
            time.sleep(0.01)
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
        took = time.perf_counter() - began
        size = output.seek(0, io.SEEK_END)
    failed = "" if status == 0 else f" (failed: {os.waitstatus_to_exitcode(status)})"
    cpu_s = used.ru_utime + used.ru_stime
    return f"| `{shown}`{failed} | {cpu_s:.1f} | {took:.1f} | {peak:,.0f} | {size / 1000:,.1f} |"


def ask_once(runs: Path, name: str) -> None:
    """`resume`, which ends when it has asked for a first candidate."""

    def asked(source: Source, crew: WorkerPool) -> None:
        source.next()
        sys.exit(0)

    inline.execute = asked
    launch.resume(name, replace(_options(runs, "inline", 1), trials=1), Console(file=io.StringIO()))


TITLE = "| trials | ask, ms | store, ms | screen, ms | wall, ms | resident MB | database MB |\n" + "|---" * 7 + "|"


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
    parser.add_argument("--marks", type=int, nargs="*", default=[1000, 5000], help="trials at which commands are timed")
    parser.add_argument("--executor", choices=list(executors.EXECUTORS), default="inline")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the study here; go on with the one that is here")
    parser.add_argument("--asked", help=argparse.SUPPRESS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if options.asked:
        ask_once(options.space, options.asked)
        return
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "load"
        overrides = {"study.name": folder.name, "study.sampler": options.sampler}
        space = load_space(options.space, overrides=overrides)
        print(f"{options.space.name}, sampler {options.sampler}, executor {options.executor}\n")
        print(TITLE, flush=True)
        Load(space, folder, options.block, options.marks).run(options.trials, options.executor, options.workers)


if __name__ == "__main__":
    main()
