"""Delete a study: its rows, its folder and its finals.

The rows are deleted first, then each folder is renamed into ``.deleted``, the study last, and then removed. A second
call after a crash removes the rest.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from reports.document.wording import listing
from reports.storage.studies import list_studies
from search.errors import InputError
from search.manage.arrival import remove
from search.manage.place import StudyPlace, size_of
from search.runner import files
from search.storage.rows import delete_rows, has_study, read_rows

DELETED = ".deleted"


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be."""

    folders: tuple[Path, ...]  # of the study and of its finals
    size: int  # bytes of their files
    trials: int  # rows in the database


def survey(place: StudyPlace) -> Removed:
    """Return what `delete_study` would remove. Raises InputError if there is no such study."""
    files.check_no_benchmark(place.folder, f"A benchmark is a folder: remove {place.folder.path}")
    folders = [folder for folder in (place.folder.path, *place.finals()) if folder.is_dir()]
    trials = len(read_rows(place.url, place.stored_name).trials) if place.has_rows else 0
    is_study = place.folder.header.exists() or place.folder.space.exists() or place.has_rows
    left = _trash(place)
    if not is_study and not left.exists():
        others = listing([path.name for path in list_studies(place.runs)])
        raise InputError(f"no study {place.name!r} in {place.runs}. Studies there: {others}")
    if not is_study:
        return Removed((left,), size_of(left), 0)
    return Removed(tuple(folders), sum(map(size_of, folders)) + size_of(left), trials)


def delete_study(place: StudyPlace) -> Removed:
    """Delete the study at ``place`` with its finals, and return what was removed.

    Raises InputError if a driver runs, or if there is no such study.
    """
    found = survey(place)
    with place.locked():
        remove_study(place)
    return found


def remove_study(place: StudyPlace, *, rows: bool = True) -> None:
    """Delete the study at ``place``, whose lock is held; without ``rows``, its folders only."""
    trash = _trash(place)
    if rows and place.storage is not None and has_study(place.url, place.stored_name):
        delete_rows(place.url, place.stored_name)
    for folder in (*reversed(place.finals()), place.folder.path):
        if folder.is_dir():
            trash.mkdir(parents=True, exist_ok=True)
            free = (trash / f"{folder.name}-{n}" for n in itertools.count())
            folder.rename(next(path for path in free if not path.exists()))
    if trash.exists():
        remove(trash)


def _trash(place: StudyPlace) -> Path:
    return place.runs / DELETED / place.name
