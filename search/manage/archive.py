"""A study in one file, and back: ``archive`` and ``unarchive``.

    archive.json                the format, the name of the study and what it has finals of
    rows.jsonl                  the rows of the database, as `search.storage.rows` writes them
    study/ ...                  the folder of the study without its database
    finals/1/ ...  retrained/   its finals

An archive may come from somebody else. It is read as data: only the files and folders above are created, in a folder
that is empty before, and never a link. The number of files and their size are bounded.
"""

import io
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import ValidationError

from reports.document.commands import command as shown
from reports.records.study import StudyHeader
from reports.records.versions import parse
from reports.storage.benchmarks import is_benchmark
from reports.storage.finalists import finals_folder, finals_folders, retrained_folder
from reports.storage.studies import DATABASE
from search.errors import InputError, printable
from search.manage.arrival import Arrival, arrival
from search.manage.place import StudyPlace, check_finals_free
from search.manage.transfer import RESERVE_BYTES, Transfer, arrived
from search.storage.lock import HOLDER_FILE, LOCK_FILE
from search.storage.rows import StudyRows, read_rows
from search.trial.folder import RunFolder
from snnkit.base.config import Config

SUFFIX = ".tar.gz"
MANIFEST, ROWS, STUDY, FINALS, RETRAINED = "archive.json", "rows.jsonl", "study", "finals", "retrained"
FORMAT = 1
WEIGHTS = ".pt"  # suffix of weights, checkpoints and CNN twins
MAX_ENTRIES = 2_000_000
MAX_MANIFEST_BYTES = 2**16
MAX_RATIO = 200  # of the files to the archive: records compress to a tenth
MIN_BYTES = 2**26  # allowed for any archive
NOT_ARCHIVED = (LOCK_FILE, HOLDER_FILE, DATABASE, RunFolder(Path()).exchange.name)
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, UnicodeError)


class Manifest(Config):
    """The first entry of an archive."""

    format: int = FORMAT
    study: str
    weights: bool


@dataclass(frozen=True)
class Archived:
    """An archive that was written."""

    path: Path
    size: int  # bytes
    files: int
    left_out: int  # bytes of weights that it lacks


def archive_study(place: StudyPlace, path: Path, *, weights: bool) -> Archived:
    """Write the study at ``place`` with its finals to the file ``path``, with or without weights.

    The file appears when it is complete. Raises InputError if it exists, cannot be written, or a driver runs.
    """
    place.check_exists()
    if path.exists():
        raise InputError(f"{path} exists already. Give another file, or move that one away")
    partial = path.with_name(f".{path.name}.partial")
    try:
        with place.locked(), tarfile.open(partial, "w:gz", compresslevel=6, dereference=True) as tar:
            _add(tar, MANIFEST, Manifest(study=place.name, weights=weights).model_dump_json().encode())
            _add(tar, ROWS, read_rows(place.url, place.stored_name).text.encode())
            files, left_out = 0, 0
            for name, folder in _folders(place):
                for file in _archived_files(folder):
                    if file.suffix == WEIGHTS and not weights:
                        left_out += file.stat().st_size
                        continue
                    tar.add(file, f"{name}/{file.relative_to(folder).as_posix()}", recursive=False)
                    files += 1
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}. Give a file in another folder") from error
    finally:
        partial.unlink(missing_ok=True)
    return Archived(path, path.stat().st_size, files, left_out)


