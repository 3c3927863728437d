"""The command that compares studies on one page."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from search.cli import console
from search.cli.options import Json, Runs, Storage, expand_home, folder_names
from search.cli.study import read_study


def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            help="Names of two to six studies in the runs folder.", metavar="A B ...", callback=folder_names
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Folder to write. Default: A-vs-B in the runs folder.", metavar="DIR", callback=expand_home
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Compare studies on one page: fronts, dominance, hypervolume against compute, and settings that differ.

    Writes comparison.html, comparison.md and comparison.json, and prints their paths.

    Example: snnsearch compare smoke smoke-longer --open
    """
    from reports.comparison.comparison import compare as compared
    from reports.comparison.warnings import warnings
    from reports.comparison.write import write_comparison
    from reports.storage.names import as_folder_name
    from search.benchmark.alternatives import complete_study
    from search.manage.comparing import entry_of

    comparison = compared([entry_of(complete_study(read_study(name, runs, storage))) for name in studies])
    paths = write_comparison(comparison, to or runs / as_folder_name("-vs-".join(studies)))
    if as_json:
        console.print_json([str(path) for path in paths])
    else:
        for warning in warnings(comparison):
            console.err.print(f"warning   {warning}", highlight=False)
        for path in paths:
            console.out.print(str(path), highlight=False, soft_wrap=True)
    if show:
        webbrowser.open(paths[0].resolve().as_uri())
