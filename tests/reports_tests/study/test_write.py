import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.errors import ReportError
from reports.records.study import StudyRecord
from reports.study.write import FILES, write_report

Build = Callable[..., StudyRecord]


def test_all_files_are_written_and_replaced(make_study: Build, tmp_path: Path) -> None:
    paths = write_report(make_study(3), tmp_path / "runs" / "x")
    assert [p.name for p in paths] == list(FILES) == [p.name for p in paths if p.stat().st_size]
    before = paths[1].read_text()
    write_report(make_study(4), tmp_path / "runs" / "x")
    assert paths[1].read_text() != before
    assert sorted(p.name for p in paths[0].parent.iterdir()) == sorted(FILES)


def test_the_same_study_gives_the_same_files(make_study: Build, tmp_path: Path) -> None:
    first, second = (write_report(make_study(5), tmp_path / name) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_folder_that_cannot_be_created_is_named_with_a_remedy(make_study: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportError, match=r"cannot write .*report.html.*snnsearch report squeezenet-prune"):
        write_report(make_study(1), tmp_path / "file" / "folder")


def test_a_full_disk_leaves_the_old_report_whole(
    make_study: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_report(make_study(2), tmp_path)
    before = {p: p.read_bytes() for p in paths}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write_report(make_study(3), tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
