"""A study on its way to a place: its files are staged beside the other studies and then put in place.

    runs/.pending/NAME/change.json     what is under way; written when all that it needs is staged
    runs/.pending/NAME/rows.jsonl      the rows of the database
    runs/.pending/NAME/NAME/ ...       the folder of the study, and beside it one for each of its finals

A command that is killed before ``change.json`` is written has changed nothing. Afterwards each step is repeatable, and
the same command does the remaining ones. Nothing that exists is ever overwritten.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from search.errors import InputError
from search.manage.place import StudyPlace, name_benchmark, name_study
from search.runner import files
from search.storage.lock import StudyLock
from search.storage.retrying import connect
from search.storage.rows import StudyRows, has_study, write_rows
from search.trial.folder import RunFolder
from snnkit.base.config import Config

PENDING = ".pending"


class Change(Config):
    """The command that is under way, as a user types it."""

    command: str


@dataclass(frozen=True)
class Arrival:
    """A study that ``command`` brings to ``target``, whose lock is held.

    ``rows_stay`` says that the study is in the database of the target already, under the same name.
    """

    target: StudyPlace
    command: str
    lock: StudyLock
    rows_stay: bool = False

    @property
    def path(self) -> Path:
        return self.target.runs / PENDING / self.target.name

    @property
    def study(self) -> Path:
        """The staged folder of the study."""
        return self.path / self.target.name

    @property
    def rows(self) -> Path:
        return self.path / "rows.jsonl"

    @property
    def begun(self) -> str | None:
        """The command that has begun its change here; None if none has."""
        try:
            return Change.model_validate_json(self._file.read_bytes()).command
        except (OSError, ValidationError):
            return None

    @property
    def _file(self) -> Path:
        return self.path / "change.json"

    def begin(self) -> None:
        """Note that everything is staged, and that the change is to be finished from now on. Raises InputError."""
        files.write_file(self._file, Change(command=self.command).model_dump_json())

    def staged_rows(self) -> StudyRows:
        """Return the rows as they were when the study was staged. Raises InputError."""
        with open(self.rows, encoding="utf-8") as lines:
            return StudyRows.of_lines(lines)

    def put_in_place(self) -> None:
        """Store the staged rows and rename the staged folders to their places, the study last. Safe to repeat."""
        if not self.study.is_dir():
            return  # it was the last one
        if not self.rows_stay:
            staged = StudyPlace(self.path, self.target.name, self.target.storage)
            connect(staged.url, self.lock.connection)
            if not has_study(staged.url, self.target.name):
                write_rows(staged.url, self.target.name, self.staged_rows())
        name_study(RunFolder(self.study), self.target.name)
        others = sorted(path for path in self.path.iterdir() if path.is_dir() and path != self.study)
        for folder in (*reversed(others), self.study):  # numbered finals are found from the first one on
            if folder != self.study:
                name_benchmark(folder)
            rename(folder, self.target.runs / folder.name)


@contextmanager
def arrival(target: StudyPlace, command: str, *, rows_stay: bool = False) -> Iterator[Arrival]:
    """Open the way to ``target`` for the block, and remove its staging folder at the end.

    The block finds `Arrival.begun` set if an earlier call of ``command`` was cut short; otherwise the place is free.
    Raises InputError if the place is taken, or if another command that was cut short must be finished first.
    """
    folder = target.runs / PENDING / target.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {target.runs}: {error.strerror}. Choose another folder") from error
    with StudyLock(folder, target.name, "" if rows_stay else target.storage or "") as lock:
        found = Arrival(target, command, lock, rows_stay)
        try:
            if found.begun not in (None, command):
                raise InputError(f"an earlier command was cut short. Finish it first: {found.begun}")
            if found.begun is None:
                _clear(folder)
                target.check_free(rows=not rows_stay)
            yield found
        except BaseException:
            if found.begun is None:
                remove(folder)
            raise
        remove(folder)


def _clear(folder: Path) -> None:
    """Remove what an interrupted command has staged in ``folder``."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def remove(folder: Path) -> None:
    """Remove ``folder``, and the folder around it if that is empty then."""
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def rename(old: Path, new: Path) -> None:
    """Rename a folder. Raises InputError if ``new`` exists or the file system refuses."""
    if new.exists():
        raise InputError(f"{new} exists already. Move it away, and run the same command again")
    try:
        old.rename(new)
    except OSError as error:
        raise InputError(f"cannot rename {old} to {new}: {error.strerror}. Run the same command again") from error
