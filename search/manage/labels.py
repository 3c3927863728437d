"""Tags and notes of a study: changed under a lock of their own, so that two commands at once lose nothing."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from reports.records.study import LabelsRecord, NoteRecord
from reports.storage.labels import LABELS, read_labels, write_labels
from reports.storage.names import ALLOWED, is_folder_name
from search.errors import InputError
from search.manage.place import StudyPlace

MAX_NOTE_CHARACTERS = 4000
TIMEOUT_S = 10.0
CHANGE = re.compile(r"([+-])(.+)")


def change_tags(place: StudyPlace, changes: Sequence[str]) -> LabelsRecord:
    """Add the tags ``+word`` and remove the tags ``-word``, and return what the study has then.

    Raises InputError if a change is written in another way, or if a tag to remove is not there.
    """
    added, removed = _parsed(changes)
    with _changing(place) as folder:
        labels = read_labels(folder)
        if missing := removed - set(labels.tags):
            has = ", ".join(labels.tags) or "none"
            raise InputError(f"{place.name!r} has no tag {', '.join(sorted(missing))}; its tags: {has}")
        labels = labels.model_copy(update={"tags": tuple(sorted({*labels.tags, *added} - removed))})
        write_labels(folder, labels)
    return labels


def add_note(place: StudyPlace, text: str) -> LabelsRecord:
    """Add a note and return what the study has then. Raises InputError if it is empty or too long."""
    if not text.strip() or len(text) > MAX_NOTE_CHARACTERS:
        raise InputError(f"a note has 1 to {MAX_NOTE_CHARACTERS:,} characters; given are {len(text.strip()):,}")
    with _changing(place) as folder:
        labels = read_labels(folder)
        note = NoteRecord(text=text.strip(), written_at=time.time())
        labels = labels.model_copy(update={"notes": (*labels.notes, note)})
        write_labels(folder, labels)
    return labels


def delete_note(place: StudyPlace, number: int) -> LabelsRecord:
    """Delete the note ``number``, from 1, and return what the study has then. Raises InputError if there is none."""
    with _changing(place) as folder:
        labels = read_labels(folder)
        if not 1 <= number <= len(labels.notes):
            raise InputError(f"{place.name!r} has no note {number}; it has {len(labels.notes)}, numbered from 1")
        kept = tuple(note for at, note in enumerate(labels.notes, 1) if at != number)
        labels = labels.model_copy(update={"notes": kept})
        write_labels(folder, labels)
    return labels


def _parsed(changes: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the tags to add and those to remove. Raises InputError."""
    found: dict[str, set[str]] = {"+": set(), "-": set()}
    for change in changes:
        parts = CHANGE.fullmatch(change)
        if parts is None:
            raise InputError(f"given {change!r}: write +TAG to add a tag, or -TAG to remove one")
        sign, tag = parts.groups()
        if not is_folder_name(tag):
            raise InputError(f"given {change!r}: a tag has {ALLOWED}")
        found[sign].add(tag)
    if both := found["+"] & found["-"]:
        raise InputError(f"given +{min(both)} and -{min(both)}: write one of them")
    return found["+"], found["-"]


@contextmanager
def _changing(place: StudyPlace) -> Iterator[Path]:
    """Let one process at a time change the labels, and return the folder. Raises InputError."""
    folder = place.folder.path
    place.check_exists()
    try:
        with FileLock(folder / f".{LABELS}.lock", timeout=TIMEOUT_S, fallback_to_soft=False):
            yield folder
    except Timeout:
        raise InputError(
            f"another process has been changing {folder / LABELS} for {TIMEOUT_S:.0f} s; wait for it"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {folder / LABELS}: {error.strerror}. Make its folder writable") from error
