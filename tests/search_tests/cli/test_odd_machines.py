"""Commands on odd machines: each does its work, or ends with one message with a remedy. Records stay readable."""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.odd_machines import LAUNCH, MINI, ODD_MACHINES, RAY, WORDS, Odd

import search
from reports.storage.studies import load_study_folder, sqlite_url, study_names

pytestmark = pytest.mark.slow
ROOT = Path(search.__file__).parents[1]
SOURCES = ("search", "snnkit", "reports", "spaces", "pyproject.toml", "setup.py", "README.md", "LICENSE")
PATIENCE_S = 600
AS_OTHER = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
IDS = [f"{number} {odd.name!a} {odd.command}" for number, odd in enumerate(ODD_MACHINES)]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user may enter; pytest's are for one user."""
    with tempfile.TemporaryDirectory(prefix="odd-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture(scope="module")
def wheel(place: Path) -> Path:
    """An installation outside a checkout. It uses the dependencies of this Python."""
    checkout = place / "checkout"
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "gallery"))
        else:
            shutil.copy(source, checkout / name)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(place / "wheel"), str(checkout)], capture_output=True, text=True, check=False
    )
    shutil.rmtree(checkout)
    if done.returncode:
        pytest.skip(f"the wheel cannot be built here: {done.stderr.strip()[-200:]}")
    return place / "wheel"


def require(need: str) -> dict[str, str]:
    """Return the variables that a row needs, or skip it."""
    if need == "root":
        if os.getuid() or sys.platform != "linux":
            pytest.skip("needs root on Linux")
    elif need == "python of other users":
        again = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)"
        if subprocess.run([*AS_OTHER, sys.executable, "-c", again], capture_output=True, check=False).returncode:
            pytest.skip("other users may not start this Python")
    elif need == "faketime":
        libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not libraries:
            pytest.skip("libfaketime is not installed")
        return {"LD_PRELOAD": libraries[0]}
    elif need != "wheel" and shutil.which(need) is None:
        pytest.skip(f"{need} is not installed")
    return {}


@dataclass(frozen=True)
class Outcome:
    """How a row's command ended."""

    status: int
    out: str
    err: str
    study: Path

    def __str__(self) -> str:
        return f"exit {self.status}\n{self.out[-3000:]}\n--- standard error ---\n{self.err[-6000:]}"


def run(odd: Odd, case: Path, usual: dict[str, str]) -> Outcome:
    """Run the row's command, with the variables ``usual`` unless the row has others."""

    def here(text: str) -> str:
        return text.replace("$CASE", str(case))

    for name in ("home", "tmp", "cwd"):
        (case / name).mkdir(parents=True)
    (case / "mini.yaml").write_text(MINI)
    usual = {"HOME": str(case / "home"), "TMPDIR": str(case / "tmp"), "CASE": str(case), **usual}
    environment = usual | {name: here(value) for name, value in odd.env.items() if value is not None}
    without = "; ".join(f"unset {name}" for name, value in odd.env.items() if value is None)
    path = environment.pop("PATH")  # lines before the command find their programs
    script = [f"export PATH={shlex.quote(usual['PATH'])}", odd.before, f"export PATH={shlex.quote(path)}", without]
    (case / "snnsearch").write_text("from search.cli import main\nmain()\n")  # as pip installs it
    program = ["-m", "search"] if odd.module else [str(case / "snnsearch")]
    command = [sys.executable, *program, *map(here, WORDS[odd.command])]
    done = subprocess.run(
        ["/bin/bash", "-c", "\n".join([*script, odd.start]), "-", *command],
        cwd=here(odd.cwd), env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    said = [stream.decode(errors="replace").replace("\0", "") for stream in (done.stdout, done.stderr)]
    return Outcome(done.returncode, *said, study=case / "cwd" / here(odd.runs) / "mini")


def check_end(odd: Odd, ended: Outcome) -> None:
    """Check that a command did its work, or ended with one message that says what to do."""
    for word in ("Traceback", "Exception ignored", "Segmentation fault"):
        assert word not in ended.out + ended.err, ended
    if ended.status == 2 and odd.refuses:
        assert re.search(odd.refuses, ended.err), ended
        assert ended.err.count("snnsearch: ") <= 1, ended  # none: a usage error
    else:
        assert ended.status in odd.codes, ended


def check_records(odd: Odd, ended: Outcome) -> None:
    """Check that a study that was begun is readable, and that one that ended well has its trial."""
    database = ended.study / "study.db"
    if not os.path.exists(database):  # False for a name that is too long
        mounted = "unshare" in odd.needs  # a file system that was mounted for the command is gone
        assert ended.status or odd.command not in (LAUNCH, RAY) or mounted, ended
    elif ended.status == 0:
        trials = load_study_folder(ended.study).trials
        assert [trial.status for trial in trials if trial.status != "waiting"] == ["complete"], ended
    elif study_names(sqlite_url(database)):  # none if the disk was full before the study was created
        load_study_folder(ended.study)


@pytest.mark.parametrize("odd", ODD_MACHINES, ids=IDS)
def test_command_works_or_says_what_to_do(odd: Odd, place: Path, request: pytest.FixtureRequest) -> None:
    usual = {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm", "XDG_CACHE_HOME": str(place / "cache"),
        "OMP_NUM_THREADS": "1", "PYTHONPATH": str(request.getfixturevalue("wheel") if "wheel" in odd.needs else ROOT),
    }  # fmt: skip
    for need in odd.needs:
        usual |= require(need)
    ended = run(odd, place / str(ODD_MACHINES.index(odd)), usual)
    check_end(odd, ended)
    check_records(odd, ended)


def test_names_are_unique() -> None:
    keys = [(odd.name, odd.command) for odd in ODD_MACHINES]
    assert len(set(keys)) == len(keys) >= 100
