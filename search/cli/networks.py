"""The commands that train, measure and export single networks: bench, retrain, train, export and evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reports.storage.finalists import retrained_folder
from reports.storage.names import as_folder_name
from search.cli import console
from search.cli.options import (
    BenchmarkFile,
    DataRoot,
    DryRun,
    EvaluationDevice,
    ExportFormat,
    Json,
    RunName,
    Runs,
    Seeds,
    Sets,
    SpaceFile,
    Storage,
    StudyName,
    TrialNumber,
    expand_home,
    find_device,
    next_command,
    parse_numbers,
    parse_overrides,
    with_run_options,
)
from search.cli.study import read_study
from search.runner.options import RunOptions

if TYPE_CHECKING:  # each command imports what it needs when it runs
    from reports.records.study import StudyRecord
    from search.benchmark.benchmark import Benchmark

N_FINALISTS = 5  # unless --best says otherwise


@with_run_options(without=("storage", "trials"))
def bench(
    context: typer.Context,
    file: BenchmarkFile,
    options: RunOptions,
    name: Annotated[str | None, typer.Option(help="Name of the benchmark. Default: the name in the file.")] = None,
    sets: Sets = None,
    dry_run: DryRun = False,
) -> None:
    """Train fixed networks on data sets, as SNN and as CNN, with several seeds.

    The same command continues a benchmark that was interrupted. Finished trainings are not repeated; failed ones are.

    Example: snnsearch bench benchmark_small
    """
    from search.space.shipped import find_file

    benchmark = _load_benchmark(find_file(file), name, sets, options)
    _run(benchmark, context, options, dry_run=dry_run)


@with_run_options(without=("trials",))
def retrain(
    context: typer.Context,
    study: StudyName,
    options: RunOptions,
    trials: Annotated[
        str | None,
        typer.Option(help="Numbers of the trials to retrain: 3,17. Default: chosen by --best.", metavar="N,N…"),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of finalists, taken from the more accurate half of the front so that together they cover the "
            "most hypervolume. "
            f"Default: {N_FINALISTS}.",
            metavar="N",
        ),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="Named candidate of the space. May be repeated.", metavar="NAME"),
    ] = None,
    seeds: Seeds = 3,
    name: Annotated[str | None, typer.Option(help="Name of the new benchmark. Default: STUDY-finals.")] = None,
    sets: Sets = None,
    dry_run: DryRun = False,
) -> None:
    """Train the finalists of a study in full, with several seeds and their CNN twins.

    The finalists become a benchmark. The same command continues it after an interruption.

    Example: snnsearch retrain smoke --best 3 --seeds 3
    """
    from search.benchmark import finalists
    from search.space.loading.loader import load_space

    record = read_study(study, options.runs, options.storage)
    space = load_space(record.header.space_yaml)
    of_front = None if trials or candidates else best or N_FINALISTS
    numbers = parse_numbers(trials, "--trials", "3,17")
    chosen = finalists.of_study(record, space, numbers, candidates or [], best=best or N_FINALISTS)
    first = record.header.seed + 1  # not the seed of the search: the front favours candidates that it was lucky for
    base, wanted = finalists.with_recipe(space.base, space.retrain), range(first, first + seeds)
    text = finalists.benchmark_text(
        name or retrained_folder(options.runs, study).name, chosen, space, wanted, base=base
    )
    benchmark = _load_benchmark(text, name, sets, options)
    if of_front is not None and (choice := finalists.describe_choice(record, of_front)):
        console.out.print(choice, highlight=False, soft_wrap=True)
    _run(benchmark, context, options, dry_run=dry_run, study=record)


@with_run_options(without=("storage", "trials"))
def train(
    context: typer.Context,
    space: SpaceFile,
    options: RunOptions,
    candidate: Annotated[str, typer.Option(help="Named candidate of the space.", metavar="NAME")],
    seeds: Seeds = 1,
    name: Annotated[
        str | None, typer.Option(help="The result is stored as a benchmark with this name. Default: SPACE-CANDIDATE.")
    ] = None,
    sets: Sets = None,
    dry_run: DryRun = False,
) -> None:
    """Train one named candidate of a space and its CNN twin, without a study.

    Example: snnsearch train smoke --candidate baseline
    """
    from search.benchmark import finalists
    from search.space.loading.loader import load_space
    from search.space.shipped import find_file

    loaded = load_space(find_file(space), device=options.device)
    found = finalists.named(loaded, candidate)
    first = loaded.study.seed
    text = finalists.benchmark_text(
        name or as_folder_name(f"{loaded.study.name}-{candidate}"), [found], loaded, range(first, first + seeds),
        base=loaded.base,
    )  # fmt: skip
    _run(_load_benchmark(text, name, sets, options), context, options, dry_run=dry_run)


def export(
    study: RunName,
    trial: TrialNumber,
    kind: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="pytorch: the weights and everything needed to build the network. onnx, nir: a graph with BatchNorm "
            "folded into the convolutions. code, snntorch, spikingjelly: a folder with stand-alone Python code for "
            "plain PyTorch or that library, and its weights.",
        ),
    ] = "pytorch",
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File or folder to write. Default: NAME-TRIAL with the format's suffix, in the current folder.",
            metavar="PATH",
            callback=expand_home,
        ),
    ] = None,
    timesteps: Annotated[
        int | None,
        typer.Option(
            help="Number of time steps. Default: as trained. For another number, BatchNorm is recalibrated and the "
            "figures are measured again.",
            metavar="T",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    data: DataRoot = None,
) -> None:
    """Write a trained network to a file for other programs, or as code.

    The file or the code is checked against the network on real images.

    Example: snnsearch export smoke 3 --format onnx
    """
    from search.benchmark import evaluate as reevaluation
    from search.benchmark import trained

    found = trained.trained(study, [trial], runs, storage)
    path = to or Path(f"{study}-{trial}{trained.suffix(kind) or f'-{kind}'}")
    if timesteps is not None:
        found = reevaluation.with_timesteps(found, [timesteps])
    result = trained.export(found[0], kind, path, data, recalibrated=timesteps is not None)
    console.out.print(result, highlight=False, soft_wrap=True)


def evaluate(
    study: RunName,
    trials: Annotated[
        str | None,
        typer.Option(
            help="Numbers of the trials to measure: 3,17. Default: the front of a study, all of a benchmark.",
            metavar="N,N…",
        ),
    ] = None,
    timesteps: Annotated[
        str | None,
        typer.Option(
            help="Run the spiking networks for these numbers of time steps: 2,3,4. BatchNorm is recalibrated for each.",
            metavar="T,T…",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    device: EvaluationDevice = "auto",
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Measure trained networks again from their weights, and compare with the stored figures.

    The test images are included. Exits with 1 if a figure differs.

    Example: snnsearch evaluate smoke
    """
    from reports.storage.benchmarks import is_benchmark, read_benchmark
    from search.benchmark import evaluate as reevaluation
    from search.benchmark import trained

    found = trained.trained(study, parse_numbers(trials, "--trials", "3,17"), runs, storage)
    place = find_device(device)
    # figures are never truncated: a narrower terminal wraps their lines
    wide = console.Terminal(file=console.out.file, width=max(console.out.width, 160))
    if timesteps:
        asked = reevaluation.with_timesteps(found, parse_numbers(timesteps, "--timesteps", "2,3"))
        evaluated = reevaluation.evaluate(asked, data, place, recalibrated=True)
        if as_json:
            console.print_json(reevaluation.to_json(evaluated))
            return
        wide.print(reevaluation.figures(evaluated))
        wide.print(
            "\nStored weights; BatchNorm statistics estimated on training images with this number of time steps."
        )
        return
    evaluated = reevaluation.evaluate(found, data, place)
    benchmark = read_benchmark(runs / study) if is_benchmark(runs / study) else None
    if as_json:
        console.print_json(reevaluation.to_json(evaluated))
    else:
        wide.print(reevaluation.view(evaluated, benchmark))
    if not all(each.reproduced for each in evaluated):
        raise typer.Exit(1)


def _load_benchmark(source: Path | str, name: str | None, sets: list[str] | None, options: RunOptions) -> "Benchmark":
    from search.benchmark.loader import load_benchmark

    overrides = parse_overrides(sets) | ({"benchmark.name": name} if name else {})
    return load_benchmark(source, overrides=overrides, device=options.device)


def _run(
    benchmark: "Benchmark", context: typer.Context, options: RunOptions, *, dry_run: bool,
    study: "StudyRecord | None" = None,
) -> None:  # fmt: skip
    """Run a benchmark and print its figures. Exit with 1 if no network was trained to the end.

    ``study`` is the one that its networks are from.
    """
    from search.benchmark.run import preview, run_benchmark
    from search.cli import benchmark as show
    from search.cli.progress import TerminalObserver

    if dry_run:
        console.out.print(preview(benchmark, options, study), highlight=False, soft_wrap=True)
        return
    command = next_command(context, options)
    record = run_benchmark(benchmark, options, TerminalObserver(console.out), command, study)
    console.out.print(show.ending(record, options.runs / record.header.name, command), crop=False)
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)
