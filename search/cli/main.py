"""The command line. Exit 0: done. 1: the work failed. 2: bad input, told in a line or two without a traceback."""

import sys
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from search.cli import console as common
from search.cli import networks
from search.cli.options import (
    Address,
    AnyName,
    DataRoot,
    Device,
    Exchange,
    ExecutorName,
    Json,
    RunName,
    Runs,
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
    from reports.records.study import StudyRecord
    from search.runner.options import RunOptions

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


def main() -> None:
    """Entry point: runs the command and turns expected errors into messages and exit codes."""
    try:
        app(prog_name="snnsearch")
    except Exception as error:
        if "--debug" in sys.argv or not _expected(error):
            raise
        common.err.print(Text("snnsearch: ", style="bold red").append(str(error), style="none"), soft_wrap=True)
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
    exchange: Exchange = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and end.")] = False,
) -> None:
    """Start a study from a space file: search, train, and report the front."""
    from search.runner import launch as launching
    from search.space.space import load_space

    chosen = common.device(device, address)
    overrides = common.overrides(sets)
    if name is not None:
        overrides["study.name"] = name
    loaded = load_space(space, overrides=overrides, device=chosen)
    options = common.options(runs, storage, trials, time, workers, executor, address, exchange, chosen, data)
    if dry_run:
        common.out.print(launching.preview(loaded, options), highlight=False)
        return
    _end(launching.launch(loaded, options, common.out), options)


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
    from search.runner import launch as launching

    options = common.options(
        runs, storage, trials, time, workers, executor, address, None, common.device(device, address), data
    )
    _end(launching.resume(study, options, common.out), options)


for command in (
    networks.bench,
    networks.retrain,
    networks.train,
    networks.export,
    networks.evaluate,
):
    app.command()(command)


@app.command()
def status(
    study: AnyName = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """How far a study or a benchmark is, from what is stored alone; does not disturb a running one."""
    from search.cli import status as states

    found = states.one(study, runs, storage) if study else states.every(runs, storage)
    for line in found.unread:
        common.err.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        common.print_json(found.to_json()[0] if study else found.to_json())
    elif not found.to_json() and not found.unread:
        common.out.print(f"no studies in {runs}; start one: snnsearch launch spaces/smoke.yaml")
    else:
        common.out.print(found.view(alone=study is not None))


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
    from reports.benchmark.write import write_benchmark
    from reports.storage.benchmarks import is_benchmark, read_benchmark
    from reports.study.write import write_report

    if is_benchmark(runs / study):  # wherever the studies are: SNNSEARCH_STORAGE may be set for good
        paths = write_benchmark(read_benchmark(runs / study), runs / study)
    else:
        paths = write_report(common.read(study, runs, storage), runs / study)
    if as_json:
        common.print_json([str(path) for path in paths])
    else:
        for path in paths:
            common.out.print(str(path), highlight=False, soft_wrap=True)
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
    from search.cli import status as states
    from search.cli import tables

    record = common.read(study, runs, storage)
    found = states.trial(study, trial, record.trials)
    if as_json:
        common.print_json(found.model_dump(mode="json"))
    else:
        common.out.print(tables.trial_view(record, found))


@app.command()
def validate(
    space: SpaceFile,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Whose profile of the space to check.")] = "cpu",
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Check a space file: its dials, its size, what constraints leave of it, and every named candidate."""
    from search.cli.validate import render, survey
    from search.space.space import load_space

    found = survey(load_space(space, overrides=common.overrides(sets), device=device))
    if as_json:
        common.print_json(found.to_dict())
    else:
        render(found, common.out)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="cifar10, cifar100, tiny-imagenet, nmnist …", metavar="NAME")],
    data: DataRoot = None,
) -> None:
    """Fetch a data set, verify it, and say where it is."""
    from snnkit.data import fetch_dataset

    with common.err.status(f"fetching {name} …"):
        where = fetch_dataset(name, data)
    common.out.print(where, highlight=False, soft_wrap=True)


@data_app.command("list")
def data_list(data: DataRoot = None, as_json: Json = False) -> None:
    """All data sets, and whether they are here."""
    from search.cli import tables
    from snnkit.data import DATASETS, dataset_status

    found = [dataset_status(name, data) for name in DATASETS]
    if as_json:
        common.print_json([asdict(each) for each in found])
    else:
        common.out.print(tables.data_table(found))


def _end(record: "StudyRecord", options: "RunOptions") -> None:
    """The front, the page, and how to go on; exit 1 where nothing was trained to the end."""

    from search.cli import tables

    common.out.print(tables.ending(record, options.runs / record.header.name))
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)
