"""`run_benchmark`: train the networks of a benchmark that are not trained yet, and write its report."""

import time
from collections.abc import Collection, Sequence

from reports.benchmark.write import write_benchmark
from reports.document.commands import command
from reports.document.wording import count
from reports.records.benchmark import BenchmarkHeader, BenchmarkRecord
from reports.records.study import StudyRecord, TrialRecord
from reports.storage.benchmarks import is_benchmark, read_benchmark, read_header, write_header
from search.benchmark import estimate
from search.benchmark.benchmark import Benchmark, trained_leaves
from search.benchmark.describe import describe_plan, describe_run
from search.benchmark.estimate import Evidence
from search.benchmark.header import benchmark_header
from search.benchmark.loader import load_benchmark
from search.benchmark.trainings import Fits, Trainings
from search.errors import InputError, SpaceError, format_value
from search.runner import files
from search.runner.budget import Budget
from search.runner.loop import OVERTIME, Driver, run_trials
from search.runner.observer import Observer
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import plan_workers
from search.space import document
from search.storage.lock import StudyLock
from search.trial import sync
from search.trial.folder import RunFolder
from search.trial.job import Job, Placement


def run_benchmark(
    benchmark: Benchmark, options: RunOptions, observer: Observer, command: str, study: StudyRecord | None = None
) -> BenchmarkRecord:
    """Start or continue a benchmark within its budget and write its report.

    ``command`` is the command that continues it; it is stored and shown. ``study`` is the one that its networks are
    from. Raises InputError if the name is taken by
    something else, DataError if a data set is missing, and RunError if the run cannot continue.
    """
    name = benchmark.section.name
    folder = RunFolder(options.runs / name)
    _check_free(folder, benchmark)
    files.make_folder(folder)
    with StudyLock(folder.path, name, ""):
        if folder.read_exchange() is None:
            files.save_exchange(folder, files.new_exchange(name, options))
        sync.catch_up(folder)
        work = Trainings(benchmark.jobs(folder.path), command, _fits(benchmark, options, study))
        if work.left:
            _train(work, benchmark, options, observer, command, study)
        else:
            observer.message(f"all {len(work.over)} trainings of {name} are done; nothing is trained again")
            _save(folder, _with_edits(read_header(folder.path), benchmark))
        record = read_benchmark(folder.path)
        write_benchmark(record, folder.path)
    return record


def preview(benchmark: Benchmark, options: RunOptions, study: StudyRecord | None = None) -> str:
    """Return what `run_benchmark` would train and how long it would take. Downloads and writes nothing.

    The estimate rests on the benchmark's finished trainings; else on the trials of the ``study`` that its networks are
    from; else on a few training steps, which are run now. Raises InputError as `run_benchmark` does.
    """
    folder = RunFolder(options.runs / benchmark.section.name)
    _check_free(folder, benchmark)
    jobs = benchmark.jobs(folder.path)
    over = Trainings(jobs, "").over
    done = [record.number for record in over]
    text = describe_plan(benchmark, jobs, done)
    if len(done) == len(jobs):
        return text
    pool = plan_workers(options, folder, benchmark.section.resources)
    evidence = _recorded_evidence(over, study, pool.placement)
    if not evidence.samples:
        if pool.address is not None:
            return f"{text}\nexpected  unknown: none of these networks was trained yet on the cluster at {pool.address}"
        evidence = estimate.measured(jobs, pool.placement)
    return f"{text}\n{estimate.expected(estimate.work_left(jobs, done), evidence, pool)}"


def _recorded_evidence(over: Sequence[TrialRecord], study: StudyRecord | None, placement: Placement) -> Evidence:
    """Return what finished trainings of the benchmark took, or else the trials of the study."""
    evidence = estimate.of_trainings(over, placement)
    return evidence if evidence.samples or study is None else estimate.of_study(study, placement)


