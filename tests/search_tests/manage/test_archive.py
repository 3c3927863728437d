"""A study survives the way through a file, and a file from somebody else can do no harm."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from reports.records.study import StudyRecord
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import find_study
from search.errors import InputError
from search.manage import archive
from search.manage.archive import MANIFEST, ROWS, Manifest, archive_study, unarchive_study
from search.manage.place import StudyPlace

Entry = tuple[tarfile.TarInfo, bytes]
STORED = Path(__file__).parents[2] / "golden" / "stored"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    shutil.copytree(STORED / "old-study", folder / "old")
    for name in ("old-finalists", "old-finals"):
        shutil.copytree(STORED / "old-benchmark", folder / name)
    return folder


def unnamed(study: StudyRecord) -> tuple[object, ...]:
    return study.header.model_dump(exclude={"name"}), study.trials


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "study.db")
    rewritten = ("report", "front", "header", "driver", "benchmark")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if not path.name.startswith(rewritten)}


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("name", [None, "new"])
def test_study_comes_back(weights: bool, name: str | None, runs: Path, tmp_path: Path) -> None:
    done = archive_study(StudyPlace(runs, "old"), tmp_path / "old.tar.gz", weights=weights)
    assert (done.left_out == 0) == weights
    place = unarchive_study(done.path, tmp_path / "there", name, None).place
    assert place.name == (name or "old")
    assert unnamed(find_study(place.name, place.runs)) == unnamed(find_study("old", runs))
    wanted = files(runs / "old")
    assert files(place.folder.path) == {
        name: content for name, content in wanted.items() if weights or not name.endswith(".pt")
    }
    assert [folder.name for folder in place.finals()] == [f"{place.name}-finalists", f"{place.name}-finals"]
    assert [read_benchmark(folder).trials for folder in place.finals()] == [
        read_benchmark(runs / each).trials for each in ("old-finalists", "old-finals")
    ]
    assert sorted(path.name for path in place.runs.iterdir()) == sorted(
        [place.name, *(folder.name for folder in place.finals())]
    )


def test_existing_file_and_existing_study_stay(runs: Path, tmp_path: Path) -> None:
    place, path = StudyPlace(runs, "old"), tmp_path / "old.tar.gz"
    archive_study(place, path, weights=False)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        archive_study(place, path, weights=True)
    assert path.read_bytes() == before
    kept = files(runs / "old")
    with pytest.raises(InputError, match="exists already"):
        unarchive_study(path, runs, None, None)
    assert files(runs / "old") == kept


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def written(path: Path, *entries: Entry) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


def good_entries(runs: Path, tmp_path: Path) -> list[Entry]:
    path = archive_study(StudyPlace(runs, "old"), tmp_path / "good.tar.gz", weights=False).path
    with tarfile.open(path) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]


@pytest.mark.parametrize(
    "hostile",
    [
        entry("../outside.txt", b"x"),
        entry("study/../../outside.txt", b"x"),
        entry("/outside.txt", b"x"),
        entry("study/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry("study/link", kind=tarfile.LNKTYPE, link="study/space.yaml"),
        entry("study/pipe", kind=tarfile.FIFOTYPE),
        entry("elsewhere/file", b"x"),
        entry("finals/../../x/file", b"x"),
        entry("finals/none/file", b"x"),
        entry("study/.hidden", b"x"),
        entry("study/space.yaml", b"again"),
        entry("study/space.yaml/below", b"x"),
        entry("study"),
    ],
    ids=lambda each: each[0].name if isinstance(each, tuple) else "",
)
def test_hostile_entry_is_refused(hostile: Entry, runs: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.tar.gz", *good_entries(runs, tmp_path), hostile)
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(InputError):
        unarchive_study(path, there, "new", None)
    assert list(there.iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


def test_hostile_name_leaves_the_runs_folder_alone(runs: Path, tmp_path: Path) -> None:
    manifest = Manifest(study="../../elsewhere", weights=False).model_dump_json().encode()
    path = written(tmp_path / "bad.tar.gz", entry(MANIFEST, manifest))
    with pytest.raises(InputError, match="Allowed are"):
        unarchive_study(path, tmp_path / "deep/there", None, None)
    assert not (tmp_path / "elsewhere").exists()


def test_bomb_is_refused(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MIN_BYTES", 1_000)
    bomb = entry("study/zeros.txt", bytes(50_000_000))
    path = written(tmp_path / "bomb.tar.gz", *good_entries(runs, tmp_path), bomb)
    with pytest.raises(InputError, match="unpacks to more"):
        unarchive_study(path, tmp_path / "there", None, None)
    monkeypatch.setattr(archive, "MAX_RATIO", 10_000)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(InputError, match="unpacks to more"):
        unarchive_study(path, tmp_path / "there", None, None)


@pytest.mark.parametrize("rows", [b"", b"[]", b"{}", b'{"studies": []}', b"\xff", None], ids=repr)
def test_spoilt_rows_are_refused(rows: bytes | None, runs: Path, tmp_path: Path) -> None:
    others = [(info, content) for info, content in good_entries(runs, tmp_path) if info.name != ROWS]
    path = written(tmp_path / "bad.tar.gz", *others, *([] if rows is None else [entry(ROWS, rows)]))
    with pytest.raises(InputError):
        unarchive_study(path, tmp_path / "there", None, None)
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_torn_file_is_refused(share: float, runs: Path, tmp_path: Path) -> None:
    path = archive_study(StudyPlace(runs, "old"), tmp_path / "old.tar.gz", weights=False).path
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError):
        unarchive_study(path, tmp_path / "there", None, None)
    assert not (tmp_path / "there").exists() or list((tmp_path / "there").iterdir()) == []


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"photo\.jpg cannot be read"):
        unarchive_study(path, tmp_path, None, None)
    with pytest.raises(InputError, match="there is no file"):
        unarchive_study(tmp_path / "missing.tar.gz", tmp_path, None, None)
