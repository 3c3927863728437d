"""The arguments and options that commands share: names, types, environment variables and help, each declared once."""

import functools
import inspect
import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reports.document.commands import repeat_option
from search.errors import InputError, listed, nearest
from search.registries import EXECUTORS
from search.runner.options import RunOptions
from search.space.limits import seconds_in

AskedDevice = Literal["auto", "cpu", "cuda"]
FoundDevice = Literal["cpu", "cuda"]
ExportFormat = Literal["pytorch", "onnx", "nir", "code", "snntorch", "spikingjelly"]
Command = Callable[..., None]

BUDGET, PLACE = "Budget", "Where to run"  # headings of --help
NOT_REPEATED = {"time", "exchange", "dry_run"}


def expand_home(path: Path | None) -> Path | None:
    """Return ``path`` with ``~`` replaced by the home folder, as after ``--runs=`` or in a variable no shell does it.

    Raises InputError if the home folder is unknown.
    """
    try:
        return None if path is None else path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: the home folder behind ~ is unknown; write the whole path") from error


def repeat_if_typed(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Return the value of an option, and let printed commands repeat it if it was typed on the command line.

    A variable of the environment is still set for the next command. Raises InputError as `expand_home` does.
    """
    value = expand_home(value) if isinstance(value, Path) else value
    if value is not None and _is_typed(context, parameter.name or ""):
        repeat_option(max(parameter.opts, key=len), value)
    return value


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def folder_name(name: str | None) -> str | None:
    """Return ``name`` if it names a folder in the runs folder. Raises InputError if it is a path to elsewhere."""
    if name is None or (Path(name).name == name not in ("", "..") and name.isprintable() and len(name.encode()) <= 255):
        return name
    raise InputError(
        f"given {name[:80]!r}, which is not a name. Write the name of a folder in the runs folder, for example smoke; "
        "to use another runs folder, add --runs DIR"
    )


def folder_names(names: list[str]) -> list[str]:
    """Return ``names`` if all are names of folders in the runs folder. Raises InputError."""
    for name in names:
        folder_name(name)
    return names


def _executor_name(name: str) -> str:
    """Return ``name`` if it is an executor. Raises InputError."""
    if name not in EXECUTORS:
        raise InputError(f"--executor {name!r}: allowed are {listed(EXECUTORS)}{nearest(name, EXECUTORS)}")
    return name


SpaceFile = Annotated[
    Path,
    typer.Argument(
        help="Space file, or the name of a shipped one (snnsearch spaces).", metavar="SPACE.yaml", callback=expand_home
    ),
]
BenchmarkFile = Annotated[
    Path,
    typer.Argument(
        help="Benchmark file, or the name of a shipped one (snnsearch spaces).",
        metavar="FILE.yaml",
        callback=expand_home,
    ),
]
StudyName = Annotated[
    str, typer.Argument(help="Name of a study in the runs folder.", metavar="STUDY", callback=folder_name)
]
NewName = Annotated[str, typer.Argument(help="New name.", metavar="NEW", callback=folder_name)]
RunName = Annotated[
    str, typer.Argument(help="Name of a study or benchmark in the runs folder.", metavar="NAME", callback=folder_name)
]
OptionalRunName = Annotated[
    str | None,
    typer.Argument(help="Name of a study or benchmark. Default: all.", metavar="[NAME]", callback=folder_name),
]
TrialNumber = Annotated[int, typer.Argument(help="Number of the trial.", metavar="TRIAL")]

Runs = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar="SNNSEARCH_RUNS",
        help="Folder that holds all studies and benchmarks.",
        metavar="DIR",
        callback=repeat_if_typed,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="SNNSEARCH_STORAGE",
        help="Study database: postgresql+psycopg://… Default: an SQLite file in the study's folder.",
        metavar="URL",
        callback=repeat_if_typed,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of trials to train: in all with launch, further ones with resume.",
        metavar="N",
        rich_help_panel=BUDGET,
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="Time limit of one run: 90s, 20m, 1h30m. launch stores it with the study.",
        metavar="SPAN",
        rich_help_panel=BUDGET,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of trials that run at once. Default: as many as fit: at most 8 on CPU cores, one per GPU, no "
        "limit on a cluster. study.resources (benchmark.resources) can change this.",
        metavar="N",
        rich_help_panel=PLACE,
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        callback=_executor_name,
        metavar=f"<{'|'.join(EXECUTORS)}>",
        autocompletion=lambda: list(EXECUTORS),
        help="ray: trials run in parallel worker processes. inline: one after the other in this process.",
        rich_help_panel=PLACE,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of a running Ray cluster. Its nodes must share the runs folder; if they do not, start the run "
        "with --exchange.",
        metavar="ADDR",
        rich_help_panel=PLACE,
    ),
]
Exchange = Annotated[
    str | None,
    typer.Option(
        help="URL through which the nodes of a cluster exchange files if they share no folder: s3://bucket/snn, "
        "sftp://user@host/snn or any other URL that fsspec supports.",
        metavar="URL",
        rich_help_panel=PLACE,
    ),
]
Device = Annotated[
    AskedDevice,
    typer.Option(
        help="Device to train on; it also selects the profile of the file. auto: cuda if torch finds a GPU.",
        rich_help_panel=PLACE,
    ),
]
EvaluationDevice = Annotated[
    AskedDevice,
    typer.Option(help="Device to evaluate on. auto: cuda if torch finds a GPU.", rich_help_panel=PLACE),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SNNSEARCH_DATA",
        help="Folder of the data sets. Default: the user's cache folder.",
        metavar="DIR",
        callback=repeat_if_typed,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a value of the file, or of the benchmark that the command makes: --set train.epochs=5. May be "
        "repeated.",
        metavar="PATH=VALUE",
    ),
]
Seeds = Annotated[
    int, typer.Option(min=1, help="Number of times to train each network, with different seeds.", metavar="N")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what the command would do, and exit.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def with_run_options(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Give a command the options of a run, except those in ``without``.

    They take the place of the command's parameter of type `RunOptions`, which receives their values.
    """

    def decorate(command: Command) -> Command:
        parameters = inspect.signature(command, eval_str=True).parameters.values()
        own = [each for each in parameters if each.annotation is not RunOptions]
        (options,) = (each.name for each in parameters if each.annotation is RunOptions)
        declared = inspect.signature(_run_options, eval_str=True).parameters.values()
        shared = [each for each in declared if each.name not in without]

        @functools.wraps(command)
        def run(**given: object) -> None:
            values = {each.name: given.pop(each.name) for each in shared}
            command(**given, **{options: _run_options(**values)})  # type: ignore[arg-type]  # typer checks them

        every = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared)]
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # read by typer
        run.__annotations__ = {each.name: each.annotation for each in every}
        return run

    return decorate


