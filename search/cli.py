"""The command line. Exit 0: done. 1: the work failed. 2: bad input, told in a line or two without a traceback."""

import json
import os
import shlex
import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from search import durations
from search.cli_options import (
    Address,
    BenchmarkFile,
    DataRoot,
    Device,
    ExecutorName,
    Json,
    RunName,
    Runs,
    Seeds,
    Sets,
    SpaceFile,
    Storage,
    StudyName,
    Time,
    Trials,
    Workers,
)
from search.errors import InputError

if TYPE_CHECKING:  # each command imports what it needs, when it runs
    from reports.record import StudyRecord
    from search.launch import Options

app = typer.Typer(
    name="snnsearch",
    help="Search and prune lightweight spiking neural networks. First: snnsearch launch spaces/smoke.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(help="Data sets: what is here, and fetching what is not.", no_args_is_help=True)
app.add_typer(data_app, name="data")

out = Console()
err = Console(stderr=True)


def main() -> None:
    """Entry point: runs the command and turns expected errors into messages and exit codes."""
    try:
        app(prog_name="snnsearch")
    except Exception as error:
        if "--debug" in sys.argv or not _expected(error):
            raise
        err.print(Text("snnsearch: ", style="bold red").append(str(error), style="none"), soft_wrap=True)
        sys.exit(2)


def _expected(error: Exception) -> bool:
    """Whether it is something that a person can put right, and its text says how."""
    from reports.errors import LedgerError, ReportError
    from snnkit.data.images import DataError

    return isinstance(error, InputError | LedgerError | ReportError | DataError)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of bad input.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Search and prune lightweight spiking neural networks."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("snnsearch"))
        raise typer.Exit


@app.command()
def launch(
    space: SpaceFile,
    name: Annotated[str | None, typer.Option(help="Name of the study, if not the space's.")] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    trials: Trials = None,
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and end.")] = False,
) -> None:
    """Start a study from a space file: search, train, and report the front."""
    from search import launch as launching
    from search.space import load_space

    chosen = _device(device)
    overrides = _overrides(sets)
    if name is not None:
        overrides["study.name"] = name
    loaded = load_space(space, overrides=overrides, device=chosen)
    options = _options(runs, storage, trials, time, workers, executor, address, chosen, data)
    if dry_run:
        out.print(launching.preview(loaded, options), highlight=False)
        return
    _end(launching.launch(loaded, options, out), options)


@app.command()
def resume(
    study: StudyName,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    trials: Trials = None,
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    device: Device = "auto",
    data: DataRoot = None,
) -> None:
    """Go on with a study: after Ctrl-C, a crash, or for more trials."""
    from search import launch as launching

    options = _options(runs, storage, trials, time, workers, executor, address, _device(device), data)
    _end(launching.resume(study, options, out), options)


@app.command()
def bench(
    file: BenchmarkFile,
    name: Annotated[str | None, typer.Option(help="Name of the benchmark, if not the file's.")] = None,
    runs: Runs = Path("runs"),
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train networks on data sets, as SNN and as CNN twin, with several seeds; go on with it where it was left."""
    options = _options(runs, None, None, time, workers, executor, address, _device(device), data)
    _bench(file, ["bench", str(file)], name, sets, options, dry_run=dry_run)


@app.command()
def retrain(
    study: StudyName,
    trials: Annotated[
        str | None, typer.Option(help="Numbers of trials: 3,17. Default: the front.", metavar="N,N…")
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="A candidate that the space names. May be repeated.", metavar="NAME"),
    ] = None,
    seeds: Seeds = 3,
    name: Annotated[str | None, typer.Option(help="Name of the benchmark. Default: STUDY-finals.")] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train the finalists of a study in full, on several seeds, with their CNN twins; go on with it where it was
    left."""
    from search import finalists
    from search.space import load_space

    record = _read(study, runs, storage)
    space = load_space(record.header.space_yaml)
    chosen = finalists.of_study(record, space, _numbers(trials), candidates or [])
    first = record.header.seed + 1  # none that the search had: a front is of those that were lucky, too
    base, wanted = finalists.longer(space.base, space), range(first, first + seeds)
    text = finalists.benchmark_text(name or f"{study}-finals", chosen, space, wanted, base=base)
    words = ["retrain", study, *(("--trials", trials) if trials else ())]
    words += [word for each in candidates or [] for word in ("--candidate", each)]
    words += ["--seeds", str(seeds)]
    options = _options(runs, None, None, time, workers, executor, address, _device(device), data)
    _bench(text, words, name, sets, options, dry_run=dry_run)


@app.command()
def train(
    space: SpaceFile,
    candidate: Annotated[str, typer.Option(help="The candidate, as the space names it.", metavar="NAME")],
    seeds: Seeds = 1,
    name: Annotated[str | None, typer.Option(help="Name of the benchmark. Default: SPACE-CANDIDATE.")] = None,
    runs: Runs = Path("runs"),
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train one network that a space names, with the space's own recipe, and its CNN twin; without a study."""
    from search import finalists
    from search.sections import as_folder_name
    from search.space import load_space

    chosen = _device(device)
    loaded = load_space(space, device=chosen)
    found = finalists.named(loaded, candidate)
    own = name or as_folder_name(f"{loaded.study.name}-{candidate}")
    first = loaded.study.seed
    text = finalists.benchmark_text(own, [found], loaded, range(first, first + seeds), base=loaded.base)
    words = ["train", str(space), "--candidate", candidate, "--seeds", str(seeds)]
    _bench(
        text, words, name, sets, _options(runs, None, None, time, workers, executor, address, chosen, data),
        dry_run=dry_run,
    )  # fmt: skip


@app.command()
def status(
    study: Annotated[
        str | None, typer.Argument(help="Name of a study or benchmark; all if left out.", metavar="[NAME]")
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """How far a study or a benchmark is, from what is stored alone; does not disturb a running one."""
    from search import status as states

    found = states.one(study, runs, storage) if study else states.every(runs, storage)
    for line in found.unread:
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        _print_json(found.to_json()[0] if study else found.to_json())
    elif not found.to_json() and not found.unread:
        out.print(f"no studies in {runs}; start one: snnsearch launch spaces/smoke.yaml")
    else:
        out.print(found.view(alone=study is not None))


@app.command()
def report(
    study: RunName,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a study (report.html, report.md, front.csv, front.json) or of a benchmark (benchmark.html,
    benchmark.md, benchmark.csv), finished or not."""
    from reports.benchmark.ledger import is_benchmark, read_benchmark
    from reports.benchmark.write import write_benchmark
    from reports.write import write_report

    if storage is None and is_benchmark(runs / study):
        paths = write_benchmark(read_benchmark(runs / study), runs / study)
    else:
        paths = write_report(_read(study, runs, storage), runs / study)
    if as_json:
        _print_json([str(path) for path in paths])
    else:
        for path in paths:
            out.print(str(path), highlight=False, soft_wrap=True)
    if show:
        webbrowser.open(paths[0].resolve().as_uri())


@app.command()
def show(
    study: StudyName,
    trial: Annotated[int, typer.Argument(help="Number of the trial.", metavar="TRIAL")],
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """One candidate: its modules, figures, layers, and how to train it again."""
    from search import views

    record = _read(study, runs, storage)
    if not 0 <= trial < len(record.trials):
        raise InputError(f"study {study!r} has no trial {trial}; it has {len(record.trials)}, numbered from 0")
    if as_json:
        _print_json(record.trials[trial].model_dump(mode="json"))
    else:
        out.print(views.trial_view(record, record.trials[trial]))


@app.command()
def export(
    study: RunName,
    trial: Annotated[int, typer.Argument(help="Number of the trial.", metavar="TRIAL")],
    kind: Annotated[
        Literal["pytorch", "onnx", "nir"],
        typer.Option(
            "--format", help="pytorch: weights and all that builds the network. onnx, nir: a graph, BatchNorm folded."
        ),
    ] = "pytorch",
    to: Annotated[Path | None, typer.Option("--out", help="Default: NAME-TRIAL here.", metavar="FILE")] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    data: DataRoot = None,
) -> None:
    """Write a trained network to a file for other programs, checked against it on real images."""
    from search import exporting

    found = exporting.trained(study, trial, runs, storage)
    path = to or Path(f"{study}-{trial}{exporting.suffix(kind)}")
    out.print(exporting.export(found, kind, path, data), highlight=False, soft_wrap=True)


@app.command()
def validate(
    space: SpaceFile,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Whose profile of the space to check.")] = "cpu",
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Check a space file: its dials, its size, what constraints leave of it, and every named candidate."""
    from search.space import load_space
    from search.validate import render, survey

    found = survey(load_space(space, overrides=_overrides(sets), device=device))
    if as_json:
        _print_json(found.to_dict())
    else:
        render(found, out)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="cifar10, cifar100, tiny-imagenet, nmnist …", metavar="NAME")],
    data: DataRoot = None,
) -> None:
    """Fetch a data set, verify it, and say where it is."""
    from snnkit.data import fetch

    with err.status(f"fetching {name} …"):
        where = fetch(name, data)
    out.print(where, highlight=False, soft_wrap=True)


@data_app.command("list")
def data_list(data: DataRoot = None, as_json: Json = False) -> None:
    """All data sets, and whether they are here."""
    from search import views
    from snnkit.data import DATASETS, status

    found = [status(name, data) for name in DATASETS]
    if as_json:
        _print_json([asdict(each) for each in found])
    else:
        out.print(views.data_table(found))


def _options(
    runs: Path, storage: str | None, trials: int | None, time: str | None, workers: int | None,
    executor: str, address: str | None, device: Literal["cpu", "cuda"], data: Path | None,
) -> "Options":  # fmt: skip
    import optuna

    from search.launch import Options

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        seconds = None if time is None else durations.parse(time)
    except ValueError as error:
        raise InputError(f"--time: {error}") from error
    return Options(
        runs=runs, storage=storage, trials=trials, seconds=seconds, workers=workers, executor=executor,
        address=address, device=device, data_root=data,
    )  # fmt: skip


def _device(asked: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    from search import machine

    if asked == "cpu":
        return "cpu"
    found = machine.detect_device()
    if asked == "cuda" and found != "cuda":
        raise InputError("--device cuda: torch finds no GPU here. Use --device cpu, or install a CUDA build of torch")
    return found


def _bench(
    source: Path | str, words: list[str], name: str | None, sets: list[str] | None, options: "Options", *, dry_run: bool
) -> None:
    """Run a benchmark, or go on with it. ``words`` are the command that was typed, as far as they decide about the
    trainings: without folders and budgets."""
    from search.benchmark import show
    from search.benchmark import start as starting
    from search.benchmark.source import load_benchmark

    overrides = _overrides(sets) | ({"benchmark.name": name} if name else {})
    benchmark = load_benchmark(source, overrides=overrides, device=options.device)
    if dry_run:
        out.print(starting.preview(benchmark), highlight=False)
        return
    words = ["snnsearch", *words, *(("--name", name) if name else ()), "--device", options.device]
    command = shlex.join([*words, *(word for item in sets or [] for word in ("--set", item))])
    record = starting.start(benchmark, options, out, command)
    out.print(show.ending(record, options.runs / record.header.name, command))
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)


def _numbers(trials: str | None) -> list[int]:
    try:
        return [int(word) for word in trials.split(",")] if trials else []
    except ValueError:
        raise InputError(f"--trials {trials!r}: write numbers of trials with commas: --trials 3,17") from None


def _overrides(sets: list[str] | None) -> dict[str, str]:
    found = {}
    for item in sets or []:
        path, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: write --set PATH=VALUE, such as --set train.epochs=5")
        found[path.strip()] = value
    return found


def _read(name: str, runs: Path, storage: str | None) -> "StudyRecord":
    from reports.benchmark.ledger import is_benchmark
    from search import status as states

    if storage is None and is_benchmark(runs / name):
        raise InputError(f"{name!r} is a benchmark, not a study; what it holds is told by: snnsearch report {name}")
    return states.study(name, runs, storage)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + os.linesep)


def _end(record: "StudyRecord", options: "Options") -> None:
    """The front, the page, and how to go on; exit 1 where nothing was trained to the end."""
    from search import views

    out.print(views.ending(record, options.runs / record.header.name))
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)
