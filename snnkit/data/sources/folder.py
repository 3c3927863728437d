"""Read a folder of pictures or of recordings: one sub-folder per class, in parts train, val and test or in none."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from snnkit.data.images import DataProblems, DataSet
from snnkit.data.sources import events, pictures
from snnkit.data.sources.assembly import PARTS, assemble
from snnkit.data.sources.source import DataSource, counted, examples

FOREIGN = (".", "__")  # how names begin that other tools leave: .ipynb_checkpoints, ._*, __MACOSX
IGNORED = ("thumbs.db", "desktop.ini")
Opened = TypeVar("Opened")


@dataclass(frozen=True)
class Part:
    """The files of one part by class, and files that are neither pictures nor recordings."""

    files: Mapping[str, Sequence[Path]]  # class -> sorted files
    others: Sequence[Path]


def scan(source: DataSource) -> dict[str, str]:
    """Return the size and modification time of every file by its name below the folder. No file is opened."""
    root = Path(source.place)
    found = {}
    for path in _files(root):
        stat = path.stat()
        found[path.relative_to(root).as_posix()] = f"{stat.st_size} {stat.st_mtime_ns}"
    return found


def read(source: DataSource) -> DataSet:
    """Return the images of all class folders. Raises DataProblems."""
    root = Path(source.place)
    folders = _part_folders(root)
    parts = {name: _read_part(folder) for name, folder in folders.items()}
    classes = list(next(iter(parts.values())).files)
    kinds = {_kind(path) for part in parts.values() for files in part.files.values() for path in files}
    if problems := [*_class_problems(root, folders, parts), *_kind_problems(kinds)]:
        raise DataProblems(problems)
    listed = {name: [path for label in classes for path in part.files[label]] for name, part in parts.items()}
    labels = {
        name: np.repeat(np.arange(len(classes)), [len(part.files[label]) for label in classes])
        for name, part in parts.items()
    }
    others = [path.relative_to(root).as_posix() for part in parts.values() for path in part.others]
    notes = [f"{counted(len(others), 'other file')} ignored: {examples(others)}"] if others else []
    if kinds == {"recording"}:
        images, changes = events.decode(_opened(listed, root, events.open_file), labels, source)
    else:
        images, changes = pictures.decode(_opened(listed, root, pictures.open_file), labels, source)
    return assemble(images, classes, source, [*notes, *changes])


def _opened(
    files: Mapping[str, Sequence[Path]], root: Path, open_file: Callable[[Path], Opened]
) -> dict[str, list[tuple[str, Opened]]]:
    """Return the name of each file below ``root``, and how it is opened, by part."""
    return {
        part: [(path.relative_to(root).as_posix(), open_file(path)) for path in paths] for part, paths in files.items()
    }


def _files(folder: Path) -> Iterable[Path]:
    """Yield the files below ``folder`` in order of their names. Links are followed, but into no folder twice."""
    seen = set()
    for where, inner, names in os.walk(folder, followlinks=True):
        stat = os.stat(where)
        if (stat.st_dev, stat.st_ino) in seen:
            inner.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        inner[:] = sorted(name for name in inner if not name.startswith(FOREIGN))
        yield from (
            Path(where, name) for name in sorted(names) if not name.startswith(FOREIGN) and name.lower() not in IGNORED
        )


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part, train first; ``root`` itself is the only part if it holds class folders."""
    inner = _folders(root)
    if not inner:
        raise DataProblems(
            [f"{root} has no sub-folders; put the files of each class into a folder with its name, such as {root}/cat"]
        )
    found: dict[str, list[Path]] = defaultdict(list)
    for path in inner:
        if part := PARTS.get(path.name.lower()):
            found[part].append(path)
    if not found:
        return {"train": root}
    if double := [paths for paths in found.values() if len(paths) > 1]:
        raise DataProblems([f"{examples(double[0])} are the same part twice; keep one of them"])
    if "train" not in found:
        raise DataProblems([f"{root} has {examples(path.name for path in inner)} but no train; add {root}/train/CLASS"])
    if beside := [path.name for path in inner if path.name.lower() not in PARTS]:
        raise DataProblems(
            [f"{root} has {examples(beside)} beside train; move class folders into train, and others elsewhere"]
        )
    return {name: found[name][0] for name in ("train", "validation", "test") if name in found}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(FOREIGN))


def _read_part(folder: Path) -> Part:
    files: dict[str, list[Path]] = {}
    others = [path for path in folder.iterdir() if path.is_file() and not _is_foreign(path)]
    for inner in _folders(folder):
        found = list(_files(inner))
        files[inner.name] = [path for path in found if _kind(path)]
        others += [path for path in found if not _kind(path)]
    return Part(files, others)


def _is_foreign(path: Path) -> bool:
    return path.name.startswith(FOREIGN) or path.name.lower() in IGNORED


def _kind(path: Path) -> str:
    """Return ``picture``, ``recording`` or nothing."""
    ending = path.suffix.lower()
    return "picture" if ending in pictures.ENDINGS else "recording" if ending in events.ENDINGS else ""


def _class_problems(root: Path, folders: Mapping[str, Path], parts: Mapping[str, Part]) -> list[str]:
    problems = []
    expected = set(parts["train"].files)
    empty = [
        (folders[name] / label).relative_to(root).as_posix()
        for name, part in parts.items()
        for label, files in part.files.items()
        if not files
    ]
    if empty:
        endings = ", ".join((*pictures.ENDINGS, *events.ENDINGS))
        number = counted(len(empty), "class folder holds", "class folders hold")
        problems.append(
            f"{number} no picture or recording ({endings}): {examples(empty)}; add some, or remove the folder"
        )
    for name, part in parts.items():
        lacking, unknown = sorted(expected - set(part.files)), sorted(set(part.files) - expected)
        folder = folders[name].name
        if lacking or unknown:
            lacks = (
                f"lacks {counted(len(lacking), 'class', 'classes')} of train ({examples(lacking)})" if lacking else ""
            )
            has = f"has {counted(len(unknown), 'class', 'classes')} that train lacks ({examples(unknown)})"
            text = " and ".join(filter(None, (lacks, has if unknown else "")))
            problems.append(f"{folder} {text}; every part needs the same class folders")
    return problems


def _kind_problems(kinds: set[str]) -> list[str]:
    if len(kinds) > 1:
        return ["it holds pictures and recordings of events; keep them in folders of their own, and name one of these"]
    return []