def _run_options(
    *, runs: Runs = Path("runs"), storage: Storage = None, trials: Trials = None, time: Time = None,
    workers: Workers = None, executor: ExecutorName = "ray", address: Address = None, exchange: Exchange = None,
    device: Device = "auto", data: DataRoot = None,
) -> RunOptions:  # fmt: skip
    """Return the values of the command line as `RunOptions`. Raises InputError."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        seconds = None if time is None else seconds_in(time)
    except ValueError as error:
        raise InputError(f"--time: {error}") from error
    return RunOptions(
        runs=runs, storage=storage, trials=trials, seconds=seconds, workers=workers, executor=executor,
        address=address, exchange=exchange, device=find_device(device, address), data_root=data,
    )  # fmt: skip


def find_device(asked: AskedDevice, address: str | None = None) -> FoundDevice:
    """Return the device to train on. Raises InputError if a GPU is asked for and this machine has none."""
    from search.trial import environment

    if asked == "cpu" or (asked == "cuda" and address is not None):  # a cluster's GPUs may be in other machines
        return asked
    found = environment.detect_device()
    if asked == "cuda" and found != "cuda":
        raise InputError("--device cuda: torch finds no GPU here. Use --device cpu, or install a CUDA build of torch")
    return found


def parse_overrides(sets: list[str] | None) -> dict[str, str]:
    """Return the values of ``--set PATH=VALUE`` by path. Raises InputError."""
    found = {}
    for item in sets or []:
        path, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: write --set PATH=VALUE, for example --set train.epochs=5")
        found[path.strip()] = value
    return found


def parse_numbers(text: str | None, option: str, example: str) -> list[int]:
    """Return the numbers of an option like ``--trials 3,17``. Raises InputError."""
    try:
        return [int(word) for word in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"{option} {text!r}: write numbers separated by commas: {option} {example}") from None


def next_command(context: typer.Context, options: RunOptions) -> str:
    """Return the command that continues this one: as typed, with the device that was found."""
    words = context.command_path.split()
    for parameter in context.command.params:
        name = parameter.name or ""
        value = options.device if name == "device" else context.params.get(name)
        argument = parameter.param_type_name == "argument"
        if name in NOT_REPEATED or not value or not (argument or name == "device" or _is_typed(context, name)):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [str(each)] if argument else [parameter.opts[0], str(each)]
    return shlex.join(words)
