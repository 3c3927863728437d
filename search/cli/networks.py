"""The commands that train and hand over single networks: benchmarks, finalists, files for other programs."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli import console as common
from search.cli.options import (
    Address,
    BenchmarkFile,
    DataRoot,
    Device,
    Exchange,
    ExecutorName,
    RunName,
    Runs,
    Seeds,
    Sets,
    SpaceFile,
    Storage,
    StudyName,
    Time,
    Workers,
)
from search.cli.terminal import Terminal
from search.errors import InputError

if TYPE_CHECKING:  # each command imports what it needs, when it runs
    from collections.abc import Callable

    from search.benchmark.benchmark import Benchmark
    from search.runner.options import RunOptions


def bench(
    file: BenchmarkFile,
    name: Annotated[str | None, typer.Option(help="Name of the benchmark, if not the file's.")] = None,
    runs: Runs = Path("runs"),
    time: Time = None,
    workers: Workers = None,
    executor: ExecutorName = "ray",
    address: Address = None,
    exchange: Exchange = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train networks on data sets, as SNN and as CNN twin, with several seeds; go on with it where it was left."""
    options = common.options(
        runs, None, None, time, workers, executor, address, exchange, common.device(device, address), data
    )
    _bench(file, ["bench", str(file)], name, sets, options, dry_run=dry_run)


def retrain(
    study: StudyName,
    trials: Annotated[
        str | None, typer.Option(help="Numbers of trials: 3,17. Default: the best of the front.", metavar="N,N…")
    ] = None,
    best: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many of the front: of its more accurate half those that have most hypervolume together.",
            metavar="N",
        ),
    ] = 5,
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
    exchange: Exchange = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train the finalists of a study in full, on several seeds, with their CNN twins; go on with it where it was
    left."""
    from search.benchmark import finalists
    from search.runner.resources import plan_workers
    from search.space.space import load_space

    record = common.read(study, runs, storage)
    space = load_space(record.header.space_yaml)
    chosen = finalists.of_study(record, space, _numbers(trials), candidates or [], best=best)
    first = record.header.seed + 1  # none that the search had: a front is of those that were lucky, too
    base, wanted = finalists.longer(space.base, space), range(first, first + seeds)
    text = finalists.benchmark_text(name or f"{study}-finals", chosen, space, wanted, base=base)
    words = ["retrain", study, *(("--trials", trials) if trials else ())]
    words += [word for each in candidates or [] for word in ("--candidate", each)]
    words += ["--seeds", str(seeds), *(() if trials or candidates else ("--best", str(best)))]
    options = common.options(
        runs, None, None, time, workers, executor, address, exchange, common.device(device, address), data
    )
    of_front = None if trials or candidates else best

    def foreword(loaded: "Benchmark") -> str:
        return finalists.foreword(record, loaded, plan_workers(options, runs, loaded.section.resources), of_front)

    _bench(text, words, name, sets, options, dry_run=dry_run, foreword=foreword)


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
    exchange: Exchange = None,
    device: Device = "auto",
    data: DataRoot = None,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and end.")] = False,
) -> None:
    """Train one network that a space names, with the space's own recipe, and its CNN twin; without a study."""
    from search.benchmark import finalists
    from search.space.sections import as_folder_name
    from search.space.space import load_space

    chosen = common.device(device, address)
    loaded = load_space(space, device=chosen)
    found = finalists.named(loaded, candidate)
    own = name or as_folder_name(f"{loaded.study.name}-{candidate}")
    first = loaded.study.seed
    text = finalists.benchmark_text(own, [found], loaded, range(first, first + seeds), base=loaded.base)
    words = ["train", str(space), "--candidate", candidate, "--seeds", str(seeds)]
    options = common.options(runs, None, None, time, workers, executor, address, exchange, chosen, data)
    _bench(text, words, name, sets, options, dry_run=dry_run)


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
    timesteps: Annotated[
        int | None,
        typer.Option(help="For so many steps, BatchNorm calibrated and figures measured anew.", metavar="T"),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    data: DataRoot = None,
) -> None:
    """Write a trained network to a file for other programs, checked against it on real images."""
    from search.benchmark import evaluate as reevaluation
    from search.benchmark import trained

    found = trained.trained(study, [trial], runs, storage)
    path = to or Path(f"{study}-{trial}{trained.suffix(kind)}")
    if timesteps is not None:
        found = reevaluation.in_steps(found, [timesteps])
    told = trained.export(found[0], kind, path, data, anew=timesteps is not None)
    common.out.print(told, highlight=False, soft_wrap=True)


