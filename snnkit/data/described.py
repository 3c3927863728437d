"""Read described data sets once, keep their arrays in a store that their content names, and notice changed files.

An index file for each description says which files it was last read from, and what they held. Unchanged files are
therefore not opened again. A store holds nothing of the place, so the files may move, and another machine may have the
store alone.
"""

import contextlib
import hashlib
import json
import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from snnkit.base.config import Config
from snnkit.base.files import atomic_write
from snnkit.data.events import Recordings
from snnkit.data.images import DamagedError, DataError, DataSet, content_digest
from snnkit.data.sources import READERS
from snnkit.data.sources.source import Content, DataSource, counted, examples
from snnkit.data.store import read_manifest, read_store, write_and_open
from snnkit.data.store_place import STORES_FOLDER, data_root, store_folder

VERSION = "1"  # changes when the readers return other arrays for the same files
LISTING = "files.json"  # of a store: the files that it was read from
INDEX_FOLDER = "described"  # below the folder of the stores

logger = logging.getLogger(__name__)


class Entry(Config):
    """What the index knows of one description."""

    source: DataSource  # with its content
    fingerprint: str  # of the files when they were read


@dataclass(frozen=True)
class Described:
    """A described data set whose arrays are on this machine."""

    source: DataSource
    store: Path
    bytes: int

    @classmethod
    def of(cls, source: DataSource) -> Self:
        """Return what is stored of an identified source."""
        store = store_of(source)
        return cls(source, store, sum(file.stat().st_size for file in store.glob("*")))

    def describe(self) -> str:
        """Return ``folder: /data/pictures; 120 + 30 images, 3x24x24, 1.2 MB in ...``."""
        content = self.source.content
        assert content is not None
        shape, what = "x".join(map(str, content.shape)), "recordings" if content.events else "images"
        counts = f"{content.train + content.validation:,} + {content.test:,} {what}, {shape}"
        return f"{self.source.written}; {counts}, {self.bytes / 1e6:,.1f} MB in {self.store}"


def identify(source: DataSource) -> DataSource:
    """Return ``source`` with its content, which is read if its files are new or have changed.

    Raises:
        DataError: the files are absent or cannot be used.
    """
    if source.content is not None:
        return source
    files = _scan(source)
    entry = _entry(source)
    if entry is not None and entry.fingerprint == _fingerprint(files) and _has_store(entry.source):
        return entry.source
    return _read(source, files)[0]


def load_described(source: DataSource) -> DataSet:
    """Return the arrays of a described data set, mapped from its store; without one, read its files again.

    Raises:
        DataError: there is no store, and the files are absent, have changed or cannot be used.
    """
    source = identify(source)
    folder = store_of(source)
    with contextlib.suppress(DamagedError):  # then it is made again of the files
        manifest = read_manifest(folder)
        if manifest is not None:
            return read_store(folder, manifest)
    plain = source.model_copy(update={"content": None})
    try:
        found, data = _read(plain, _scan(plain))
    except DataError as error:
        raise DataError(f"the arrays of {source.label} are not in {folder}, and cannot be made: {error}") from error
    if found.content != source.content:
        raise DataError(
            f"{source.written} no longer holds what the study was launched with ({_difference(source, found)}), and "
            f"{folder} is gone; put the former files back, or launch another study"
        )
    return data


def describe_change(source: DataSource | str) -> str:
    """Return how the files of ``source`` differ from what it held when it was read; empty if they do not, or are gone.

    Files that only moved, or were only touched, have not changed. Of a named data set, digests tell.
    """
    if isinstance(source, str):
        return ""
    plain = source.model_copy(update={"content": None})
    if not source.has_files or source.content is None or not os.path.exists(source.place):
        return ""
    before = _listing(source)
    try:
        files = _scan(plain)
        if before == files:
            return ""
        found = identify(plain)
    except DataError as error:
        return f"{source.written} cannot be read any more: {error}"
    if found.content is not None and found.content.digest == source.content.digest:
        return ""
    changes = _file_changes(before, files) or _difference(source, found)
    return f"{source.written} has changed since the launch: {changes}"