def unarchive_study(path: Path, runs: Path, name: str | None, storage: str | None) -> Transfer:
    """Restore the study in the file ``path`` to the folder ``runs``, under its own name or as ``name``.

    The same call finishes what a crash interrupted. Raises InputError if the name is taken, or the file is no archive
    or exceeds the limits; then nothing is left behind.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}. Give one that this command wrote: {shown('archive', 'STUDY')}")
    try:
        with tarfile.open(path, "r:gz") as tar:
            members = iter(tar)
            manifest = _manifest(tar, next(members, None), path)
            target = StudyPlace(runs, name or manifest.study, storage)
            target.check_name()  # it may come from somebody else
            words = (path.absolute(), *(("--name", name) if name else ()))
            with arrival(target, shown("unarchive", *words)) as way:
                if way.begun is None:
                    check_finals_free(target, target)
                    _extract(tar, members, way, path)
                    way.begin()
                way.put_in_place()
    except DAMAGE as error:
        if isinstance(error, OSError) and error.filename is not None and Path(error.filename) != path:
            raise  # a file that is written, not the archive
        raise InputError(f"{path} cannot be read as an archive of snnsearch: {error}") from error
    return arrived(target)


def _folders(place: StudyPlace) -> Iterator[tuple[str, Path]]:
    """Yield each folder of the study and its name in the archive."""
    yield STUDY, place.folder.path
    for number, folder in enumerate(finals_folders(place.runs, place.name), 1):
        yield f"{FINALS}/{number}", folder
    if is_benchmark(retrained := retrained_folder(place.runs, place.name)):
        yield RETRAINED, retrained


def _archived_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that belong into an archive, by name."""
    for path in sorted(folder.rglob("*")):
        system = path.name in NOT_ARCHIVED or path.name.startswith((f"{DATABASE}-", "."))
        if path.is_file() and not system:
            yield path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None, path: Path) -> Manifest:
    """Return the manifest. Raises InputError if the first entry is something else."""
    content = b""
    if member is not None and member.name == MANIFEST and member.isreg() and member.size <= MAX_MANIFEST_BYTES:
        content = _file(tar, member).read()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{path} is no archive of a study: its first entry is not {MANIFEST}") from error
    if manifest.format > FORMAT:
        raise InputError(f"{path} was written by a newer snnsearch. Install it, and run the same command again")
    return manifest


def _extract(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo], way: Arrival, path: Path) -> None:
    """Write all files of the archive below ``way.path``. Raises InputError if one is not allowed."""
    allowed = max(MIN_BYTES, MAX_RATIO * path.stat().st_size)
    free = shutil.disk_usage(way.path).free - RESERVE_BYTES
    total = 0
    for number, member in enumerate(members):
        total += member.size
        if number >= MAX_ENTRIES or total > allowed:
            raise InputError(f"{path} unpacks to more than an archive of its size can hold, so it is refused")
        if total > free:
            raise InputError(f"{path} needs more than the {free / 1e9:.1f} GB that are free in {way.target.runs}")
        if member.isdir():
            continue
        target = _place_of(member, way)
        if target is None or not member.isreg():
            raise InputError(f"{path} holds {printable(member.name)!r}, which no archive of a study has")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                shutil.copyfileobj(_file(tar, member), file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InputError(f"{path} holds {printable(member.name)!r} twice") from error
    way.study.mkdir(exist_ok=True)
    _check_rows(way.rows, path)


def _check_rows(rows: Path, path: Path) -> None:
    """Raise InputError unless the file holds the rows of a study, LedgerError if a newer snnsearch wrote them."""
    try:
        with open(rows, encoding="utf-8") as lines:
            header = StudyRows.of_lines(lines).header
        parse(StudyHeader, header or "", f"the study in {path}")
    except FileNotFoundError as error:
        raise InputError(f"{path} is no archive of a study: it has no {ROWS}") from error
    except ValidationError as error:
        raise InputError(f"{path} is no archive of a study: its header cannot be read") from error


def _place_of(member: tarfile.TarInfo, way: Arrival) -> Path | None:
    """Return where a file of the archive is staged; None if no archive has it."""
    place = PurePosixPath(member.name)
    parts = place.parts
    if place.is_absolute() or any(part.startswith(".") for part in parts):
        return None
    runs, name = way.target.runs, way.target.name
    match parts:
        case ("rows.jsonl",):
            return way.rows
        case ("study", _, *_):
            return way.study.joinpath(*parts[1:])
        case ("finals", number, _, *_) if number.isascii() and number.isdecimal() and len(number) <= 3:
            return way.path.joinpath(finals_folder(runs, name, int(number)).name, *parts[2:])
        case ("retrained", _, *_):
            return way.path.joinpath(retrained_folder(runs, name).name, *parts[1:])
        case _:
            return None


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    assert found is not None  # a regular file has content
    return found
