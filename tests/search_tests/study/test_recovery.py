"""A damaged database file is kept, and the study is rebuilt with all its trials."""

import pytest
from helpers.untrained import SPACES, header_for, trained

from reports.storage.studies import LedgerError, load_study_folder, sqlite_url
from search.errors import InputError
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study import create, recovery
from search.trial.folder import Attempts, RunFolder


@pytest.fixture
def space() -> Space:
    return load_space(SPACES / "smoke.yaml", overrides={"data.subset": 600})


@pytest.fixture
def folder(space, tmp_path):
    """A study with five trials that are over and one under way."""
    url = sqlite_url(tmp_path / "study.db")
    header = header_for(space, tmp_path)
    opened = create.create_study(header, space, tmp_path, url)
    RunFolder(tmp_path).header.write_text(header.model_dump_json())
    for over in (True, True, True, True, True, False):
        job = opened.next(lambda record: None)
        job.files.create()
        job.files.write_attempts(Attempts(starts=1, name=job.name, params=job.params))
        if over:
            record = trained(job)
            job.files.write_result(record)
            opened.finish(record)
    return tmp_path


def cut(content: bytes, share: float) -> bytes:
    return content[: int(share * len(content))]


DAMAGES = {
    "empty": lambda content: b"",
    "cut at 1 %": lambda content: cut(content, 0.01),
    "cut at 30 %": lambda content: cut(content, 0.3),
    "cut at 70 %": lambda content: cut(content, 0.7),
    "last page gone": lambda content: content[:-4096],
    "half a page gone": lambda content: content[:-2000],
    "first page overwritten": lambda content: b"\0" * 4096 + content[4096:],
    "garbage": lambda content: b"garbage" * 1000,
    "a page overwritten": lambda content: content[:8192] + b"\xff" * 4096 + content[12288:],
}


def repaired(folder) -> list[str]:
    """What `repair` says."""
    said: list[str] = []
    recovery.repair(folder, said.append)
    return said


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_database_is_kept_and_the_study_is_rebuilt(folder, space, damage):
    before = load_study_folder(folder)
    path = folder / "study.db"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    damaged = path.read_bytes()
    said = repaired(folder)
    assert "damaged" in said[0]
    assert said[1] == "rebuilt from the files of the trials: 5 finished, 1 to be continued"
    assert (folder / "study.db.damaged-1").read_bytes() == damaged
    after = load_study_folder(folder)
    assert after.header == before.header
    assert after.trials[:5] == before.trials[:5]
    assert [t.status for t in after.trials] == [t.status for t in before.trials]
    again = create.load_study(after.header, space, folder, sqlite_url(path))
    assert again.recover() == ([], [5])
    job = again.next(lambda record: None)
    assert (job.number, job.params, job.name) == (5, before.trials[5].params, before.trials[5].name)


def test_intact_database_is_left_alone(folder):
    content = (folder / "study.db").read_bytes()
    assert repaired(folder) == []
    assert (folder / "study.db").read_bytes() == content
    assert not list(folder.glob("*damaged*"))


def test_rebuilt_study_proposes_the_same_candidates(folder, space):
    url = sqlite_url(folder / "study.db")
    header = load_study_folder(folder).header

    def three_more() -> list:
        opened = create.load_study(header, space, folder, url)
        opened.recover()
        jobs = [opened.next(lambda record: None) for _ in range(3)]
        return [(job.number, job.name, job.params) for job in jobs]

    content = (folder / "study.db").read_bytes()
    expected = three_more()
    (folder / "study.db").write_bytes(content[: len(content) // 2])
    repaired(folder)
    assert three_more() == expected


def test_trials_that_had_not_started_are_failed(folder, space):
    gone = folder / "trials" / "2"
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    (folder / "study.db").write_bytes(b"")
    said = repaired(folder)
    assert said[-1] == "1 proposal that had not been trained is lost"
    study_record = load_study_folder(folder)
    assert [t.number for t in study_record.trials[:6]] == list(range(6))
    assert study_record.trials[2].reason == "never started; its parameters were lost with a damaged database"
    named = [t.name for t in study_record.trials if t.name]
    assert sorted(named) == sorted(space.candidates)  # what was lost is asked again


def test_torn_result_is_trained_again_and_no_other(folder):
    before = load_study_folder(folder)
    result = folder / "trials" / "3" / "result.json"
    result.write_bytes(result.read_bytes()[:100])
    (folder / "study.db").write_bytes(b"")
    assert "4 finished, 2 to be continued" in repaired(folder)[1]
    after = load_study_folder(folder)
    assert after.trials[3].status == "running"
    assert [after.trials[n] for n in (0, 1, 2, 4)] == [before.trials[n] for n in (0, 1, 2, 4)]


def test_second_damaged_file_gets_its_own_name(folder):
    for number in (1, 2):
        (folder / "study.db").write_bytes(b"x" * number)
        repaired(folder)
        assert (folder / f"study.db.damaged-{number}").read_bytes() == b"x" * number


def test_damage_without_a_header_is_an_error_and_changes_nothing(folder):
    RunFolder(folder).header.write_text("{")
    (folder / "study.db").write_bytes(b"x")
    with pytest.raises(InputError, match=r"header\.json, which is needed to rebuild it, cannot be read"):
        repaired(folder)
    assert (folder / "study.db").read_bytes() == b"x"


def test_error_of_a_damaged_database_says_what_to_type(folder):
    path = folder / "study.db"
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(LedgerError, match="snnsearch resume"):
        load_study_folder(folder)
