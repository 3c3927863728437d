"""`launch` and `resume`: run a study from its space to its report."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from reports.document.commands import command
from reports.records.study import StudyHeader, StudyRecord
from reports.storage.studies import find_study, read_header, stored_name
from reports.study.write import write_report
from search.errors import listed
from search.executors import WorkerPool
from search.runner import files
from search.runner.budget import Budget
from search.runner.describe import describe_run
from search.runner.header import preview_header, study_header
from search.runner.loop import Driver, RunError, run_trials
from search.runner.observer import SILENT, Observer
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import plan_workers
from search.samplers.initial_design import initial_design
from search.space.constraints import refused_together
from search.space.loading.loader import load_space
from search.space.reachable import check_bounds
from search.space.space import Space
from search.storage.lock import StudyLock
from search.study import create, recovery, supernet
from search.study.evidence import Evidence
from search.study.study import Study
from search.trial import environment, sync
from search.trial.folder import RunFolder
from snnkit.data import describe_change

HoldFinals = Callable[[StudyRecord, Space, float | None], None]
"""Called after a search that ended by its budget, with the study, its space and the seconds that are left."""


def launch(
    space: Space, options: RunOptions, observer: Observer = SILENT, *, finals: HoldFinals | None = None,
    evidence: Evidence | None = None,
) -> StudyRecord:  # fmt: skip
    """Create a study from ``space``, run it within its budget and write its report.

    Trials and time of ``options`` replace the space's budget, and the study keeps them, so `resume` keeps to them too.
    ``finals`` is called if the space has finals and the search was not stopped. ``evidence`` of an older study is
    stored with the new one.
    Raises InputError if the name is taken, a constraint is out of reach or something cannot be written, DataError if
    the data set is missing, and RunError if the run cannot continue.
    """
    space, name = _with_budget(space, options), space.study.name
    folder = RunFolder(options.runs / name)
    files.check_no_benchmark(folder, "Give the study another name: --name NAME")
    if warning := check_bounds(space):
        observer.message(f"warning   {warning}")
    url, exchange = files.storage_url(folder, options), files.new_exchange(name, options)
    files.make_folder(folder)
    with StudyLock(folder.path, name, url, observer.message) as lock:
        files.announce_download(space.base.data.source, options, observer)
        header = study_header(space, options)
        study = create.create_study(header, space, folder.path, url, lock.connection, evidence)
        files.save_study(folder, header, exchange)  # only now: an existing study would have failed above
        if evidence is not None:
            observer.message(f"evidence  {evidence.describe()}")
        observer.opened(header, ())
        run = _Run(study, space, url, options, observer, lock.stop, finals)
        return run.to_end(_budget_of(space), RunProgress())


def resume(
    name: str, options: RunOptions, observer: Observer = SILENT, *, finals: HoldFinals | None = None
) -> StudyRecord:
    """Continue the study ``name`` where it stopped, and write its report.

    The budget is the space's own, unless ``options`` give a time, or trials to train on top of those trained so far.
    ``finals`` is called as by `launch`.
    Raises InputError if there is no such study or its space.yaml was edited, and RunError if it cannot continue.
    """
    folder = RunFolder(options.runs / name)
    files.check_no_benchmark(folder, f"Continue it with: {command('bench', folder.benchmark)}")
    url = files.storage_url(folder, options)
    files.check_study_exists(folder, options)
    locked = name if options.storage is None else stored_name(folder.path, options.storage)
    with StudyLock(folder.path, locked, url, observer.message) as lock:
        sync.catch_up(folder)
        if options.storage is None:
            recovery.repair(folder.path, observer.message)
        run = _load(name, url, options, observer, lock, finals)
        interrupted = _adopt_trials(run.study, observer)
        before = _finished_trials(run.study.header, options, observer)
        budget = _resume_budget(run.space, options, before)
        if (spent := _spent(name, budget, before, interrupted=interrupted)) is not None:
            observer.message(spent)
            return run.with_finals(budget.finals_s)
        return run.to_end(budget, before)


def preview(space: Space, options: RunOptions) -> str:
    """Return what `launch` would do. Downloads, writes and trains nothing. Raises InputError as `launch` does."""
    space = _with_budget(space, options)
    warning = check_bounds(space)
    header = preview_header(space, options)
    folder = RunFolder(options.runs / space.study.name)
    text = describe_run(header, _budget_of(space), plan_workers(options, folder, space.study.resources), folder.path)
    refusals = {name: space.refusals(space.candidate(params)) for name, params in space.candidates.items()}
    first = [name for name, found in refusals.items() if not found]
    first += ["a smallest or largest candidate" for _ in initial_design(space)]
    refused = [f"{names} would be refused: {why}" for names, why in refused_together(refusals, "named candidates")]
    warnings = [*refused, *([warning] if warning else [])]
    return "\n".join([text, *(f"first     {each}" for each in first), *(f"warning   {each}" for each in warnings)])


@dataclass(frozen=True)
class _Run:
    """An open study whose lock this process holds. ``stop`` is set when the run must end."""

    study: Study
    space: Space
    url: str
    options: RunOptions
    observer: Observer
    stop: threading.Event
    finals: HoldFinals | None

    def to_end(self, budget: Budget, before: RunProgress) -> StudyRecord:
        """Run trials within ``budget``, which ``before`` has partly used, and write the report. Raises RunError."""
        started = time.monotonic()
        seconds = None if budget.seconds is None else budget.seconds + (budget.finals_s or 0)
        pool = plan_workers(self.options, RunFolder(self.study.folder), self.space.study.resources)
        self.observer.message(describe_run(self.study.header, budget, pool, self.study.folder))
        if self.space.study.supernet is not None:
            budget = self._rank_candidates(pool, budget)
        driver = Driver(self.study, budget, before, self.observer, stop=self.stop)
        run_trials(driver, self.options.executor, pool)
        if driver.stopped_by is not None:
            return self.report()
        return self.with_finals(None if seconds is None else started + seconds - time.monotonic())

    def with_finals(self, seconds_left: float | None) -> StudyRecord:
        """Write the report; if the space has finals, hold them and write it again. Raises RunError."""
        record = self.report()
        if self.finals is None or self.space.study.finals is None:
            return record
        self.finals(record, self.space, seconds_left)
        return self.report()

    def report(self) -> StudyRecord:
        """Read the study as stored and write its report."""
        record = find_study(self.study.header.name, self.options.runs, self.options.storage)
        write_report(record, self.study.folder)
        return record

    def _rank_candidates(self, pool: WorkerPool, budget: Budget) -> Budget:
        """Rank candidates by the weights of a supernet, and return what remains of ``budget``. Raises RunError."""
        from snnkit.training.checkpoint import CheckpointError
        from snnkit.training.loop import TrainingStopped

        started = time.monotonic()
        cores = environment.cores() if pool.workers is None else pool.workers * pool.placement.threads
        threads = environment.allowed_threads(cores)
        placement = pool.placement.model_copy(update={"threads": threads})
        try:
            ranking = supernet.rank(
                self.space,
                RunFolder(self.study.folder),
                placement,
                lambda text: self.observer.message(f"supernet  {text}"),
            )
        except KeyboardInterrupt:
            name = self.study.header.name
            raise RunError(f"stopped while ranking candidates. Continue with: {command('resume', name)}") from None
        except (CheckpointError, TrainingStopped) as error:
            raise RunError(f"the supernet could not be trained: {error}") from error
        self.study.apply_ranking(ranking)
        return budget.less(time.monotonic() - started, ranking.cost.macs)


def _load(
    name: str, url: str, options: RunOptions, observer: Observer, lock: StudyLock, finals: HoldFinals | None
) -> _Run:
    """Load the study and, if it has one, its ranking by shared weights. Raises InputError, LedgerError."""
    folder = RunFolder(options.runs / name)
    header = read_header(url, stored_name(folder.path, options.storage)).model_copy(update={"name": name})
    space = load_space(header.space_yaml)
    files.check_space_unchanged(folder, header.space_yaml, space)
    for change in space.plugins.changes():
        observer.message(f"note      {change}")
    if change := describe_change(space.base.data.source):
        observer.message(f"warning   {change}. The study keeps the images of its launch")
    study = create.load_study(header, space, folder.path, url, lock.connection)
    if header.supernet is not None:  # before trials are adopted: their records store the candidate's place
        study.apply_ranking(supernet.recalled(space, folder, header.supernet))
    return _Run(study, space, url, options, observer, lock.stop, finals)


def _adopt_trials(study: Study, observer: Observer) -> bool:
    """Store trials whose result was not stored yet, queue interrupted ones, and return whether there are any."""
    stored, interrupted = study.recover()
    if stored:
        observer.message(f"trials {listed(stored)} had been trained but not stored; they are stored now")
    if interrupted:
        observer.message(f"trials {listed(interrupted)} were interrupted; they continue from their checkpoints")
    return bool(interrupted)


def _finished_trials(header: StudyHeader, options: RunOptions, observer: Observer) -> RunProgress:
    """Show ``observer`` the trials of earlier runs and return their totals. The records are too large to keep."""
    trials = find_study(header.name, options.runs, options.storage).trials
    finished = [trial for trial in trials if trial.status not in ("running", "waiting") or trial.fidelities]
    observer.opened(header, finished)
    return RunProgress.of(finished)


def _with_budget(space: Space, options: RunOptions) -> Space:
    """Return the space with the trials and the time of ``options`` as its budget."""
    given = {"trials": options.trials, "time": None if options.seconds is None else f"{options.seconds:g}s"}
    budget = space.study.budget.model_copy(update={key: value for key, value in given.items() if value is not None})
    return replace(space, study=space.study.model_copy(update={"budget": budget}))


def _budget_of(space: Space) -> Budget:
    budget = space.study.budget
    return _less_finals(Budget(budget.trials, budget.seconds, budget.macs), space)


def _less_finals(budget: Budget, space: Space) -> Budget:
    return budget if space.study.finals is None else budget.with_finals(space.study.finals.share)


def _resume_budget(space: Space, options: RunOptions, before: RunProgress) -> Budget:
    """Return the budget that ``options`` ask for on top of ``before``, or else the space's own."""
    if options.trials is None and options.seconds is None:
        return _budget_of(space)
    trials = None if options.trials is None else before.trained + options.trials
    return _less_finals(Budget(trials, options.seconds), space)


def _spent(name: str, budget: Budget, before: RunProgress, *, interrupted: bool) -> str | None:
    """Return a message if earlier runs have used the budget up; trials that were interrupted are finished anyway."""
    if budget.trials is not None and before.trained >= budget.trials and not interrupted:
        return f"all {budget.trials} trials are done; for more: {command('resume', name, '--trials', 10)}"
    if budget.macs is not None and before.training_macs >= budget.macs:
        return f"all {budget.macs:.3g} MACs are spent; for more: {command('resume', name, '--time', '20m')}"
    return None
