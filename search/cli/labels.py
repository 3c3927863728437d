"""The commands that say something about a study: tag and note."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from reports.document.wording import moment
from reports.records.study import LabelsRecord
from search.cli import console
from search.cli.options import Json, Runs, Storage, StudyName

_TAG = re.compile(r"\+.*|-[^-].+")  # -h is an option


class TagCommand(TyperCommand):
    """A command whose arguments may begin with a minus sign, as in ``-bad``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        tags = [arg for arg in args if _TAG.fullmatch(arg)]
        return super().parse_args(ctx, [*(arg for arg in args if arg not in tags), "--", *tags])


def tag(
    study: StudyName,
    changes: Annotated[
        list[str] | None, typer.Argument(help="Tags to add (+good) and to remove (-bad).", metavar="[+TAG -TAG ...]")
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Add tags to a study or remove them, and show the ones that it has.

    They appear in status, which also selects by them, and in the report.

    Example: snnsearch tag smoke +baseline -draft
    """
    from reports.storage.labels import read_labels
    from search.manage.labels import change_tags
    from search.manage.place import StudyPlace

    place = StudyPlace(runs, study, storage)
    if changes:
        labels = change_tags(place, changes)
    else:
        place.check_exists()
        labels = read_labels(place.folder.path)
    if as_json:
        console.print_json(list(labels.tags))
    else:
        console.out.print(Text(", ".join(labels.tags) or "no tags"), soft_wrap=True)


def note(
    study: StudyName,
    text: Annotated[str | None, typer.Argument(help="Text to add. Default: show the notes.", metavar="[TEXT]")] = None,
    delete: Annotated[
        int | None, typer.Option("--delete", min=1, help="Delete the note with this number.", metavar="N")
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Add a note to a study, and show the ones that it has.

    Notes appear in status STUDY and in the report.

    Example: snnsearch note smoke "wider stem, as in the paper"
    """
    from reports.storage.labels import read_labels
    from search.manage.labels import add_note, delete_note
    from search.manage.place import StudyPlace

    place = StudyPlace(runs, study, storage)
    place.check_exists()
    labels = read_labels(place.folder.path)
    if delete is not None:
        labels = delete_note(place, delete)
    if text is not None:
        labels = add_note(place, text)
    if as_json:
        console.print_json([note.model_dump(mode="json") for note in labels.notes])
    else:
        _print_notes(labels)


def _print_notes(labels: LabelsRecord) -> None:
    grid = Table.grid(padding=(0, 2))
    for number, each in enumerate(labels.notes, 1):
        grid.add_row(str(number), moment(each.written_at), Text(each.text))
    console.out.print(grid if labels.notes else "no notes")
