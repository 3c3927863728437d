"""The commands that treat a study as a thing: copy, rename, move, archive, unarchive and delete."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from reports.document.commands import command
from reports.document.wording import byte_size, count, listing
from search.cli import console
from search.cli.options import NewName, Runs, Storage, StudyName, expand_home
from search.errors import InputError

if TYPE_CHECKING:  # each command imports what it needs when it runs
    from search.manage.transfer import Transfer

SQLITE = "sqlite"  # what a user types in place of a URL
ToStorage = Annotated[
    str | None,
    typer.Option(
        "--to-storage",
        help="Database to move the study to: postgresql+psycopg://… or sqlite, a file in its folder.",
        metavar="URL",
    ),
]


def copy(study: StudyName, new: NewName, runs: Runs = Path("runs"), storage: Storage = None) -> None:
    """Copy a study with its finals. The copy can be resumed on its own.

    Example: snnsearch copy smoke smoke-longer
    """
    from search.manage.place import StudyPlace
    from search.manage.transfer import copy_study

    source, target = StudyPlace(runs, study, storage), StudyPlace(runs, new, storage)
    done = copy_study(source, target, command("copy", study, new), _print)
    _tell(f"copied {study} to", done)


def rename(study: StudyName, new: NewName, runs: Runs = Path("runs"), storage: Storage = None) -> None:
    """Give a study and its finals another name.

    Example: snnsearch rename smoke first-try
    """
    from search.manage.place import StudyPlace
    from search.manage.transfer import rename_study

    done = rename_study(StudyPlace(runs, study, storage), new, command("rename", study, new))
    _tell(f"renamed {study} to", done)


def move(
    study: StudyName,
    to: Annotated[
        Path | None,
        typer.Argument(help="The runs folder to move it to. Default: it stays.", metavar="[DIR]", callback=expand_home),
    ] = None,
    to_storage: ToStorage = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Move a study with its finals to another runs folder, to another database, or both.

    Example: snnsearch move smoke /archive/runs
    """
    from search.manage.place import StudyPlace
    from search.manage.transfer import move_study
    from search.storage.url import check_url, shown_url

    wanted = storage if to_storage is None else None if to_storage == SQLITE else check_url(to_storage)
    words = [*([to] if to is not None else []), *(["--to-storage", shown_url(to_storage)] if to_storage else [])]
    target = StudyPlace(runs if to is None else to, study, wanted)
    done = move_study(StudyPlace(runs, study, storage), target, command("move", study, *words), _print)
    _tell(f"moved {study} to", done)


def archive(
    study: StudyName,
    file: Annotated[
        Path | None,
        typer.Argument(help="File to write. Default: STUDY.tar.gz here.", metavar="[FILE]", callback=expand_home),
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Also store weights and checkpoints, which are most of the bytes.")
    ] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Write a study with its finals to one file. The study stays.

    The file holds the database rows, the space, the records and the reports.

    Example: snnsearch archive smoke --weights
    """
    from search.manage.archive import SUFFIX, archive_study
    from search.manage.place import StudyPlace

    done = archive_study(StudyPlace(runs, study, storage), file or Path(f"{study}{SUFFIX}"), weights=weights)
    _print(f"{done.path}   {byte_size(done.size)}, {count(done.files, 'file')}")
    if done.left_out:
        _print(f"without {byte_size(done.left_out)} of weights and checkpoints; to store them too, add --weights")
    _print(f"restore   {command('unarchive', done.path)}")


def unarchive(
    file: Annotated[Path, typer.Argument(help="File that archive wrote.", metavar="FILE", callback=expand_home)],
    name: Annotated[str | None, typer.Option(help="Name of the restored study. Default: the archived one.")] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Restore a study from a file that archive wrote, also on another machine or database.

    Example: snnsearch unarchive smoke.tar.gz
    """
    from search.manage.archive import unarchive_study

    _tell(f"restored {file} to", unarchive_study(file, runs, name, storage))


def delete(
    study: StudyName,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without a question.")] = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
) -> None:
    """Delete a study: its trials, its weights, its finals and its database rows.

    Example: snnsearch delete smoke
    """
    from search.manage.delete import delete_study, survey
    from search.manage.place import StudyPlace

    place = StudyPlace(runs, study, storage)
    if not yes:
        found = survey(place)
        for folder in found.folders:
            _print(str(folder))
        _print(f"{count(found.trials, 'trial')}, {byte_size(found.size)}. This cannot be undone.")
        _confirm(study)
    done = delete_study(place)
    names = listing([str(folder) for folder in done.folders]) if done.folders else f"the database rows of {study}"
    _print(f"deleted {names}: {count(done.trials, 'trial')}, {byte_size(done.size)}")


def _confirm(study: str) -> None:
    """Ask for the name of the study. Raises InputError if another one is given, or nobody can answer."""
    if not sys.stdin.isatty():
        wanted = command("delete", study, "--yes")
        raise InputError(f"nothing was deleted: there is no terminal to ask. To delete without a question: {wanted}")
    if typer.prompt("Type the name of the study to delete it", default="", show_default=False) != study:
        raise InputError("nothing was deleted: that is another name")


def _tell(action: str, done: "Transfer") -> None:
    """Print where the study is now, and how to look at it there."""
    from search.storage.url import shown_url

    place = done.place
    where = f"{place.folder.path}" + (f" and {shown_url(place.storage)}" if place.storage else "")
    finals = f", with {listing(list(done.finals))}" if done.finals else ""
    _print(f"{action} {where}: {byte_size(done.size)}{finals}")


def _print(text: str) -> None:
    console.out.print(Text(text), soft_wrap=True)
