"""`launch` and `resume`: from a space to a study's report."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from reports.document.wording import duration
from reports.records.study import ObjectiveRecord, StudyHeader, StudyRecord
from reports.storage.benchmarks import is_benchmark
from reports.storage.files import replace_text
from reports.storage.studies import DATABASE, list_studies, read_header, read_study, sqlite_url
from reports.study.write import write_report
from search import executors
from search.cli.progress import Show, StudyShow, watching
from search.errors import InputError, SpaceError
from search.executors import WorkerPool
from search.runner.loop import Budget, Driver, RunError, Work
from search.runner.options import RunOptions
from search.runner.progress import RunProgress
from search.runner.resources import describe_workers, plan_workers
from search.samplers import describe_sampler
from search.samplers.initial_design import initial_design
from search.space.space import Space, load_space
from search.storage.lock import StudyLock
from search.storage.url import check_url
from search.study import create, recovery, supernet
from search.study.study import Study
from search.trial import environment, sync
from snnkit.data import data_root, dataset_status, load_dataset, split_dataset
from snnkit.training.recipe import Recipe

SPACE = "space.yaml"


def launch(space: Space, options: RunOptions, console: Console) -> StudyRecord:
    """A new study. Raises InputError where one of that name exists."""
    name = space.study.name
    folder = options.runs / name
    _check_no_benchmark(folder, "Call the study something else: --name NAME")
    url, meeting = _url(folder, options), exchange_of(name, options)
    make_folder(folder)
    with StudyLock(folder, name, url, _sayer(console)) as lease:
        announce_fetching(space.base.data.name, options, console)
        header = header_of(space, options)
        opened = create.create_study(header, space, folder, url, lease.connection)
        note_exchange(folder, meeting)  # not before: a study that is there may have its own
        write_text(folder / SPACE, header.space_yaml)
        write_text(folder / recovery.HEADER, header.model_dump_json(indent=1))
        show = StudyShow(header)
        return _drive(opened, space, options, _budget(space, options), console, show, RunProgress(), lease.stop)


def resume(name: str, options: RunOptions, console: Console) -> StudyRecord:
    """The study ``name``, from where it was left. ``options.trials`` are trials more than it has; where neither they
    nor a time are given, the space's own budget holds.

    Raises InputError where there is no such study, or where its space.yaml was edited.
    """
    folder = options.runs / name
    _check_no_benchmark(folder, f"Go on with it: snnsearch bench {folder / 'benchmark.yaml'}")
    url = _url(folder, options)
    _check_there(folder, options)
    with StudyLock(folder, name, url, _sayer(console)) as lease:
        sync.catch_up(folder)
        if options.storage is None:
            for line in recovery.repair(folder):
                console.print(line, highlight=False, soft_wrap=True)
        header = read_header(url, name)
        space = load_space(header.space_yaml)
        _check_unedited(folder / SPACE, header.space_yaml, space)
        opened = create.load_study(header, space, folder, url, lease.connection)
        if header.supernet is not None:  # before what was trained is told, so that its record says its place too
            opened.take_up(supernet.recalled(space, folder / supernet.FOLDER, header.supernet))
        told, interrupted = opened.recover()
        if told:
            console.print(f"trials {_numbers(told)} were trained but not stored yet: stored now")
        if interrupted:
            console.print(f"trials {_numbers(interrupted)} were interrupted: they go on from their checkpoints")
        show = StudyShow(header)
        before = _so_far(url, name, show)
        if options.trials is None and options.seconds is None:
            budget = Budget(space.study.budget.trials, space.study.budget.seconds, space.study.budget.macs)
        else:
            more = None if options.trials is None else before.trained + options.trials
            budget = Budget(more, options.seconds)
        if budget.trials is not None and before.trained >= budget.trials and not interrupted:
            console.print(f"all {budget.trials} trials are done; for more: snnsearch resume {name} --trials 10")
            return _reported(opened, options)
        if budget.macs is not None and before.training_macs >= budget.macs:
            console.print(f"all {budget.macs:.3g} MACs are spent; for more: snnsearch resume {name} --time 20m")
            return _reported(opened, options)
        return _drive(opened, space, options, budget, console, show, before, lease.stop)


def preview(space: Space, options: RunOptions) -> str:
    """What `launch` would do, without fetching, writing or training anything."""
    data = space.base.data
    used = f"{data.subset:,} training images of " if data.subset else ""
    header = _header(space, options, f"{used}{data.name}, {data.outputs} classes")
    folder = options.runs / space.study.name
    text = announcement(header, _budget(space, options), plan_workers(options, folder, space.study.resources), folder)
    begins = [*space.candidates, *("a corner of the space" for _ in initial_design(space))]
    return "\n".join([text, *(f"first     {name}" for name in begins)])


def header_of(space: Space, options: RunOptions) -> StudyHeader:
    """What is stored of a launch, once. Loads the data, so that no worker has to fetch it."""
    choice, frames = space.base.data, space.base.encoding.frames
    data = load_dataset(choice.name, options.data_root, side=choice.resolution)
    parts = split_dataset(data, choice, space.study.seed, frames=frames)
    return _header(space, options, parts.describe())


def _header(space: Space, options: RunOptions, data: str) -> StudyHeader:
    return StudyHeader(
        name=space.study.name,
        seed=space.study.seed,
        sampler=describe_sampler(space.study.sampler),
        objectives=tuple(ObjectiveRecord(name=n, direction=d) for n, d in space.study.objectives.items()),
        constraints=space.study.constraints,
        price=space.base.energy.key,
        space_yaml=space.dump(),
        space_hash=space.hash,
        space_size=space.size,
        dials=tuple(dial.path for dial in space.dials),
        candidates=tuple(space.candidates),
        references=space.reference,
        data=data,
        training=_training(space),
        created_at=time.time(),
        commit=environment.commit(),
        versions=environment.versions(),
        machine=environment.describe(options.device),
    )


def _budget(space: Space, options: RunOptions) -> Budget:
    """The space's, with what the command line says in its place."""
    return Budget(
        options.trials if options.trials is not None else space.study.budget.trials,
        options.seconds if options.seconds is not None else space.study.budget.seconds,
        space.study.budget.macs,
    )


