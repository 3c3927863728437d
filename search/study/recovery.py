"""Rebuild a study whose SQLite file was damaged by a torn write or a bad disk. The damaged file is kept.

A trial's folder holds everything that is needed: ``result.json`` if it ended, ``starts.json`` if it had started. Only
proposals that had not started are lost; the messages say how many.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from reports.document.commands import command
from reports.document.wording import count
from reports.records.study import StudyHeader
from reports.storage.studies import sqlite_url
from search.errors import InputError
from search.space.loading.loader import load_space
from search.storage.trials import StoredTrial
from search.study import create
from search.trial.folder import RunFolder


def repair(folder: Path, say: Callable[[str], None]) -> None:
    """Rebuild the database in ``folder`` if it is damaged, and pass each step to ``say``.

    The damaged file is kept under another name. Raises InputError if the header, which a rebuild needs, is missing or
    the file cannot be read.
    """
    run = RunFolder(folder)
    path = run.database
    damage = _damage(path)
    if damage is None:
        return
    header = _header(run, damage)
    aside = _set_aside(path)
    say(f"{path} is damaged ({damage}); kept as {aside.name}")
    stored = dict(_stored_trials(run))
    create.rebuild_study(header, load_space(header.space_yaml), folder, sqlite_url(path), stored)
    finished = sum(each.record is not None for each in stored.values())
    say(f"rebuilt from the files of the trials: {finished} finished, {len(stored) - finished} to be continued")
    if lost := max(stored, default=-1) + 1 - len(stored):
        say(f"{count(lost, 'proposal')} that had not been trained {'is' if lost == 1 else 'are'} lost")


def _damage(path: Path) -> str | None:
    """Return what is wrong with an SQLite file; None if it is intact. Raises InputError if it cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as file:
            (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            empty = not file.execute("SELECT name FROM sqlite_master WHERE name = 'studies'").fetchall()
    except sqlite3.OperationalError as error:  # locked or unreadable: the file itself may be intact
        raise InputError(
            f"cannot read {path}: {error}. End the process that uses it, then: {command('resume', path.parent.name)}"
        ) from error
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return str(found).splitlines()[-1]
    return "it holds no study" if empty else None


def _header(run: RunFolder, damage: str) -> StudyHeader:
    try:
        return run.read_header()
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{run.database} is damaged ({damage}), and {run.header}, which is needed to rebuild it, cannot be read. "
            f"The trained networks are in {run.trials}. Restore a copy of either file, or launch a new study: "
            f"{command('launch', run.space, '--name', 'NAME')}"
        ) from error


def _set_aside(path: Path) -> Path:
    aside = next(
        each for n in itertools.count(1) if not (each := path.with_name(f"{path.name}.damaged-{n}")).exists()
    )  # fmt: skip
    for suffix in ("-wal", "-shm", "-journal"):  # they belong to the damaged file: a new one must not read them
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return path.rename(aside)


def _stored_trials(run: RunFolder) -> Iterator[tuple[int, StoredTrial]]:
    for number, trial in run.trial_folders():
        record, below = trial.read_result(), trial.finished_below()
        started = trial.at(len(below) + 1).read_attempts() or trial.read_attempts()
        either = record or next(iter(below), None) or started
        if either is not None:
            yield number, StoredTrial(either.name, either.params, record, below, started is not None)
