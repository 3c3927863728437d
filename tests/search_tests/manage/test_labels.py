"""Tags and notes stay with a study, and two commands at once lose none."""

import shutil
import threading
from pathlib import Path

import pytest

from reports.analysis.front import status_summary
from reports.storage.labels import LABELS, read_labels
from reports.storage.studies import find_study
from reports.study.report import markdown, page
from search.errors import InputError
from search.manage.archive import archive_study, unarchive_study
from search.manage.labels import MAX_NOTE_CHARACTERS, add_note, change_tags, delete_note
from search.manage.place import StudyPlace
from search.manage.transfer import copy_study, rename_study

STORED = Path(__file__).parents[2] / "golden" / "stored"


@pytest.fixture
def place(tmp_path: Path) -> StudyPlace:
    shutil.copytree(STORED / "old-study", tmp_path / "runs" / "old")
    return StudyPlace(tmp_path / "runs", "old")


def test_tags_come_and_go(place: StudyPlace) -> None:
    assert change_tags(place, ["+good", "+edge"]).tags == ("edge", "good")
    assert change_tags(place, ["+good", "-edge", "+best-so-far"]).tags == ("best-so-far", "good")
    assert read_labels(place.folder.path).tags == ("best-so-far", "good")


@pytest.mark.parametrize(
    "changes", [["good"], ["+"], ["+Good"], ["+a b"], ["-missing"], ["+a", "-a"], ["+../x"]], ids=str
)
def test_bad_tag_changes_nothing(changes: list[str], place: StudyPlace) -> None:
    change_tags(place, ["+kept"])
    with pytest.raises(InputError):
        change_tags(place, ["+other", *changes])
    assert read_labels(place.folder.path).tags == ("kept",)


def test_notes_are_numbered(place: StudyPlace) -> None:
    add_note(place, "first")
    add_note(place, "  second\n")
    assert [note.text for note in delete_note(place, 1).notes] == ["second"]
    with pytest.raises(InputError, match="has no note 2"):
        delete_note(place, 2)
    for text in ("", "  ", "x" * (MAX_NOTE_CHARACTERS + 1)):
        with pytest.raises(InputError, match="a note has"):
            add_note(place, text)


def test_labels_are_in_status_and_report(place: StudyPlace) -> None:
    change_tags(place, ["+good"])
    add_note(place, "wider <b>stem</b>")
    study = find_study("old", place.runs)
    summary = status_summary(study)
    assert (summary.tags, summary.notes) == (("good",), ("wider <b>stem</b>",))
    assert "- tags: good" in markdown(study)
    assert "wider &lt;b&gt;stem&lt;/b&gt;" in page(study)


def test_labels_survive(place: StudyPlace, tmp_path: Path) -> None:
    change_tags(place, ["+good"])
    wanted = add_note(place, "note")
    copy_study(place, StudyPlace(place.runs, "copied"), "", lambda text: None)
    rename_study(place, "renamed", "")
    path = archive_study(StudyPlace(place.runs, "renamed"), tmp_path / "x.tar.gz", weights=False).path
    unarchive_study(path, place.runs, "restored", None)
    for name in ("copied", "renamed", "restored"):
        assert find_study(name, place.runs).labels == wanted


def test_spoilt_file_counts_as_none(place: StudyPlace) -> None:
    (place.folder.path / LABELS).write_text("{")
    assert find_study("old", place.runs).labels.tags == ()
    assert change_tags(place, ["+good"]).tags == ("good",)


def test_commands_at_once_lose_nothing(place: StudyPlace) -> None:
    threads = [threading.Thread(target=change_tags, args=(place, [f"+tag-{n}"])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_labels(place.folder.path).tags) == 8


def test_study_that_is_missing(place: StudyPlace) -> None:
    with pytest.raises(InputError, match="no study"):
        change_tags(StudyPlace(place.runs, "missing"), ["+good"])
    assert not (place.runs / "missing").exists()