def _so_far(url: str, name: str, show: Show) -> RunProgress:
    """What earlier runs have done, which ``show`` is told of. Their records are not kept: they are large."""
    over = [trial for trial in read_study(url, name).trials if trial.status not in ("running", "waiting")]
    show.ended(over)
    return RunProgress.of(over)


def _drive(
    opened: Study, space: Space, options: RunOptions, budget: Budget, console: Console,
    show: Show, before: RunProgress, stop: threading.Event,
) -> StudyRecord:  # fmt: skip
    """Run the study within ``budget``, after what earlier runs have done. ``stop`` is set when the run is to end."""
    header = opened.header
    crew = plan_workers(options, opened.folder, space.study.resources)
    console.print(announcement(header, budget, crew, opened.folder), highlight=False, soft_wrap=True)
    budget = _ranked(opened, space, crew, budget, console)
    drive(opened, show, console, budget=budget, before=before, crew=crew, executor=options.executor, stop=stop)
    return _reported(opened, options)


def _ranked(opened: Study, space: Space, crew: WorkerPool, budget: Budget, console: Console) -> Budget:
    """Candidates are ranked by shared weights, where the space asks for it; what is then left of ``budget``."""
    if space.study.supernet is None:
        return budget
    from snnkit.training.checkpoint import CheckpointError
    from snnkit.training.loop import TrainingStopped

    began = time.monotonic()
    threads = environment.cores() if crew.workers is None else crew.workers * crew.placement.threads
    placement = crew.placement.model_copy(update={"threads": threads})
    name = opened.header.name
    try:
        ranking = supernet.rank(
            space,
            opened.folder / supernet.FOLDER,
            placement,
            lambda text: _sayer(console)(f"supernet  {text}"),
        )
    except KeyboardInterrupt:
        raise RunError(f"stopped while candidates were ranked; go on with it: snnsearch resume {name}") from None
    except (CheckpointError, TrainingStopped) as error:
        raise RunError(f"the supernet: {error}") from error
    opened.take_up(ranking)
    return budget.less(time.monotonic() - began, ranking.cost.macs)


def drive(
    work: Work, show: Show, console: Console, *,
    budget: Budget, before: RunProgress, crew: WorkerPool, executor: str, stop: threading.Event | None = None,
) -> None:  # fmt: skip
    """Hand out ``work`` until it is done, the budget is used up or somebody stops it, which sets ``stop``. ``before``
    is what earlier runs have done, and ``show`` knows of it. Raises RunError where it cannot go on."""
    from snnkit.kernels import prepare

    execute = executors.load(executor)
    if crew.address is None:
        prepare(crew.placement.device)  # once and before the workers, each of which would compile them
    with watching(console, show) as watch:
        driver = Driver(work, budget, before, watch, stop=stop)
        # a second Ctrl-C ends the execution at once, and goes on to the report all the same
        with driver.interruptible(), contextlib.suppress(KeyboardInterrupt):
            execute(driver, crew)
    if driver.failure is not None:
        raise driver.failure


def _sayer(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, highlight=False, soft_wrap=True)


def _reported(opened: Study, options: RunOptions) -> StudyRecord:
    record = read_study(_url(opened.folder, options), opened.header.name)
    write_report(record, opened.folder)
    return record


