"""A study's SQLite file that was damaged, by a torn write or a bad disk, is kept aside and made anew.

A trial's folder tells all that is known of it: ``result.json`` where it is over, ``starts.json`` where it was begun.
What the database alone knew, proposals that were never trained, is lost, and said so by number.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from reports.document.wording import count
from reports.records.study import StudyHeader
from reports.storage.results import read_result
from reports.storage.studies import DATABASE, sqlite_url
from search.errors import InputError
from search.space.space import load_space
from search.study import create, study
from search.trial.job import read_starts

HEADER = "header.json"  # of the study, as it was launched


def repair(folder: Path, say: Callable[[str], None]) -> None:
    """Rebuild the database in ``folder`` if it is damaged, and pass each step to ``say``.

    The damaged file is kept under another name. Raises InputError if the header, which a rebuild needs, is missing or
    the file cannot be read.
    """
    path = folder / DATABASE
    damage = _damage(path)
    if damage is None:
        return
    header = _header(folder, damage)
    aside = _set_aside(path)
    say(f"{path} is damaged ({damage}); kept as {aside.name}")
    left = dict(_left(folder))
    create.rebuild_study(header, load_space(header.space_yaml), folder, sqlite_url(path), left)
    over = sum(each.record is not None for each in left.values())
    say(f"rebuilt from the files of the trials: {over} finished, {len(left) - over} to be continued")
    if lost := max(left, default=-1) + 1 - len(left):
        say(f"{count(lost, 'proposal')} that had not been trained {'is' if lost == 1 else 'are'} lost")


def _damage(path: Path) -> str | None:
    """What is wrong with an SQLite file; None where it is whole. Raises InputError where it is in use."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as file:
            (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            empty = not file.execute("SELECT name FROM sqlite_master WHERE name = 'studies'").fetchall()
    except sqlite3.OperationalError as error:  # locked, or not readable: the file itself may be whole
        raise InputError(f"cannot read {path}: {error}. End what is using it, then: snnsearch resume") from error
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return str(found).splitlines()[-1]
    return "it holds no study" if empty else None


def _header(folder: Path, damage: str) -> StudyHeader:
    try:
        return StudyHeader.model_validate_json((folder / HEADER).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{folder / DATABASE} is damaged ({damage}), and {folder / HEADER}, by which it could be rebuilt, cannot "
            f"be read. What was trained is in {folder / 'trials'}; put back a copy of either file, or launch anew: "
            f"snnsearch launch {folder / 'space.yaml'} --name NAME"
        ) from error


def _set_aside(path: Path) -> Path:
    aside = next(
        each for n in itertools.count(1) if not (each := path.with_name(f"{path.name}.damaged-{n}")).exists()
    )  # fmt: skip
    for suffix in ("-wal", "-shm", "-journal"):  # of the damaged file; a new one must not take them for its own
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return path.rename(aside)


def _left(folder: Path) -> Iterator[tuple[int, study.StoredTrial]]:
    for trial in (folder / "trials").glob("[0-9]*"):
        record = read_result(trial)
        known = record or read_starts(trial)
        if known is not None and trial.name.isdecimal():
            yield int(trial.name), study.StoredTrial(known.name, known.params, record)
