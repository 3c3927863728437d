"""The commands about studies: launch, resume, report, show and validate."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reports.document.commands import command
from search.cli import console
from search.cli.options import (
    DryRun,
    Json,
    RunName,
    Runs,
    Sets,
    SpaceFile,
    Storage,
    StudyName,
    TrialNumber,
    folder_name,
    parse_overrides,
    with_run_options,
)
from search.errors import InputError
from search.runner.options import RunOptions

if TYPE_CHECKING:  # each command imports what it needs when it runs
    from reports.records.study import StudyRecord


@with_run_options()
def launch(
    space: SpaceFile,
    options: RunOptions,
    name: Annotated[str | None, typer.Option(help="Name of the study. Default: the name in the file.")] = None,
    older: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Let the sampler learn from the finished trials of an older study with another space, and let trials "
            "inherit its weights if the space inherits any. They are no results of the new study.",
            metavar="STUDY",
            callback=folder_name,
        ),
    ] = None,
    sets: Sets = None,
    dry_run: DryRun = False,
) -> None:
    """Start a study: search the space, train candidates, report the front.

    Example: snnsearch launch smoke --time 5m
    """
    from search.benchmark import finals
    from search.cli.progress import TerminalObserver
    from search.runner.launch import preview
    from search.space.loading.loader import load_space
    from search.space.shipped import find_file

    overrides = parse_overrides(sets) | ({"study.name": name} if name is not None else {})
    loaded = load_space(find_file(space), overrides=overrides, device=options.device)
    evidence = None
    if older is not None:
        from search.study.evidence import evidence_from

        evidence = evidence_from(read_study(older, options.runs, options.storage), loaded, options.runs / older)
    if dry_run:
        text = preview(loaded, options) + (f"\nevidence  {evidence.describe()}" if evidence else "")
        console.out.print(text, highlight=False, soft_wrap=True)
        return
    _end(finals.launch(loaded, options, TerminalObserver(console.out), evidence=evidence), options)


@with_run_options(without=("exchange",))
def resume(study: StudyName, options: RunOptions) -> None:
    """Continue a study after Ctrl-C or a crash, or add trials to it.

    Example: snnsearch resume smoke --trials 10
    """
    from search.benchmark import finals
    from search.cli.progress import TerminalObserver

    _end(finals.resume(study, options, TerminalObserver(console.out)), options)


def report(
    study: RunName,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a study or benchmark, finished or not.

    A study gets report.html, report.md, front.csv and front.json.
    A benchmark gets benchmark.html, benchmark.md, benchmark.csv and benchmark.svg.
    The command prints their paths.

    Example: snnsearch report smoke --open
    """
    from reports.benchmark.write import write_benchmark
    from reports.storage.benchmarks import is_benchmark, read_benchmark
    from reports.study.write import write_report
    from search.benchmark.alternatives import complete_benchmark, complete_study

    if is_benchmark(runs / study):  # even with --storage, because SNNSEARCH_STORAGE may be set permanently
        paths = write_benchmark(complete_benchmark(read_benchmark(runs / study)), runs / study)
    else:
        paths = write_report(complete_study(read_study(study, runs, storage)), runs / study)
    if as_json:
        console.print_json([str(path) for path in paths])
    else:
        for path in paths:
            console.out.print(str(path), highlight=False, soft_wrap=True)
    if show:
        webbrowser.open(paths[0].resolve().as_uri())


def show(
    study: StudyName, trial: TrialNumber, runs: Runs = Path("runs"), storage: Storage = None, as_json: Json = False
) -> None:
    """Show one trial: its modules, figures and layers, and how to train it again.

    Example: snnsearch show smoke 3
    """
    from reports.storage.studies import find_trial
    from search.benchmark.alternatives import complete_study
    from search.cli import tables

    record = complete_study(read_study(study, runs, storage))
    found = find_trial(study, trial, record.trials)
    if as_json:
        console.print_json(found.model_dump(mode="json"))
    else:
        wide = console.Terminal(file=console.out.file, width=max(console.out.width, 140))  # names of layers stay whole
        wide.print(tables.trial_view(record, found), crop=False)


def validate(
    space: SpaceFile,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Check the space with this device's profile.")] = "cpu",
    sets: Sets = None,
    export_format: Annotated[
        Literal["pytorch", "onnx", "nir"] | None,
        typer.Option(
            "--export-format",
            help="Also show which candidates cannot be exported to this format, and why.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a space file, and show its dials, size, constraints and named candidates.

    Example: snnsearch validate mine.yaml
    """
    from search.cli.validate import render, survey
    from search.space.loading.loader import load_space
    from search.space.shipped import find_file

    loaded = load_space(find_file(space), overrides=parse_overrides(sets), device=device)
    found = survey(loaded, export_format=export_format)
    if as_json:
        console.print_json(found.to_dict())
    else:
        render(found, console.out)


def read_study(name: str, runs: Path, storage: str | None) -> "StudyRecord":
    """Return the study ``name``. Raises InputError if it is a benchmark, LedgerError if it cannot be read."""
    from reports.storage.benchmarks import is_benchmark
    from reports.storage.studies import find_study

    if is_benchmark(runs / name):
        raise InputError(f"{name!r} is a benchmark, not a study. To see its results: {command('report', name)}")
    return find_study(name, runs, storage)


def _end(record: "StudyRecord", options: RunOptions) -> None:
    """Print the front, the report and the next command. Exit with 1 if no trial was trained to the end."""
    from search.cli import tables

    console.out.print(tables.ending(record, options.runs / record.header.name), crop=False)
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)
