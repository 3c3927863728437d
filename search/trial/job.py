"""One candidate to train, complete enough to be sent to another process or machine, and what comes back of it."""

import contextlib
import logging
import time
import zlib
from pathlib import Path

from pydantic import Field, ValidationError

from reports.records.study import Leaf, ModuleState, StartRecord, Status, TrialRecord
from reports.storage.files import replace_text
from reports.storage.results import RESULT, write_result
from search.space.candidate import Candidate
from search.space.limits import Limits
from snnkit.base.config import Config

CHECKPOINT = "checkpoint.pt"  # of a trial that trains
TWIN_CHECKPOINT = "twin.pt"  # of its CNN twin, where that is trained first
BEAT = "beat.json"  # of a trial that trains: signs of life
WEIGHTS = "weights.pt"  # of a trial that is complete
START = "start.json"  # where the weights of a trial that trains came from
STARTS = "starts.json"  # what was to be trained, and how often it was begun

logger = logging.getLogger(__name__)


class Parent(Config):
    """A trial that another one takes its weights from, when it is finished."""

    number: int
    candidate: Candidate
    weights: Path
    images: int = 0  # that it was trained on, by itself and by those that it inherited from
    macs: float = 0.0

    def trained(self, record: TrialRecord) -> "Parent":
        """With what stands behind its weights by its record."""
        before = record.start
        images = record.training_images + (before.inherited_images if before else 0)
        macs = record.training_macs + (before.inherited_macs if before else 0.0)
        return self.model_copy(update={"images": images, "macs": macs})


class Job(Config):
    """What a worker needs: the candidate, where its files go, and the seed that everything random follows."""

    number: int
    name: str | None
    params: dict[str, Leaf]
    candidate: Candidate
    modules: tuple[ModuleState, ...]
    static: dict[str, int]
    folder: Path  # runs/<study>/trials/<number>
    seed: int
    limits: Limits = Limits()
    twin: bool = False  # trained as the CNN twin: ReLU in place of neurons, one pass in place of time steps
    parents: tuple[Parent, ...] = ()  # where it starts with the weights of one, or is the mean of several
    taught_by: Candidate | None = None  # the CNN twin of which one is the teacher; None: its own
    exchange: str | None = None  # URL of its run's files, where the machine that trains it shares no folder

    @property
    def parent(self) -> Parent | None:
        """The one that it starts with the weights of."""
        return self.parents[0] if len(self.parents) == 1 else None

    @property
    def is_mean(self) -> bool:
        """Of its parents; not trained."""
        return len(self.parents) > 1


class Placement(Config):
    """Where a worker runs and where it finds the data."""

    device: str = "cpu"  # "cpu" or "cuda"
    threads: int = 1
    data_root: Path | None = None


class Starts(Config):
    """How often a trial was started, and how often of late without having got any further; and what it is."""

    starts: int = 0
    idle: int = 0
    checkpoint: int = 0  # a digest of what it last began from; 0 where that was nothing
    name: str | None = None
    params: dict[str, Leaf] = Field(default_factory=dict)


def read_starts(folder: Path) -> Starts | None:
    """None where no worker has begun, or what it left cannot be read."""
    try:
        return Starts.model_validate_json((folder / STARTS).read_bytes())
    except (OSError, ValidationError):
        return None


def write_starts(job: Job, starts: Starts) -> None:
    """Raises OSError."""
    known = starts.model_copy(update={"name": job.name, "params": job.params})
    replace_text(job.folder / STARTS, known.model_dump_json())


def reached(folder: Path) -> int:
    """A digest of what a trial would go on from; 0 where that is nothing. Times are those of the machine it is on."""
    digest = 0
    for path in (folder / CHECKPOINT, folder / TWIN_CHECKPOINT):
        with contextlib.suppress(OSError):
            digest = zlib.crc32(path.read_bytes(), digest)
    return digest


def outline(
    job: Job, *, status: Status = "running", reason: str | None = None, traceback: str | None = None,
    duplicate_of: int | None = None,
) -> TrialRecord:  # fmt: skip
    """The record of a trial in which nothing was trained, or not yet."""
    return TrialRecord(
        number=job.number, status=status, name=job.name, params=job.params, modules=job.modules, static=job.static,
        seed=job.seed, reason=reason, traceback=traceback, duplicate_of=duplicate_of,
    )  # fmt: skip


def keep(folder: Path, record: TrialRecord) -> None:
    """Leave the record of a trial that is over, where the disk takes it; its driver has it in any case."""
    try:
        write_result(folder, record)
        for name in (CHECKPOINT, TWIN_CHECKPOINT, BEAT):
            (folder / name).unlink(missing_ok=True)
        log(folder, f"event=end status={record.status} reason={record.reason!r} wall_s={record.wall_s:.1f}")
    except OSError as error:
        logger.warning("result or its log line not written folder=%s error=%s", folder, error)


def write_start(folder: Path, start: StartRecord) -> None:
    """Kept until the trial is over: when it is taken up again, its weights are those of its checkpoint. Raises
    OSError."""
    replace_text(folder / START, start.model_dump_json())


def read_start(folder: Path) -> StartRecord | None:
    """None where the trial drew its weights, or has not come to having any."""
    try:
        return StartRecord.model_validate_json((folder / START).read_bytes())
    except (OSError, ValidationError):
        return None


def log(folder: Path, line: str) -> None:
    """A line in the trial's ``log.txt``. Raises OSError."""
    with open(folder / "log.txt", "a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")


def forget(folder: Path) -> None:
    """Make room for another try of a trial that failed. Raises OSError."""
    for name in (RESULT, STARTS):
        (folder / name).unlink(missing_ok=True)
