"""The files of a run folder that a driver checks before it starts and writes when it does."""

from pathlib import Path

from reports.document.commands import command
from reports.records.study import StudyHeader
from reports.storage.benchmarks import is_benchmark
from reports.storage.files import replace_text
from reports.storage.studies import list_studies, sqlite_url
from search.errors import InputError, SpaceError
from search.runner.observer import Observer
from search.runner.options import RunOptions
from search.space.loading.loader import load_space
from search.space.space import Space
from search.storage.url import check_url
from search.trial import sync
from search.trial.folder import RunFolder
from snnkit.data import DataSource, data_root, dataset_status


def storage_url(folder: RunFolder, options: RunOptions) -> str:
    """Return the URL of the study database: the one given, or SQLite in ``folder``. Raises InputError."""
    return check_url(options.storage) if options.storage else sqlite_url(folder.database)


def make_folder(folder: RunFolder) -> None:
    """Create ``folder`` and its folder for trials. Raises InputError."""
    try:
        folder.create()
    except OSError as error:
        raise InputError(
            f"cannot write to {folder.path}: {error.strerror}. Choose another folder: --runs DIR"
        ) from error


def write_file(path: Path, text: str) -> None:
    """Replace the file ``path`` atomically. Raises InputError."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}. Free some space, or choose another folder: --runs DIR"
        ) from error


def save_study(folder: RunFolder, header: StudyHeader, exchange: str | None) -> None:
    """Write the files that `resume` reads: the space, the header and the exchange URL. Raises InputError."""
    save_exchange(folder, exchange)
    write_file(folder.space, header.space_yaml)
    write_file(folder.header, header.model_dump_json(indent=1))


def new_exchange(name: str, options: RunOptions) -> str | None:
    """Return the exchange URL of a new run; None if its machines share a folder. Raises InputError."""
    if options.exchange is None:
        return None
    if options.address is None:
        raise InputError("--exchange works only with a cluster: add its address, --address HOST:PORT")
    return sync.new_url(options.exchange, name)


def save_exchange(folder: RunFolder, url: str | None) -> None:
    """Store the exchange URL for later runs and for the workers. Raises InputError."""
    if url is not None:
        write_file(folder.exchange, url + "\n")


def announce_download(name: str | DataSource, options: RunOptions, observer: Observer) -> None:
    """Tell ``observer`` that a data set is about to be downloaded; do nothing if it is on this machine."""
    status = dataset_status(name, options.data_root)
    if not status.available:
        observer.message(f"fetching  {status.name} into {data_root(options.data_root)} …")


def check_no_benchmark(folder: RunFolder, remedy: str) -> None:
    """Raise InputError if ``folder`` holds a benchmark."""
    if is_benchmark(folder.path):
        raise InputError(f"{folder.path} holds a benchmark, not a study. {remedy}")


def check_study_exists(folder: RunFolder, options: RunOptions) -> None:
    """Raise InputError if there is no study to resume in ``folder``."""
    if not folder.path.is_dir() and options.storage is not None:
        raise InputError(
            f"there is no folder {folder.path} with the files of the trials of {folder.name!r}. Give the folder that "
            "holds it: --runs DIR. If it is lost or on another machine, create an empty one: finished trials are kept, "
            "unfinished ones start again"
        )
    if not folder.path.is_dir():
        others = ", ".join(path.name for path in list_studies(options.runs)) or "none"
        raise InputError(f"no study {folder.name!r} in {options.runs}. Studies there: {others}")
    if options.storage is None and not folder.database.is_file():
        raise InputError(
            f"{folder.path} has no {folder.database.name}: this study was launched with --storage. Give the same "
            "--storage again, or set SNNSEARCH_STORAGE"
        )


def check_space_unchanged(folder: RunFolder, stored: str, space: Space) -> None:
    """Raise InputError if space.yaml no longer equals ``stored``, the space at launch: the edit would have no effect.

    Writes the file if it is missing.
    """
    path = folder.space
    if not path.exists():
        write_file(path, stored)
        return
    try:
        # both are read by this version, which may have added a leaf
        same = load_space(path.read_text(encoding="utf-8")).fingerprint == space.fingerprint
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Make it readable, or move it elsewhere") from error
    except (SpaceError, UnicodeDecodeError):
        same = False
    if not same:
        raise InputError(
            f"{path} was edited, but a study keeps the space it was launched with. To resume the study as launched, "
            f"move that file elsewhere. To use the edited space, launch it as another study: "
            f"{command('launch', path, '--name', 'NAME')}"
        )