def _fits(benchmark: Benchmark, options: RunOptions, study: StudyRecord | None) -> Fits | None:
    """Return whether jobs are expected to end in time, from now on; None without a limit.

    A network whose twin is trained already may end within the overtime: without it, the twin is of no use.
    """
    seconds = _budget(benchmark, options).seconds
    if seconds is None:
        return None
    deadline = time.monotonic() + seconds
    pool = plan_workers(options, RunFolder(options.runs / benchmark.section.name), benchmark.section.resources)
    before = () if study is None else estimate.of_study(study, pool.placement).samples

    def fits(jobs: Sequence[Job], done: Collection[int], ended: Sequence[TrialRecord]) -> bool:
        own = estimate.of_trainings(ended, pool.placement).samples
        work = estimate.work_left(jobs, done)
        expected_s = estimate.expected_s(work, estimate.corrected(before, own), pool.model_copy(update={"workers": 1}))
        paired = any(job.twin_key == jobs[-1].twin_key for job in jobs if job.is_twin and job.number in done)
        overtime = OVERTIME * seconds if paired else 0.0
        return time.monotonic() + (expected_s or 0.0) <= deadline + overtime

    return fits


def _train(
    work: Trainings, benchmark: Benchmark, options: RunOptions, observer: Observer, command: str,
    study: StudyRecord | None,
) -> None:  # fmt: skip
    folder = RunFolder(options.runs / benchmark.section.name)
    for data in benchmark.entries:
        files.announce_download(data, options, observer)
    header = benchmark_header(benchmark, options, command)
    _save(folder, header)
    pool = plan_workers(options, folder, benchmark.section.resources)
    budget = _budget(benchmark, options)
    observer.message(describe_run(header, len(work.over), budget, pool, folder.path))
    left = estimate.work_left(benchmark.jobs(folder.path), [record.number for record in work.over])
    if expected := estimate.expected(left, _recorded_evidence(work.over, study, pool.placement), pool):
        observer.message(expected)
    observer.opened(header, work.over)
    run_trials(Driver(work, budget, RunProgress.of(work.over), observer), options.executor, pool)


def _budget(benchmark: Benchmark, options: RunOptions) -> Budget:
    """Return all trainings, within the time of ``options`` or else of the benchmark."""
    budget = benchmark.section.budget
    seconds = options.seconds if options.seconds is not None else budget.seconds if budget else None
    return Budget(len(benchmark.cells), seconds)


def _with_edits(header: BenchmarkHeader, benchmark: Benchmark) -> BenchmarkHeader:
    """Return the stored header with the fields that may change without any new training."""
    return header.model_copy(
        update={
            "published": benchmark.published,
            "references": benchmark.references,
            "benchmark_yaml": benchmark.dump(),
        }
    )


def _save(folder: RunFolder, header: BenchmarkHeader) -> None:
    """Write the YAML, then the header: a folder with a header is complete. Raises InputError."""
    files.write_file(folder.benchmark, header.benchmark_yaml)
    try:
        write_header(folder.path, header)
    except OSError as error:
        raise InputError(
            f"cannot write {folder.benchmark_header}: {error.strerror}. Free some space, or choose another folder: "
            "--runs DIR"
        ) from error


def _check_free(folder: RunFolder, benchmark: Benchmark) -> None:
    """Raise InputError if ``folder`` holds anything other than this benchmark."""
    if folder.database.exists():
        raise InputError(f"{folder.path} holds a study of that name. Give the benchmark another name: --name NAME")
    if not is_benchmark(folder.path):
        if folder.has_trials():
            raise InputError(
                f"{folder.trials} holds trials of something else: {folder.path} has no {folder.benchmark_header.name}. "
                "Move that folder away, or use another name: --name NAME"
            )
        return
    before = read_header(folder.path)
    if before.benchmark_hash != benchmark.fingerprint and (difference := _difference(before, benchmark)):
        raise InputError(
            f"{folder.path} holds a benchmark of other trainings: {difference}. To continue that one: "
            f"{command('bench', folder.benchmark)}. To start this one, use another name: --name NAME"
        )


def _difference(before: BenchmarkHeader, benchmark: Benchmark) -> str:
    """Return the first leaf that differs and the number of others; empty if none does.

    Both are read by this version, which may have added leaves since the benchmark was started.
    """
    try:
        tree = load_benchmark(before.benchmark_yaml).tree
    except SpaceError:
        tree = document.parse(before.benchmark_yaml).tree
    stored, given = trained_leaves(tree), trained_leaves(benchmark.tree)
    paths = [path for path in dict.fromkeys([*given, *stored]) if given.get(path) != stored.get(path)]
    if not paths:
        return ""
    first, more = paths[0], len(paths) - 1
    text = f"{first} is {format_value(stored.get(first))} there and {format_value(given.get(first))} here"
    return f"{text}, and {count(more, 'other leaf', 'other leaves')}" if more else text
