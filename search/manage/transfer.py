"""Copy, rename and move studies with their finals, on SQLite and PostgreSQL and between the two."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reports.benchmark.write import FILES as BENCHMARK_FILES
from reports.benchmark.write import write_benchmark
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import find_study, sqlite_url
from reports.study.write import FILES as STUDY_FILES
from reports.study.write import write_report
from search.benchmark.alternatives import complete_benchmark, complete_study
from search.errors import InputError
from search.manage.arrival import Arrival, arrival, rename
from search.manage.delete import remove_study
from search.manage.place import StudyPlace, check_finals_free, name_benchmark, name_study
from search.storage.lock import HOLDER_FILE, LOCK_FILE
from search.storage.postgresql import DriverConnection
from search.storage.retrying import connect
from search.storage.rows import StudyRows, delete_rows, has_study, read_rows, rename_rows, write_rows
from search.trial.folder import RunFolder

Say = Callable[[str], None]
RESERVE_BYTES = 2**26  # of free space that a copy leaves
PARTIAL = ".partial"


@dataclass(frozen=True)
class Transfer:
    """What a command has put in place."""

    place: StudyPlace
    finals: tuple[str, ...]  # names of the benchmarks that belong to the study
    size: int  # bytes of all files


def copy_study(source: StudyPlace, target: StudyPlace, command: str, say: Say) -> Transfer:
    """Copy the study at ``source``, with its finals, to ``target``. The two are independent from then on.

    A copy does not inherit the exchange URL of a cluster. ``command`` finishes the copy if this call is cut short.
    Raises InputError if a driver runs, or the place is taken.
    """
    target.check_name()
    source.check_exists()
    with arrival(target, command) as way, source.locked():
        if way.begun is None:
            _stage(source, way, say, without=(RunFolder(Path()).exchange.name,))
            way.begin()
        way.put_in_place()
    return arrived(target)


def rename_study(source: StudyPlace, name: str, command: str) -> Transfer:
    """Give the study at ``source`` and its finals the new ``name``. Raises InputError as `copy_study` does."""
    target = StudyPlace(source.runs, name, source.storage)
    target.check_name()
    return _relocate(source, target, command)


def move_study(source: StudyPlace, target: StudyPlace, command: str, say: Say) -> Transfer:
    """Move the study at ``source`` with its finals to another folder, another storage, or both.

    Between file systems, and between storages and folders at once, it is copied, and then deleted at ``source`` unless
    somebody has continued it meanwhile. Raises InputError as `copy_study` does.
    """
    if _same_file(source.folder.path, target.folder.path):
        return _change_storage(source, target)
    if source.storage == target.storage and _same_file_system(source.runs, target.runs):
        return _relocate(source, target, command)
    rows_stay = source.storage is not None and source.storage == target.storage
    with arrival(target, command, rows_stay=rows_stay) as way:
        if way.begun is None:
            source.check_exists()
        with source.locked():
            if way.begun is None:
                _stage(source, way, say)
                way.begin()
            way.put_in_place()
            unchanged = source.folder.path.is_dir() and _rows(source).equal(way.staged_rows())
            if unchanged:
                remove_study(source, rows=not rows_stay)
    if not unchanged and source.folder.path.is_dir():
        raise InputError(
            f"{source.folder.path} was continued after an earlier call had copied it to {target.folder.path}. Both are "
            "kept: compare them, and remove the one that you do not need"
        )
    return arrived(target)


def _relocate(source: StudyPlace, target: StudyPlace, command: str) -> Transfer:
    """Rename the folders within their file system, and the rows in their database."""
    rows_stay = source.storage is not None and source.name == target.name
    with arrival(target, command, rows_stay=rows_stay) as way:
        if way.begun is None:
            source.check_exists()
            check_finals_free(source, target)
        held = None if rows_stay else target.name  # an earlier call may have renamed the rows
        with source.locked(held=held):
            way.begin()
            if source.folder.path.is_dir():
                stored = source.stored_name
                if stored != target.name and has_study(source.url, stored):
                    rename_rows(source.url, stored, target.name)
                name_study(source.folder, target.name)
                for old, new in reversed(source.finals_as(target)):  # they are found from the first one on
                    rename(old, new)
                for folder in target.finals():
                    name_benchmark(folder)
                rename(source.folder.path, target.folder.path)
    return arrived(target)


def _change_storage(source: StudyPlace, target: StudyPlace) -> Transfer:
    """Move the rows to another storage; the folder stays. The rows are deleted when the other storage has them."""
    if source.storage == target.storage:
        raise InputError(f"{source.name!r} is there already. Give another folder, or another storage: --to-storage URL")
    with source.locked(), target.connected() as connection:
        if source.has_rows or not target.has_rows:
            source.check_exists()
            rows = _rows(source)
            if not target.has_rows:
                _write_database(target, rows, connection)
            elif not rows.equal(_rows(target)):
                raise InputError(f"the database holds another study {target.name!r}. Rename this one first")
            name_study(target.folder, target.name)
            _delete_rows(source)
    return arrived(target)


def _write_database(target: StudyPlace, rows: StudyRows, connection: DriverConnection | None) -> None:
    """Write ``rows`` to the database of ``target``, all at once."""
    if target.storage is not None:
        connect(target.url, connection)
        write_rows(target.url, target.name, rows)
        return
    partial = target.folder.path / f".{target.folder.database.name}{PARTIAL}"
    partial.unlink(missing_ok=True)
    connect(sqlite_url(partial), None)
    write_rows(sqlite_url(partial), target.name, rows)
    partial.replace(target.folder.database)


def _delete_rows(source: StudyPlace) -> None:
    if source.storage is not None:
        delete_rows(source.url, source.stored_name)
        return
    for suffix in ("-wal", "-shm", "-journal", ""):
        source.folder.database.with_name(source.folder.database.name + suffix).unlink(missing_ok=True)


def _rows(place: StudyPlace) -> StudyRows:
    return read_rows(place.url, place.stored_name)


def _stage(source: StudyPlace, way: Arrival, say: Say, without: tuple[str, ...] = ()) -> None:
    """Copy the rows and the files of ``source``."""
    check_finals_free(source, way.target)
    size = source.size
    free = shutil.disk_usage(way.path).free
    if size + RESERVE_BYTES > free:
        raise InputError(
            f"{way.target.runs} has {free / 1e9:.1f} GB free, and the study needs {size / 1e9:.1f} GB. Free some "
            "space, or choose another folder"
        )
    if size > 1e8:
        say(f"copying   {size / 1e9:.1f} GB")
    way.rows.write_text(_rows(source).text, encoding="utf-8")
    database = source.folder.database.name
    ignored = shutil.ignore_patterns(LOCK_FILE, HOLDER_FILE, database, f"{database}-*", f".*{PARTIAL}", *without)
    finals = [(old, way.path / new.name) for old, new in source.finals_as(way.target)]
    for old, new in ((source.folder.path, way.study), *finals):
        shutil.copytree(old, new, ignore=ignored)


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _same_file_system(one: Path, other: Path) -> bool:
    other.mkdir(parents=True, exist_ok=True)
    return one.is_dir() and os.stat(one).st_dev == os.stat(other).st_dev


def arrived(target: StudyPlace) -> Transfer:
    """Write the reports that name the study again, and return what is in place."""
    folder, finals = target.folder.path, target.finals()
    if any((folder / name).exists() for name in STUDY_FILES):
        write_report(complete_study(find_study(target.name, target.runs, target.storage)), folder)
    for each in finals:
        if any((each / name).exists() for name in BENCHMARK_FILES):
            write_benchmark(complete_benchmark(read_benchmark(each)), each)
    return Transfer(target, tuple(each.name for each in finals), target.size)
