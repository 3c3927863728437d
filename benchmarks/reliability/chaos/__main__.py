"""`python -m benchmarks.reliability.chaos`: strike studies, compare them with undisturbed ones, and count."""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.chaos.faults import FAULTS, Fault, Scene
from benchmarks.reliability.chaos.processes import ROOT, DriverProcess, wait_until
from benchmarks.reliability.memory import used_share
from benchmarks.search.outcomes import figures
from reports.records.study import StudyRecord, TrialRecord
from reports.storage.studies import LedgerError, load_study_folder
from search.runner.progress import TRAINED_TO_END

NAME = "struck"
TRIALS = 8
MAX_STRIKES = 5  # per study
MAX_DELAY_S = 4.0  # between progress of a study and the strike
DRIVER_TIMEOUT_S = 240  # a driver must end within this time after the last strike
SETS = (f"study.name={NAME}", "study.limits={stall_timeout: 20s}", "data.subset=1200", "train.epochs=3")
TRAINED_WELL = (*TRAINED_TO_END, "stopped")  # what a budget counts, except failed trials, which must not occur
MEMORY_SHARE = 0.15  # share of this machine's memory that a driver and a worker may use


class BrokenPromiseError(Exception):
    """A guarantee of the service was broken."""


class StruckStudy:
    """A study in its own folder, which faults strike."""

    def __init__(self, runs: Path, executor: str) -> None:
        self.runs, self.executor = runs, executor
        self.folder = runs / NAME
        self.chaos = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.log = self.chaos / "drivers.log"
        self.strikes = 0  # strikes that had an effect

    def start(self) -> DriverProcess:
        begun = (self.folder / "header.json").exists()
        words = ["resume", NAME] if begun else ["launch", str(ROOT / "spaces/smoke.yaml")]
        budget = f"study.budget={{trials: {TRIALS}}}"
        sets = [] if begun else [word for each in (*SETS, budget) for word in ("--set", each)]
        more = ["--runs", str(self.runs), "--executor", self.executor, "--workers", "1", "--device", "cpu"]
        limit = {"RAY_memory_usage_threshold": f"{min(0.95, used_share() + MEMORY_SHARE):.3f}"}
        return DriverProcess([*words, *sets, *more], self.log, self.chaos, limit)

    def study(self) -> StudyRecord | None:
        try:
            return load_study_folder(self.folder)
        except LedgerError:
            return None

    def finished(self) -> dict[int, TrialRecord]:
        study = self.study()
        return {t.number: t for t in study.trials if t.status in TRAINED_WELL} if study else {}

    def count_in_logs(self, what: str) -> int:
        logs = self.folder.glob("trials/*/log.txt")
        return sum(path.read_text(errors="replace").count(what) for path in logs)

    def check_refusal(self) -> None:
        driver = self.start()
        status = driver.wait(60)
        driver.end()
        said = self.log.read_text(errors="replace")
        if status in (0, None) or "Traceback" in said:
            raise BrokenPromiseError(f"a driver that cannot write ended with {status}: {said[-300:]}")

    def finish(self) -> int:
        """Resume until all trials are done; return the number of attempts."""
        for tries in range(1, 6):
            driver = self.start()
            status = driver.wait(300)
            driver.end()
            if status is None:
                raise BrokenPromiseError("a driver that was not struck hangs")
            if status == 0 and len(self.finished()) >= TRIALS:
                return tries
        raise BrokenPromiseError(
            f"not done after {tries} resumes; the last one ended with {status}: {self.log.read_text()[-300:]}"
        )


def strike(struck: StruckStudy, fault: Fault, rng: random.Random) -> None:
    """Strike a study up to MAX_STRIKES times, then finish it. Raises BrokenPromiseError.

    Every second strike waits for a finished epoch, because a trial is given up after its worker has died three times
    without one.
    """
    driver = struck.start()
    scene = Scene(struck.folder, struck.chaos, driver, rng, struck.check_refusal)
    known: dict[int, TrialRecord] = {}
    try:
        for turn in range(4 + 2 * MAX_STRIKES):
            if scene.driver.ended:
                check_end(struck, fault, scene.driver)
                if len(struck.finished()) >= TRIALS:
                    break
                scene.driver = struck.start()
            wait_for_more(struck, scene.driver, ("event=start", "val_accuracy=")[turn % 2])
            time.sleep(rng.uniform(0, MAX_DELAY_S))
            known = struck.finished() | known
            if not scene.driver.ended and fault.strike(scene):
                struck.strikes += 1
            if struck.strikes == MAX_STRIKES:
                break
        check_end(struck, fault, scene.driver)
    finally:
        scene.driver.end()
    struck.finish()
    now = struck.finished()
    for number, record in known.items():
        if now.get(number) != record:
            raise BrokenPromiseError(f"trial {number} is not what it was")


