"""The commands about data sets: ``data list``, ``data show`` and ``data fetch``."""

from dataclasses import asdict
from typing import Annotated

import typer

from search.cli import console
from search.cli.options import DataRoot, Json

app = typer.Typer(
    help="List the data sets, count their images and download those that can be downloaded.", no_args_is_help=True
)


@app.command("fetch")
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the data set (snnsearch data list); cifar10, cifar100 and fashion-mnist can be downloaded.",
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
    """List all data sets, and which of them are on this machine."""
    from search.cli import tables
    from snnkit.data import DATASETS, dataset_status

    found = [dataset_status(name, data) for name in DATASETS]
    if as_json:
        console.print_json([asdict(each) for each in found])
    else:
        console.out.print(tables.data_table(found))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of a data set that is on this machine.", metavar="NAME")],
    data: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Count the images of each class of a data set.

    Example: snnsearch data show cifar10
    """
    from search.cli import tables
    from snnkit.data import DataError, count_classes, dataset_status, load_dataset

    status = dataset_status(name, data)
    if not status.available:
        raise DataError(f"{name} is {status.detail}")
    found = count_classes(load_dataset(name, data))
    if as_json:
        console.print_json([asdict(each) for each in found])
    else:
        console.out.print(tables.class_table(found))