def announcement(header: StudyHeader, budget: Budget, crew: WorkerPool, folder: Path) -> str:
    """What is about to happen and for how long, in a few lines."""
    size = "a continuous space" if header.space_size is None else f"{header.space_size:,.0f} candidates"
    named = f", {len(header.candidates)} named ones first" if header.candidates else ""
    wanted = " + ".join(f"{o.direction} {o.name}" for o in header.objectives)
    bounds = [
        f"{budget.trials} trials" if budget.trials else "",
        duration(budget.seconds) if budget.seconds else "",
        f"{budget.macs:.3g} MACs of training" if budget.macs else "",
    ]
    return (
        f"study     {header.name}: {len(header.dials)} dials, {size}{named}\n"
        f"search    {wanted}, sampler {header.sampler}, seed {header.seed}\n"
        f"data      {header.data}\n"
        f"training  {header.training}\n"
        f"on        {describe_workers(crew)}\n"
        f"until     {' or '.join(filter(None, bounds)) or 'the space is exhausted'}; "
        f"Ctrl-C stops, then: snnsearch resume {header.name}\n"
        f"files     {folder}"
    )


def _training(space: Space) -> str:
    """How a candidate is trained; what is a dial is said to be one."""
    open_leaves = {dial.path for dial in space.dials}
    steps = f"T = {space.base.encoding.timesteps}" if "encoding.timesteps" not in open_leaves else "T a dial"
    train, start = space.base.train, ""
    if "train.start" in open_leaves:
        train, start = train.model_copy(update={"start": "scratch"}), ", start a dial"
    rule = space.study.stopping
    stopped = "" if rule is None else f", stopped early by rank (1 in {rule.reduction:g}, margin {rule.margin:g})"
    return f"{steps}, {recipe_text(train)}{start}{stopped}"


def recipe_text(train: Recipe) -> str:
    """``3 epochs, batch 64, adamw with lr 0.002, onecycle, augmentation none``, and where weights come from."""
    optimizer = f"{train.optimizer} with lr {train.lr:g}, {train.schedule}"
    rungs = f" anew after epochs {', '.join(map(str, train.rungs))}" if train.rungs else ""
    text = f"{train.epochs} epochs, batch {train.batch}, {optimizer}{rungs}, augmentation {train.augment}"
    match train.start:
        case "scratch":
            return text
        case "inherit":
            return f"{text}, from the weights of the nearest finished trial"
        case "cnn":
            return f"{text}, from the weights of the CNN twin after {train.for_cnn_twin.epochs} epochs"


def announce_fetching(name: str, options: RunOptions, console: Console) -> None:
    """Say that a data set is about to be fetched, where it is not here."""
    if not dataset_status(name, options.data_root).there:
        console.print(f"fetching  {name} into {data_root(options.data_root)} …", highlight=False, soft_wrap=True)


def _url(folder: Path, options: RunOptions) -> str:
    return check_url(options.storage) if options.storage else sqlite_url(folder / DATABASE)


def make_folder(folder: Path) -> None:
    """``folder`` with a place for its trials. Raises InputError."""
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}. Choose another folder: --runs DIR") from error


def exchange_of(name: str, options: RunOptions) -> str | None:
    """The URL that a new run's files go through, where its machines share no folder. Raises InputError."""
    if options.exchange is None:
        return None
    if options.address is None:
        raise InputError("--exchange is for a cluster: give its --address as well")
    return sync.own(options.exchange, name)


def note_exchange(folder: Path, url: str | None) -> None:
    """For all that go on with the run. Raises InputError."""
    if url is not None:
        write_text(folder / sync.FILE, url + "\n")


def _check_no_benchmark(folder: Path, remedy: str) -> None:
    if is_benchmark(folder):
        raise InputError(f"{folder} holds a benchmark, not a study. {remedy}")


def _check_there(folder: Path, options: RunOptions) -> None:
    if not folder.is_dir() and options.storage is not None:
        raise InputError(
            f"there is no folder {folder}, with what the trials of {folder.name!r} have left: say where it is: "
            "--runs DIR. If it is gone, or on another machine, make an empty one: unfinished trials begin anew, "
            "finished ones stay"
        )
    if not folder.is_dir():
        others = ", ".join(path.name for path in list_studies(options.runs)) or "none"
        raise InputError(f"no study {folder.name!r} in {options.runs}. Studies there: {others}")
    if options.storage is None and not (folder / DATABASE).is_file():
        raise InputError(
            f"{folder} has no {DATABASE}: this study was launched with --storage. Give it again, "
            "or set SNNSEARCH_STORAGE"
        )


def _check_unedited(path: Path, text: str, space: Space) -> None:
    """A study keeps the space it was launched with, ``text``; an edit that had no effect would mislead."""
    if not path.exists():
        write_text(path, text)
        return
    try:
        same = load_space(path).hash == space.hash  # both as read now: a leaf may have been added since the launch
    except SpaceError:
        same = False
    if not same:
        raise InputError(
            f"{path} was edited, but a study keeps the space that it was launched with. Delete that file to go on "
            f"as launched, or launch the edited one as another study: snnsearch launch {path} --name NAME"
        )


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` as a whole. Raises InputError."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}. Free some space, or choose a folder: --runs DIR"
        ) from error


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
