"""The files of a run: their names, and how each one is read and written.

    runs/<name>/           RunFolder: a study or a benchmark
        study.db, space.yaml, header.json        of a study
        benchmark.json, benchmark.yaml           of a benchmark
        exchange.txt       URL that the files go through if machines share no folder
        driver.lock        held by the driver
        twins/             trained CNN twins, by fingerprint
        supernet/          checkpoint and ranking of the supernet
        evidence.json, evidence/    trials of an older study, and their weights
        trials/<number>/   TrialFolder: one trial
        trials/<number>/fidelity-1/ ...    its training at each fidelity below the full one, with the same files

Several processes use these files, and any of them may be killed. So every file that is read again is replaced in one
step, and a file that cannot be read counts as missing.
"""

import contextlib
import logging
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from reports.records.study import Leaf, Measured, StartRecord, StudyHeader, TrialRecord
from reports.storage.benchmarks import HEADER as BENCHMARK_HEADER
from reports.storage.benchmarks import trial_folder
from reports.storage.files import replace_text
from reports.storage.results import RESULT, read_result, write_result
from reports.storage.studies import DATABASE
from reports.storage.studies import HEADER as STUDY_HEADER
from snnkit.base.config import Config

M = TypeVar("M", bound=BaseModel)

FIDELITY = "fidelity-"  # begins the name of a folder in a trial's

logger = logging.getLogger(__name__)


class Attempts(Config):
    """How often workers started a trial, and what it is, so that it can be rebuilt without the database."""

    starts: int = 0
    idle: int = 0  # latest starts in a row that began from the same checkpoint
    checkpoint: int = 0  # digest of the checkpoints at the latest start; 0 if there were none
    name: str | None = None
    params: dict[str, Leaf] = Field(default_factory=dict)


class Heartbeat(Config):
    """A sign of life: ``count`` rises while the trial makes progress, ``spent_s`` adds up over all starts."""

    count: int = 0
    spent_s: float = 0.0


