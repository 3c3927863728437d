"""The stored shape of a benchmark: what was to be trained, on what, and what came of it. Frozen, no torch."""

from typing import Literal

from pydantic import Field

from reports.records.study import Moment, Record, ReferencePoint, TrialRecord, Versioned

Kind = Literal["snn", "cnn"]
KINDS: dict[Kind, str] = {"snn": "SNN", "cnn": "CNN twin"}


class Cell(Record):
    """One training: its place in `BenchmarkHeader.cells` is its number."""

    data: str
    network: str
    kind: Kind
    seed: int

    @property
    def label(self) -> str:
        return f"{self.data} {self.network} {KINDS[self.kind]} seed {self.seed}"


class Published(Record):
    """A published result to stand beside ours: on the test set, energy by ``price``, operations by its preset."""

    data: str
    network: str
    kind: Kind
    accuracy: float = Field(ge=0, le=1)
    f1: float | None = Field(None, ge=0, le=1)
    acs: float | None = Field(None, ge=0)
    macs: float | None = Field(None, ge=0)
    params: float | None = Field(None, gt=0)
    energy_mj: float | None = Field(None, gt=0)
    price: str = "horowitz45/paper2602"
    source: str = ""
    note: str = ""  # what is known of a figure that cannot be had again


class Setup(Record):
    """How all networks are trained on one data set."""

    data: str
    train: int  # images trained on
    validation: int
    train_of: int  # training images that the data set has
    test: int
    test_of: int
    side: int  # pixels
    side_of: int
    classes: int
    classes_of: int
    epochs: int
    timesteps: int  # of the SNNs
    training: str  # "3 epochs, batch 64, adamw with lr 0.002 ..."
    own: dict[str, str] = Field(default_factory=dict)  # network -> what of its neurons, encoding, training is different


class Sitting(Record):
    """One run of the command that trained some of it."""

    started_at: Moment
    command: str
    commit: str | None
    versions: dict[str, str]
    machine: str


class BenchmarkHeader(Versioned):
    """What a benchmark consists of. Stored once; ``sittings`` grow."""

    name: str
    cells: tuple[Cell, ...]
    networks: tuple[str, ...]
    setups: tuple[Setup, ...]
    price: str  # the one of the ``energy`` section; reports show the others beside it
    published: tuple[Published, ...] = ()
    references: tuple[ReferencePoint, ...] = ()  # published results of other networks, for all of ours to compare with
    benchmark_yaml: str  # resolved, which `snnsearch bench` takes as it is
    benchmark_hash: str
    sittings: tuple[Sitting, ...] = ()


class BenchmarkRecord(Record):
    header: BenchmarkHeader
    trials: tuple[TrialRecord, ...]  # one for each cell, in their order; waiting or running where it has no result
