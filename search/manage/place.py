"""The place of a study: its folder, its rows in a database, and its finals, which are benchmarks beside the folder."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pydantic import ValidationError

from reports.document.commands import command
from reports.document.wording import listing
from reports.storage.benchmarks import is_benchmark, read_header, write_header
from reports.storage.finalists import finals_folder, finals_folders, retrained_folder
from reports.storage.names import ALLOWED, as_folder_name, is_folder_name
from reports.storage.studies import sqlite_url, stored_name
from search.errors import InputError
from search.runner import files
from search.runner.options import RunOptions
from search.space import document
from search.storage.lock import StudyLock
from search.storage.postgresql import DriverConnection
from search.storage.rows import has_study
from search.storage.url import check_url
from search.trial.folder import RunFolder

Folders = list[tuple[Path, Path]]


@dataclass(frozen=True)
class StudyPlace:
    """The study ``name`` in the folder ``runs``. ``storage`` is None if its database is a file in its folder."""

    runs: Path
    name: str
    storage: str | None = None

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.runs / self.name)

    @property
    def url(self) -> str:
        """The URL of the database. Raises InputError if this installation cannot open it."""
        return check_url(self.storage) if self.storage else sqlite_url(self.folder.database)

    @property
    def stored_name(self) -> str:
        """The name of the study in its database: another one if somebody renamed the folder."""
        return stored_name(self.folder.path, self.storage, self.name)

    @property
    def has_rows(self) -> bool:
        """Whether the database holds the study. Raises StorageError."""
        return (self.storage is not None or self.folder.database.is_file()) and has_study(self.url, self.stored_name)

    def check_exists(self) -> None:
        """Raise InputError if there is no such study, or if the name belongs to a benchmark."""
        files.check_no_benchmark(self.folder, f"Its results: {command('report', self.name)}")
        files.check_study_exists(self.folder, RunOptions(runs=self.runs, storage=self.storage))

    def check_name(self) -> None:
        """Raise InputError unless a new study may have this name."""
        if not is_folder_name(self.name):
            fitting = as_folder_name(self.name)
            hint = f"; for example {fitting}" if fitting else ""
            raise InputError(f"given {self.name!r} as a new name. Allowed are {ALLOWED}{hint}")

    def check_free(self, *, rows: bool = True) -> None:
        """Raise InputError if this place holds a folder of that name already, or ``rows`` of a study."""
        if self.folder.path.exists():
            raise InputError(f"{self.folder.path} exists already. Choose another name, or another folder")
        if rows and self.storage is not None and has_study(self.url, self.name):
            raise InputError(f"the database holds a study {self.name!r} already. Choose another name")

    def finals(self) -> list[Path]:
        """Return the folders of the finals, those of ``retrain`` last."""
        retrained = retrained_folder(self.runs, self.name)
        return [*finals_folders(self.runs, self.name), *([retrained] if is_benchmark(retrained) else [])]

    def finals_as(self, other: "StudyPlace") -> Folders:
        """Return the folder of each finals, and the folder that it has if the study is at ``other``; not if equal."""
        numbered = range(1, 1 + len(finals_folders(self.runs, self.name)))
        pairs = [(finals_folder(self.runs, self.name, n), finals_folder(other.runs, other.name, n)) for n in numbered]
        pairs.append((retrained_folder(self.runs, self.name), retrained_folder(other.runs, other.name)))
        return [(old, new) for old, new in pairs if is_benchmark(old) and old.absolute() != new.absolute()]

    @contextmanager
    def locked(self, *, held: str | None = None) -> Iterator[None]:
        """Keep every driver of the study and of its finals out of the block. Raises InputError if one is running.

        ``held`` is the stored name of a study whose lock in the database this process holds already.
        """
        with ExitStack() as locks:
            if self.folder.path.is_dir():
                name = self.name if self.storage is None else self.stored_name
                storage = "" if self.storage is None or name == held else self.storage
                locks.enter_context(StudyLock(self.folder.path, name, storage))
            else:
                locks.enter_context(self.connected())
            for folder in self.finals():
                locks.enter_context(StudyLock(folder, folder.name, ""))
            yield

    @contextmanager
    def connected(self) -> Iterator[DriverConnection | None]:
        """Keep every driver of the study out of the database for the block; None if it is an SQLite file."""
        if self.storage is None or not self.storage.startswith("postgresql"):
            yield None
            return
        with closing(DriverConnection(self.url, self.name, lambda text: None, Event())) as connection:
            yield connection

    @property
    def size(self) -> int:
        """Bytes of all files of the study and of its finals."""
        return sum(map(size_of, (self.folder.path, *self.finals())))


def size_of(folder: Path) -> int:
    """Return the bytes of all files in ``folder``; 0 if there is no such folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def name_study(folder: RunFolder, name: str) -> None:
    """Store ``name`` in the copy of the header beside the database. Raises InputError."""
    try:
        header = folder.read_header()
    except (OSError, ValidationError):
        return  # a study has one since its first launch; the database holds the header too
    files.write_file(folder.header, header.model_copy(update={"name": name}).model_dump_json(indent=1))


def name_benchmark(folder: Path) -> None:
    """Store the folder's name in the benchmark's header and YAML. Raises InputError, LedgerError, OSError."""
    header = read_header(folder)
    if header.name == folder.name:
        return
    tree = document.with_value(document.parse(header.benchmark_yaml).tree, ("benchmark", "name"), folder.name)
    comment = "".join(line for line in header.benchmark_yaml.splitlines(keepends=True) if line.startswith("#"))
    text = f"{comment.replace(header.name, folder.name)}\n{document.dump(tree)}"
    files.write_file(RunFolder(folder).benchmark, text)
    write_header(folder, header.model_copy(update={"name": folder.name, "benchmark_yaml": text}))


def check_finals_free(source: StudyPlace, target: StudyPlace) -> None:
    """Raise InputError if a folder exists that the finals of ``source`` need at ``target``, or that would be its."""
    wanted = [new for _, new in source.finals_as(target)]
    if taken := [str(folder) for folder in dict.fromkeys([*wanted, *target.finals()]) if folder.exists()]:
        raise InputError(
            f"{listing(taken)} exists already, and would belong to the study {target.name!r}. Choose another name, or "
            "move that folder away"
        )
