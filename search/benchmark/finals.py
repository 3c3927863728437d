"""Finals: `launch` and `resume` end by training the best candidates of the front longer, with their CNN twins.

The finals of STUDY are a benchmark in the folder STUDY-finalists. If a longer search finds better candidates, these are
trained in STUDY-finalists-2, and so on.
"""

import math
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from reports.document.commands import command
from reports.document.wording import count, duration
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import StudyRecord
from reports.storage.benchmarks import read_benchmark
from reports.storage.finalists import LEFT, finals_folder, finals_folders
from reports.storage.studies import find_study
from reports.study.write import write_report
from search.benchmark import estimate, finalists
from search.benchmark.benchmark import Benchmark
from search.benchmark.finalists import Finalist
from search.benchmark.loader import load_benchmark
from search.benchmark.run import run_benchmark
from search.executors import WorkerPool
from search.runner import launch as searching
from search.runner.observer import SILENT, Observer
from search.runner.options import RunOptions
from search.runner.resources import plan_workers
from search.space.candidate import Candidate
from search.space.limits import Resources
from search.space.loading.loader import load_space
from search.space.sections import Finals
from search.space.space import Space
from search.study.evidence import Evidence
from search.trial.folder import RunFolder

USABLE = 0.85  # share of the time left that estimates may fill: trainings do not divide evenly among workers


def launch(
    space: Space, options: RunOptions, observer: Observer = SILENT, *, evidence: Evidence | None = None
) -> StudyRecord:
    """Create a study from ``space``, run it within its budget, train its finalists and write its report.

    Trials and time of ``options`` replace the space's budget, and the study keeps them, so `resume` keeps to them too.
    ``evidence`` of an older study is stored with the new one, and its sampler learns from it.
    Raises InputError if the name is taken, a constraint is out of reach or something cannot be written, DataError if
    the data set is missing, and RunError if the run cannot continue.
    """
    hold = partial(_hold, options=options, observer=observer)
    return searching.launch(space, options, observer, finals=hold, evidence=evidence)


def resume(name: str, options: RunOptions, observer: Observer = SILENT) -> StudyRecord:
    """Continue the study ``name`` where it stopped: in its search or in its finals. Write its report.

    Interrupted finals are finished, and nothing is searched. Otherwise the search continues, within the space's own
    budget, or within the time or the further trials that ``options`` give; these leave interrupted finals as they are.
    Raises InputError if there is no such study or its space.yaml was edited, and RunError if it cannot continue.
    """
    wants_more_search = options.trials is not None or options.seconds is not None
    left = None if wants_more_search else _unfinished(options.runs, name)
    if left is None:
        return searching.resume(name, options, observer, finals=partial(_hold, options=options, observer=observer))
    record = find_study(name, options.runs, options.storage)
    space = load_space(record.header.space_yaml)
    _train(load_benchmark(left.header.benchmark_yaml), _seconds(space), record, options, observer)
    record = find_study(name, options.runs, options.storage)
    write_report(record, options.runs / name)
    return record


def _hold(record: StudyRecord, space: Space, seconds: float | None, *, options: RunOptions, observer: Observer) -> None:
    """Train the best candidates of the front that no earlier finals trained. ``seconds``: the time left."""
    section = space.study.finals
    assert section is not None
    study = record.header.name
    name = finals_folder(options.runs, study, 1 + len(finals_folders(options.runs, study))).name
    plan = _choose(name, record, space, section, seconds, options)
    if not plan.finalists:
        observer.message("finals    no candidate of the front is left to train longer")
        return
    benchmark = _benchmark(name, plan.finalists, record, space, section, options)
    labels = ", ".join(benchmark.networks)
    within = f" within {duration(seconds)}, in this order while time is left" if seconds is not None else ""
    observer.message(f"finals    {count(len(benchmark.networks), 'finalist')}{within}: {labels}")
    _train(benchmark, seconds, record, plan.options, observer)


def _train(
    benchmark: Benchmark, seconds: float | None, study: StudyRecord, options: RunOptions, observer: Observer
) -> None:
    again = command("resume", study.header.name)
    run_benchmark(benchmark, replace(options, trials=None, seconds=seconds), observer, again, study)


@dataclass(frozen=True)
class _Plan:
    """Finalists, in the order of training, and the options with which they are trained."""

    finalists: list[Finalist]
    options: RunOptions  # with the number of workers
    first_fits: bool  # the first finalist is expected to end in time