def check_end(struck: StruckStudy, fault: Fault, driver: DriverProcess) -> None:
    """Check how a driver ended. Raises BrokenPromiseError."""
    status = driver.wait(DRIVER_TIMEOUT_S)
    driver.end()
    if status is None:
        raise BrokenPromiseError("a driver hangs")
    if status != 0 and struck.executor in fault.survives:
        raise BrokenPromiseError(f"a driver ended with {status} instead of continuing: {struck.log.read_text()[-300:]}")


def wait_for_more(struck: StruckStudy, driver: DriverProcess, what: str) -> None:
    """Wait until ``what`` appears once more in the logs of the trials, or until the driver has ended."""
    before = struck.count_in_logs(what)
    wait_until(lambda: struck.count_in_logs(what) > before or driver.ended, 60)


def check(struck: StruckStudy, fault: Fault, whole: StudyRecord) -> None:
    """Check a finished study. Raises BrokenPromiseError."""
    study = struck.study()
    if study is None:
        raise BrokenPromiseError("there is no study to be read")
    if [t.number for t in study.trials] != list(range(len(study.trials))):
        raise BrokenPromiseError("numbers are not contiguous")
    if left := [t.number for t in study.trials if t.status in ("running", "waiting")]:
        raise BrokenPromiseError(f"trials {left} are neither over nor under way")
    failed = [(t.number, t.reason) for t in study.trials if t.status == "failed"]
    if lost := [each for each in failed if "damaged database" not in str(each[1])]:
        raise BrokenPromiseError(f"failed: {lost}")
    if "Traceback" in (said := struck.log.read_text(errors="replace")):
        raise BrokenPromiseError(f"a driver ended with a traceback: {said[-2000:]}")
    if (trained := sum(t.status in TRAINED_WELL for t in study.trials)) != TRIALS:
        raise BrokenPromiseError(f"{trained} trained, {TRIALS} asked for")
    if fault.reproduces and [figures(t) for t in study.trials] != [figures(t) for t in whole.trials]:
        raise BrokenPromiseError("not the study that an undisturbed one is")


@contextmanager
def study_folder(fault: Fault | None) -> Iterator[Path]:
    """Yield a folder for a study. Faults of the disk get a small file system, which requires root."""
    runs = Path(tempfile.mkdtemp(prefix="runs-"))
    small = fault is not None and fault.disk
    if small:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(runs)], check=True)
    try:
        yield runs
    finally:
        if small:
            subprocess.run(["umount", "--lazy", str(runs)], check=True)
        shutil.rmtree(runs, ignore_errors=True)


def undisturbed(executor: str) -> StudyRecord:
    with study_folder(None) as runs:
        struck = StruckStudy(runs, executor)
        struck.finish()
        study = struck.study()
        assert study is not None
        return study


def rows(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def strikes_of(row: Mapping[str, object]) -> int:
    return int(str(row["strikes"]))


def run(out: Path, strikes: int, names: list[str]) -> None:
    """Strike studies and append a line for each, until there are ``strikes``."""
    whole: dict[str, StudyRecord] = {}
    cases = [(FAULTS[name], executor) for name in names for executor in FAULTS[name].executors]
    before = rows(out)
    studies, made = len(before), sum(map(strikes_of, before))
    while made < strikes:
        fault, executor = cases[studies % len(cases)]
        if executor not in whole:
            whole[executor] = undisturbed(executor)
        began, broken = time.monotonic(), None
        with study_folder(fault) as runs:
            struck = StruckStudy(runs, executor)
            try:
                strike(struck, fault, random.Random(studies))
                check(struck, fault, whole[executor])
            except BrokenPromiseError as error:
                broken = str(error)
                shutil.copytree(runs, out.with_name(f"{out.stem}-{studies}"), dirs_exist_ok=True)
                shutil.copy(struck.log, out.with_name(f"{out.stem}-{studies}.log"))
            shutil.rmtree(struck.chaos)
        row = {"fault": fault.name, "executor": executor, "strikes": struck.strikes, "broken": broken}
        with out.open("a") as file:
            file.write(json.dumps(row | {"wall_s": round(time.monotonic() - began, 1)}) + "\n")
        print(json.dumps(row), flush=True)
        studies, made = studies + 1, made + struck.strikes


def table(out: Path) -> Iterator[str]:
    yield "| fault | executor | studies | faults | survived |\n|---|---|---|---|---|"
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in rows(out):
        key = (str(row["fault"]), str(row["executor"]))
        strikes = strikes_of(row)
        of_this = {"studies": 1, "strikes": strikes, "survived": strikes if row["broken"] is None else 0}
        for what, count in of_this.items():
            counts[(*key, what)] += count
            counts[("all", "", what)] += count
    for name, executor in sorted(dict.fromkeys(key[:2] for key in counts), key=lambda key: key[0] == "all"):
        studies, strikes, survived = (counts[name, executor, what] for what in ("studies", "strikes", "survived"))
        yield f"| {name} | {executor} | {studies} | {strikes} | {survived} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("chaos.jsonl"))
    parser.add_argument("--strikes", type=int, default=200)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(options.table)))
    else:
        run(options.out, options.strikes, options.faults)


if __name__ == "__main__":
    main()