@dataclass(frozen=True)
class TrialFolder:
    """``runs/<name>/trials/<number>``, or the folder of a fidelity in it. Writers raise OSError."""

    path: Path

    @property
    def run(self) -> "RunFolder":
        return RunFolder(self.trial.path.parent.parent)

    @property
    def trial(self) -> "TrialFolder":
        """The folder of the whole trial."""
        return TrialFolder(self.path.parent) if self.path.name.startswith(FIDELITY) else self

    def at(self, fidelity: int | None) -> "TrialFolder":
        """The folder of a whole trial's training at ``fidelity``, from 1; None: at the full one."""
        return self if fidelity is None else TrialFolder(self.path / f"{FIDELITY}{fidelity}")

    def finished_below(self) -> tuple[TrialRecord, ...]:
        """Records of a whole trial's trainings at the fidelities below the full one, the cheapest first."""
        found: list[TrialRecord] = []
        while (record := self.at(len(found) + 1).read_result()) is not None:
            found.append(record)
        return tuple(found)

    @property
    def checkpoint(self) -> Path:
        """State of the training; removed at its end."""
        return self.path / "checkpoint.pt"

    @property
    def twin_checkpoint(self) -> Path:
        """State of the training of the CNN twin; removed at the end of the trial."""
        return self.path / "twin.pt"

    @property
    def twin_name(self) -> Path:
        """Name of the file of the trained CNN twin in the run's ``twins``, for the training at the next fidelity."""
        return self.path / "twin.txt"

    @property
    def weights(self) -> Path:
        """The trained network of a complete trial."""
        return self.path / "weights.pt"

    @property
    def result(self) -> Path:
        """The record of a trial that has ended."""
        return self.path / RESULT

    @property
    def start(self) -> Path:
        """The source of the initial weights."""
        return self.path / "start.json"

    @property
    def attempts(self) -> Path:
        return self.path / "starts.json"

    @property
    def heartbeat(self) -> Path:
        return self.path / "beat.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def hang_trace(self) -> Path:
        """Stack traces of a worker that hung."""
        return self.path / "hung.txt"

    @property
    def batch_parts(self) -> Path:
        """Number of parts that each batch is split into, written after a trial ran out of memory."""
        return self.path / "accumulate.txt"

    def rung(self, epoch: int) -> Path:
        """The measurement of the network after ``epoch``."""
        return self.path / f"rung-{epoch}.json"

    def exists(self) -> bool:
        return self.path.is_dir()

    def create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def log(self, line: str) -> None:
        """Append a line to ``log.txt``."""
        with open(self.log_file, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")

    def read_result(self) -> TrialRecord | None:
        return read_result(self.path)

    def write_result(self, record: TrialRecord) -> None:
        self.create()
        write_result(self.path, record)

    def read_start(self) -> StartRecord | None:
        """None if the weights were drawn at random, or are not set yet."""
        return _read(StartRecord, self.start)

    def write_start(self, start: StartRecord) -> None:
        replace_text(self.start, start.model_dump_json())

    def read_attempts(self) -> Attempts | None:
        """None if no worker has started the trial."""
        return _read(Attempts, self.attempts)

    def write_attempts(self, attempts: Attempts) -> None:
        replace_text(self.attempts, attempts.model_dump_json())

    def read_heartbeat(self) -> Heartbeat:
        """The latest sign of life; a count of 0 if there is none."""
        return _read(Heartbeat, self.heartbeat) or Heartbeat()

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        replace_text(self.heartbeat, heartbeat.model_dump_json())

    def read_rung(self, epoch: int) -> Measured | None:
        return _read(Measured, self.rung(epoch))

    def write_rung(self, epoch: int, measured: Measured) -> None:
        replace_text(self.rung(epoch), measured.model_dump_json())

    def read_batch_parts(self) -> int:
        """1 unless the trial ran out of memory."""
        try:
            return max(1, int(self.batch_parts.read_text()))
        except (OSError, ValueError):
            return 1

    def write_batch_parts(self, parts: int) -> None:
        replace_text(self.batch_parts, str(parts))

    def checkpoint_digest(self) -> int:
        """CRC of the checkpoints that the trial would resume from; 0 if there are none."""
        digest = 0  # not the times of the files: the clocks of machines differ
        for path in (self.checkpoint, self.twin_checkpoint):
            with contextlib.suppress(OSError):
                digest = zlib.crc32(path.read_bytes(), digest)
        return digest

    def finish(self, record: TrialRecord) -> None:
        """Write the record of a trial that has ended, and remove what only a running trial needs.

        A full disk is a warning here, because the driver receives the record too.
        """
        try:
            self.write_result(record)
            for path in (self.checkpoint, self.twin_checkpoint, self.heartbeat):
                path.unlink(missing_ok=True)
            self.log(f"event=end status={record.status} reason={record.reason!r} wall_s={record.wall_s:.1f}")
        except OSError as error:
            logger.warning("result or its log line not written folder=%s error=%s", self.path, error)

    def discard_progress(self) -> None:
        """Remove what was recorded during a training that restarts from the beginning."""
        for path in (*self.path.glob("rung-*.json"), self.start):
            path.unlink(missing_ok=True)

    def discard_failure(self) -> None:
        """Remove the result and the count of starts, so that a failed trial can run again."""
        for path in (self.result, self.attempts):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunFolder:
    """``runs/<name>``: a study or a benchmark."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def absolute(self) -> "RunFolder":
        """The same folder as the machines of a cluster see it."""
        return RunFolder(self.path.absolute())

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    @property
    def space(self) -> Path:
        """The resolved space, as YAML."""
        return self.path / "space.yaml"

    @property
    def header(self) -> Path:
        """The study's header as it was launched, kept in case the database is damaged."""
        return self.path / STUDY_HEADER

    @property
    def evidence(self) -> Path:
        """The trials of an older study that the sampler learns from, kept in case the database is damaged."""
        return self.path / "evidence.json"

    def older_weights(self, number: int) -> Path:
        """The weights of a trial of the older study, from which trials of this one may inherit."""
        return self.path / "evidence" / f"{number}.pt"

    @property
    def benchmark(self) -> Path:
        """The resolved benchmark, as YAML."""
        return self.path / "benchmark.yaml"

    @property
    def benchmark_header(self) -> Path:
        return self.path / BENCHMARK_HEADER

    @property
    def exchange(self) -> Path:
        """The note of the URL that the files go through."""
        return self.path / "exchange.txt"

    @property
    def supernet_checkpoint(self) -> Path:
        return self.path / "supernet" / "checkpoint.pt"

    @property
    def supernet_ranking(self) -> Path:
        """One line of JSON for each candidate that the supernet has evaluated."""
        return self.path / "supernet" / "ranking.jsonl"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def twins(self) -> Path:
        """The folder of the trained CNN twins."""
        return self.path / "twins"

    def twin(self, fingerprint: str) -> Path:
        """The trained CNN twin of that training fingerprint."""
        return self.twins / f"{fingerprint[:16]}.pt"

    def trial(self, number: int, fidelity: int | None = None) -> TrialFolder:
        return TrialFolder(trial_folder(self.path, number)).at(fidelity)

    def trial_folders(self) -> Iterator[tuple[int, TrialFolder]]:
        """All trials that have left files, in no particular order."""
        for path in self.trials.glob("[0-9]*"):
            if path.name.isdecimal():
                yield int(path.name), TrialFolder(path)

    def has_trials(self) -> bool:
        """Whether anything lies in ``trials``."""
        return next(self.trials.glob("*"), None) is not None

    def create(self) -> None:
        """Create the folder and its ``trials``. Raises OSError."""
        self.trials.mkdir(parents=True, exist_ok=True)

    def read_header(self) -> StudyHeader:
        """Raises OSError, ValidationError."""
        return StudyHeader.model_validate_json(self.header.read_bytes())

    def read_exchange(self) -> str | None:
        """The URL that the run's files go through; None if there is none."""
        try:
            return self.exchange.read_text().strip()
        except FileNotFoundError:
            return None


def _read(model: type[M], path: Path) -> M | None:
    """The content of a JSON file; None if it is missing or cannot be read."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
