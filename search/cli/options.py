"""The options that several commands share: their types, names, environment variables and help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from search.errors import InputError


def _in_runs(name: str | None) -> str | None:
    """The name of a folder in the runs folder, and no path that leads elsewhere."""
    if name is None or (Path(name).name == name not in ("", "..") and name.isprintable() and len(name.encode()) <= 255):
        return name
    raise InputError(
        f"given {name[:80]!r}, which is no name; write that of a folder in the runs folder, such as smoke, and name "
        "another runs folder by --runs DIR"
    )


SpaceFile = Annotated[Path, typer.Argument(help="A space file, as spaces/squeezenet_prune.yaml.", metavar="SPACE.yaml")]
BenchmarkFile = Annotated[Path, typer.Argument(help="A benchmark file, as spaces/benchmark.yaml.", metavar="FILE.yaml")]
StudyName = Annotated[
    str, typer.Argument(help="Name of a study in the runs folder.", metavar="STUDY", callback=_in_runs)
]
RunName = Annotated[
    str, typer.Argument(help="Name of a study or benchmark in the runs folder.", metavar="NAME", callback=_in_runs)
]
AnyName = Annotated[
    str | None,
    typer.Argument(help="Name of a study or benchmark; all if left out.", metavar="[NAME]", callback=_in_runs),
]
Runs = Annotated[Path, typer.Option("--runs", envvar="SNNSEARCH_RUNS", help="Folder of all studies.", metavar="DIR")]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="SNNSEARCH_STORAGE",
        help="Database of the study, if not SQLite in its folder: postgresql+psycopg://…",
        metavar="URL",
    ),
]
Trials = Annotated[int | None, typer.Option(min=1, help="Trials to train; on resume, trials more.", metavar="N")]
Time = Annotated[str | None, typer.Option("--time", help="Time to use: 90s, 20m, 1h30m.", metavar="SPAN")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Trials at once. Default: one a core, up to 8; one on a GPU.", metavar="N"),
]
ExecutorName = Annotated[
    Literal["ray", "inline"],
    typer.Option("--executor", help="ray: parallel workers. inline: one after the other, in this process."),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of a Ray cluster that runs; it shares the runs folder, or has --exchange.", metavar="ADDR"
    ),
]
Exchange = Annotated[
    str | None,
    typer.Option(
        help="Where the cluster's machines share no folder: a URL that files of trials go through, s3://bucket/snn, "
        "sftp://user@host/snn or any other of fsspec's.",
        metavar="URL",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train; chooses the space's profile too.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SNNSEARCH_DATA",
        help="Folder of the data sets. Default: the user's cache folder.",
        metavar="DIR",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a leaf of the space: --set train.epochs=5. May be repeated.", metavar="PATH=VALUE"
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each network.", metavar="N")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