def _choose(
    name: str, record: StudyRecord, space: Space, section: Finals, seconds: float | None, options: RunOptions
) -> _Plan:
    """Return the finals ``name`` within ``seconds``.

    One worker trains a twin and its network one after the other. If the best first finalist takes too long for that,
    fewer workers get more threads each.
    """
    new = partial(_new_finalists, record, space, section, set(_trained(options.runs, record.header.name)))
    limit = math.inf if seconds is None else USABLE * seconds
    plans = []
    for with_workers in [options] if seconds is None else _with_fewer_workers(options):
        pool = plan_workers(with_workers, RunFolder(options.runs / name), Resources())
        cost = partial(_cost, samples=estimate.of_study(record, pool.placement).samples, pool=pool, limit=limit)
        chosen = new(cost, limit)
        fits = bool(chosen) and math.isfinite(cost(chosen[0].candidate))
        plans.append(_Plan(chosen, with_workers, fits))
    fitting = [plan for plan in plans if plan.first_fits] or plans[:1]
    return next(plan for plan in fitting if plan.finalists[:1] == fitting[-1].finalists[:1])


def _new_finalists(
    record: StudyRecord, space: Space, section: Finals, trained: Set[str], cost: Callable[[Candidate], float],
    limit: float,
) -> list[Finalist]:  # fmt: skip
    """Return the best candidates of the front, without the fingerprints ``trained`` and those of ``study.promote``.

    First come the candidates that the time is expected to allow, then the others: trainings may take less than
    expected, and `resume` trains the rest. Last come the candidates of ``study.promote``, for comparison.
    """
    recipe = {**space.retrain, **section.recipe}
    others = tuple(trial for trial in record.trials if trial.name not in space.study.promote)
    record = record.model_copy(update={"trials": others})

    def choose(best: int, limit: float) -> list[Finalist]:
        found = finalists.of_front(record, space, best, recipe, cost=cost, limit=limit)
        return [each for each in found if each.candidate.fingerprint not in trained]

    for best in range(section.best, 0, -1):
        chosen = choose(best, limit)
        if sum(cost(each.candidate) for each in chosen) <= limit:
            break
    chosen += [each for each in choose(section.best, math.inf) if each not in chosen]
    compared = [finalists.retrained(finalists.named(space, name), recipe) for name in space.study.promote]
    return chosen[: section.best] + [each for each in compared if each.candidate.fingerprint not in trained]


def _with_fewer_workers(options: RunOptions) -> Iterator[RunOptions]:
    """Yield ``options``; on the CPUs of one machine, also with half as many workers, and so on down to one.

    A number that the user gave stays.
    """
    yield options
    if options.workers is None and options.address is None and options.device == "cpu":
        workers = plan_workers(options, RunFolder(options.runs), Resources()).workers or 1
        while workers > 1:
            workers //= 2
            yield replace(options, workers=workers)


def _cost(candidate: Candidate, *, samples: Sequence[estimate.Sample], pool: WorkerPool, limit: float) -> float:
    """Return the seconds that the candidate adds to the finals on one seed; 0 if nothing is known.

    Infinite if one worker does not end within ``limit`` seconds.
    """
    work = estimate.network_work(candidate) + estimate.twin_work(candidate)
    seconds = estimate.expected_s(work, samples, pool) or 0.0
    return seconds if seconds * (pool.workers or 1) <= limit else math.inf


def _benchmark(
    name: str, chosen: list[Finalist], record: StudyRecord, space: Space, section: Finals, options: RunOptions
) -> Benchmark:
    """Return the finals ``name`` of the ``chosen`` finalists."""
    first = record.header.seed + 1  # not the seed of the search: the front favours candidates that it was lucky for
    base = finalists.with_recipe(space.base, {**space.retrain, **section.recipe})
    seeds = range(first, first + section.seeds)
    text = finalists.benchmark_text(name, chosen, space, seeds, base=base)
    return load_benchmark(text, device=options.device)


def _trained(runs: Path, study: str) -> Iterator[str]:
    """Return the fingerprints of the candidates that earlier finals trained on some seed."""
    for folder in finals_folders(runs, study):
        record = read_benchmark(folder)
        pairs = zip(record.header.cells, record.trials, strict=True)
        names = {cell.network for cell, trial in pairs if cell.kind == "snn" and trial.status not in LEFT}
        for row in load_benchmark(record.header.benchmark_yaml).candidates.values():
            yield from (candidate.fingerprint for name, candidate in row.items() if name in names)


def _unfinished(runs: Path, study: str) -> BenchmarkRecord | None:
    """Return the latest finals if some training of theirs is left."""
    for folder in finals_folders(runs, study)[-1:]:
        record = read_benchmark(folder)
        if any(trial.status in LEFT for trial in record.trials):
            return record
    return None


def _seconds(space: Space) -> float | None:
    budget, section = space.study.budget.seconds, space.study.finals
    return None if budget is None or section is None else budget * section.share
