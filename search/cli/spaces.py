"""The commands about shipped spaces and benchmarks: ``spaces`` and ``spaces copy``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from search.cli import console
from search.cli.options import Json, expand_home

app = typer.Typer(help="List the spaces and benchmarks that come with snnsearch, or copy one to edit it.")


@app.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the spaces and benchmarks that come with snnsearch, or copy one to edit it.

    Other commands take these files by name: snnsearch launch smoke
    """
    if context.invoked_subcommand is not None:
        return
    from search.cli import tables
    from search.space.shipped import shipped_files

    found = list(shipped_files().values())
    if as_json:
        console.print_json([asdict(each) | {"path": str(each.path)} for each in found])
    else:
        console.out.print(tables.shipped_table(found))


@app.command("copy")
def copy(
    name: Annotated[str, typer.Argument(help="Name of a shipped space or benchmark.", metavar="NAME")],
    to: Annotated[Path, typer.Argument(help="File or folder to write.", metavar="[TO]", callback=expand_home)] = Path(),
) -> None:
    """Copy a shipped space or benchmark, to edit it. Existing files are not overwritten.

    Example: snnsearch spaces copy smoke mine.yaml
    """
    from search.space.shipped import copy_file

    console.out.print(str(copy_file(name, to)), highlight=False, soft_wrap=True)
