"""The commands about data sets: ``data list``, ``data show`` and ``data fetch``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import console
from search.cli.options import DataRoot, Json, parse_overrides
from search.errors import InputError

if TYPE_CHECKING:
    from snnkit.data import DataSource

app = typer.Typer(
    help="List the data sets, count their images, read your own files and download data sets.", no_args_is_help=True
)


@app.command("fetch")
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the data set (snnsearch data list).",
            metavar="NAME",
        ),
    ],
    data: DataRoot = None,
) -> None:
    """Download a data set, verify it and print its location, or say which files to put where.

    Damaged files are moved aside, and the data set is read or downloaded again. Nothing is deleted.

    Example: snnsearch data fetch cifar10
    """
    from snnkit.data import fetch_dataset

    with console.err.status(f"fetching {name} …"):
        where = fetch_dataset(name, data)
    console.out.print(where, highlight=False, soft_wrap=True)


@app.command("list")
def list_(data: DataRoot = None, as_json: Json = False) -> None:
    """List all data sets, and which of them are on this machine. Your own ones come last."""
    from search.cli import tables
    from snnkit.data import DATASETS, Status, dataset_status, list_described

    found = [dataset_status(name, data) for name in DATASETS]
    found += [Status(each.source.label, True, each.describe()) for each in list_described()]
    if as_json:
        console.print_json([asdict(each) for each in found])
    else:
        console.out.print(tables.data_table(found))


@app.command("show")
def show(
    name: Annotated[
        str | None, typer.Argument(help="Name of a data set that is on this machine.", metavar="[NAME]")
    ] = None,
    folder: Annotated[
        str | None, typer.Option(help="Folder of your own pictures or recordings, as data.folder.", metavar="DIR")
    ] = None,
    npz: Annotated[str | None, typer.Option(help="File of your own arrays, as data.npz.", metavar="FILE")] = None,
    torchvision: Annotated[
        str | None, typer.Option(help="Class of torchvision.datasets, as data.torchvision.", metavar="CLASS")
    ] = None,
    tonic: Annotated[str | None, typer.Option(help="Class of tonic.datasets, as data.tonic.", metavar="CLASS")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Another key of the data section that describes it: --set resolution=32. May be repeated.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Count the images of each class of a data set. Your own files are read, checked and kept as arrays.

    Example: snnsearch data show --folder pictures --set resolution=32
    """
    from search.cli import tables
    from snnkit.data import DataError, Described, count_classes, dataset_status, identify, load_dataset

    options = {"folder": folder, "npz": npz, "torchvision": torchvision, "tonic": tonic}
    given = {kind: place for kind, place in options.items() if place is not None}
    if len(given) + (name is not None) != 1:
        raise InputError("write either the NAME of a data set or one of --folder, --npz, --torchvision and --tonic")
    described_set: Described | None = None
    if name is not None:
        status = dataset_status(name, data)
        if not status.available:
            raise DataError(f"{name} is {status.detail}")
        loaded = load_dataset(name, data)
    else:
        with console.err.status(f"reading {' '.join(given.values())} …"):
            source = identify(_described(given, sets))
            loaded, described_set = load_dataset(source), Described.of(source)
    found = count_classes(loaded)
    if as_json:
        console.print_json([asdict(each) for each in found])
        return
    console.out.print(tables.class_table(found))
    if described_set is not None:
        console.out.print(tables.source_text(described_set, loaded.notes), highlight=False, soft_wrap=True)


def _described(given: dict[str, str], sets: list[str] | None) -> "DataSource":
    """Return the source that the options describe. Raises InputError."""
    from pydantic import ValidationError

    from search.errors import format_validation
    from search.space.document import SET, parse_value
    from search.space.loading.described_data import LEAVES, source_in

    leaves = {path.removeprefix("data."): value for path, value in parse_overrides(sets).items()}
    if unknown := [leaf for leaf in leaves if leaf not in LEAVES]:
        raise InputError(f"--set {unknown[0]}: allowed are {', '.join(LEAVES)}")
    try:
        return source_in({**{leaf: parse_value(text, SET) for leaf, text in leaves.items()}, **given}, Path.cwd())
    except ValidationError as error:
        raise InputError(f"--set {format_validation(error)}") from error
    except RuntimeError as error:
        raise InputError(f"{error}; write the whole path") from error