def evaluate(
    study: RunName,
    trials: Annotated[
        str | None,
        typer.Option(help="Numbers of trials: 3,17. Default: a study's front, all of a benchmark.", metavar="N,N…"),
    ] = None,
    timesteps: Annotated[
        str | None,
        typer.Option(
            help="Run the spiking networks for so many steps: 2,3,4. BatchNorm is calibrated anew for each.",
            metavar="T,T…",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    device: Device = "auto",
    data: DataRoot = None,
) -> None:
    """Measure trained networks anew from their weights, test images included, and compare with what is on record."""
    from reports.storage.benchmarks import is_benchmark, read_benchmark
    from search.benchmark import evaluate as reevaluation
    from search.benchmark import trained

    found = trained.trained(study, _numbers(trials), runs, storage)
    place = common.device(device)
    # figures are never cut off: a narrower terminal breaks their lines
    wide = Terminal(file=common.out.file, width=max(common.out.width, 140))
    if timesteps:
        asked = reevaluation.in_steps(found, _numbers(timesteps, "--timesteps", "numbers of steps", "2,3"))
        wide.print(reevaluation.figures(reevaluation.evaluate(asked, data, place, anew=True)))
        wide.print("\nThe weights on record; BatchNorm's statistics are those of training images in so many steps.")
        return
    evaluated = reevaluation.evaluate(found, data, place)
    benchmark = read_benchmark(runs / study) if is_benchmark(runs / study) else None
    wide.print(reevaluation.view(evaluated, benchmark))
    if not all(each.reproduced for each in evaluated):
        raise typer.Exit(1)


def _bench(
    source: Path | str, words: list[str], name: str | None, sets: list[str] | None, options: "RunOptions",
    *, dry_run: bool, foreword: "Callable[[Benchmark], str]" = lambda benchmark: "",
) -> None:  # fmt: skip
    """Run a benchmark, or go on with it, after its ``foreword``. ``words`` are the command that was typed, as far as
    they decide about the trainings: without folders and budgets."""
    from search.benchmark import run as starting
    from search.benchmark.loader import load_benchmark
    from search.cli import benchmark as show

    overrides = common.overrides(sets) | ({"benchmark.name": name} if name else {})
    benchmark = load_benchmark(source, overrides=overrides, device=options.device)
    if said := foreword(benchmark):
        common.out.print(said, highlight=False, soft_wrap=True)
    if dry_run:
        common.out.print(starting.preview(benchmark), highlight=False)
        return
    words = ["snnsearch", *words, *(("--name", name) if name else ()), "--device", options.device]
    command = shlex.join([*words, *(word for item in sets or [] for word in ("--set", item))])
    record = starting.start(benchmark, options, common.out, command)
    common.out.print(show.ending(record, options.runs / record.header.name, command))
    if not any(trial.status == "complete" for trial in record.trials):
        raise typer.Exit(1)


def _numbers(
    given: str | None, option: str = "--trials", what: str = "numbers of trials", example: str = "3,17"
) -> list[int]:
    try:
        return [int(word) for word in given.split(",")] if given else []
    except ValueError:
        raise InputError(f"{option} {given!r}: write {what} with commas: {option} {example}") from None