def list_described() -> list[Described]:
    """Return the described data sets whose arrays are on this machine, in order of their labels."""
    folder = data_root() / STORES_FOLDER / INDEX_FOLDER
    entries = [entry for path in sorted(folder.glob("*.json")) if (entry := _parse(path)) is not None]
    found = [Described.of(entry.source) for entry in entries if store_of(entry.source).is_dir()]
    return sorted(found, key=lambda each: (each.source.label, each.source.place))


def store_of(source: DataSource) -> Path:
    """Return the folder of the arrays of an identified source."""
    return store_folder(source.store_name, data_root())


def _has_store(source: DataSource) -> bool:
    try:
        return read_manifest(store_of(source)) is not None
    except DataError:
        return False


def _scan(source: DataSource) -> Mapping[str, str]:
    """Return the files of ``source`` as they are now. Raises DataError if they are absent or not readable."""
    path = Path(source.place)
    settings = "".join(f" --set {shlex.quote(f'{leaf}={value}')}" for leaf, value in source.reading.items())
    with _as_data_errors(source):
        if source.has_files and not path.exists():
            raise DataError(
                f"{path} does not exist; write where it is. If it moved after a launch, this reads it for the study: "
                f"snnsearch data show --{source.kind} NEW-PLACE{settings}"
            )
        if source.kind == "folder" and not path.is_dir():
            remedy = f"; write npz: {path}" if path.suffix == ".npz" else "; name a folder"
            raise DataError(f"{path} is a file{remedy}")
        if source.kind == "npz" and path.is_dir():
            raise DataError(f"{path} is a folder; write folder: {path}")
        return READERS[source.kind].scan(source)


@contextlib.contextmanager
def _as_data_errors(source: DataSource) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{error.filename or source.place}: {reason}; make it readable for this user") from error
    except MemoryError as error:
        raise DataError(
            f"{source.written} does not fit into memory; write a smaller resolution or fewer images"
        ) from error


def _read(source: DataSource, files: Mapping[str, str]) -> tuple[DataSource, DataSet]:
    """Read the files, store the arrays and note it in the index. Raises DataError."""
    logger.info("event=dataset_read data=%s source=%s", source.label, source.written)
    with _as_data_errors(source):
        data = READERS[source.kind].read(source)
    content = Content(
        digest=content_digest(data),
        classes=len(data.classes),
        shape=data.train.shape[-3:],
        train=len(data.train),
        validation=0 if data.validation is None else len(data.validation),
        test=len(data.test),
        events=isinstance(data.train, Recordings),
    )
    found = source.model_copy(update={"content": content})
    fingerprint = _fingerprint(files)
    listing = {LISTING: json.dumps(files)}
    data = write_and_open(store_of(found), data, source=found.written, fingerprint=fingerprint, beside=listing)
    path = _index_path(source)
    with contextlib.suppress(OSError):  # without an index, the files are read again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(Entry(source=found, fingerprint=fingerprint).model_dump_json(indent=1))
    return found, data


def _fingerprint(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([VERSION, sorted(files.items())]).encode()).hexdigest()


def _index_path(source: DataSource) -> Path:
    words = source.model_copy(update={"content": None}).model_dump_json()
    return data_root() / STORES_FOLDER / INDEX_FOLDER / f"{hashlib.sha256(words.encode()).hexdigest()[:16]}.json"


def _entry(source: DataSource) -> Entry | None:
    return _parse(_index_path(source))


def _parse(path: Path) -> Entry | None:
    try:
        return Entry.model_validate_json(path.read_text())
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def _listing(source: DataSource) -> Mapping[str, str]:
    """Return the files that the store of ``source`` was read from; empty if it is gone or came from elsewhere."""
    try:
        found = json.loads((store_of(source) / LISTING).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _file_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which files came, went or have other content; empty if the former ones are not known."""
    if not before:
        return ""
    groups = {
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "changed": [name for name in now if name in before and now[name] != before[name]],
    }
    return "; ".join(
        f"{counted(len(names), 'file')} {word} ({examples(names)})" for word, names in groups.items() if names
    )


def _difference(before: DataSource, now: DataSource) -> str:
    """Return how the figures differ, or that they do not."""
    if before.content is None or now.content is None:
        return ""
    old, new = before.content.model_dump(exclude={"digest"}), now.content.model_dump(exclude={"digest"})
    changed = [f"{name} {old[name]} then, {new[name]} now" for name in old if old[name] != new[name]]
    return ", ".join(changed) or "as many images as then, with other content"
