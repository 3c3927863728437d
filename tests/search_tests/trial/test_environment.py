"""The commit on record is ours or none."""

import os
import subprocess
from pathlib import Path

import pytest

from search.trial import environment

FILE = "search/trial/environment.py"


def git(folder: Path, *arguments: str) -> str:
    author = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "n@example.org"}
    author |= {"GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "n@example.org"}
    command = ["git", "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=os.environ | author, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Returns a function that puts our code into a folder of a repository; with ``add``, these files are tracked."""

    def installed(folder: str, *add: str) -> Path:
        root = tmp_path / "repository" / folder
        (root / FILE).parent.mkdir(parents=True)
        (root / FILE).touch()
        top = tmp_path / "repository"
        (top / "thesis.tex").touch()
        git(top, "init", "-q")
        git(top, "add", "thesis.tex", *add)
        git(top, "commit", "-qm", "thesis")
        monkeypatch.setattr(environment, "ROOT", root)
        monkeypatch.setattr(environment, "__file__", str(root / FILE))
        environment.commit.cache_clear()
        return top

    yield installed
    environment.commit.cache_clear()


def test_commit_of_a_checkout_is_recorded(install):
    top = install("", FILE)
    assert environment.commit() == git(top, "rev-parse", "--short=12", "HEAD")
    (top / FILE).write_text("edited")
    environment.commit.cache_clear()
    assert environment.commit() == git(top, "rev-parse", "--short=12", "HEAD") + "-dirty"


@pytest.mark.parametrize(
    ("folder", "add"),
    [("", ()), (".venv/lib/site-packages", ()), ("vendor", (f"vendor/{FILE}",))],
    ids=["beside their files", "virtual environment", "copied into their repository"],
)
def test_commit_of_another_repository_is_not(install, folder, add):
    install(folder, *add)
    assert environment.commit() is None


def test_repository_that_git_is_pointed_to_is_not_ours(install, tmp_path, monkeypatch):
    """Git sets GIT_DIR for its hooks."""
    top = install("", FILE)
    own = git(top, "rev-parse", "--short=12", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    assert environment.commit() == own


def test_without_git_there_is_no_commit(install, monkeypatch):
    install("", FILE)
    monkeypatch.setenv("PATH", "")
    assert environment.commit() is None
