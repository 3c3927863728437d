"""The stored records of a benchmark: what it trains, on which data, and the results. Frozen, no torch."""

from typing import Literal

from pydantic import Field

from reports.records.study import FigureRecord, Moment, Record, ReferencePoint, TrialRecord, Versioned

Kind = Literal["snn", "cnn"]
KINDS: dict[Kind, str] = {"snn": "SNN", "cnn": "CNN twin"}


class Cell(Record):
    """One training. Its number is its index in `BenchmarkHeader.cells`."""

    data: str
    network: str
    kind: Kind
    seed: int

    @property
    def label(self) -> str:
        return f"{self.data} {self.network} {KINDS[self.kind]} seed {self.seed}"


class Published(Record):
    """A published result on the test set, with energy by ``price`` and operations by its counting preset."""

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
    note: str = ""  # a caveat about figures that cannot be reproduced


class Setup(Record):
    """How all networks are trained on one data set."""

    data: str
    train: int  # number of training images used
    validation: int
    train_of: int  # number of training images in the data set
    test: int
    test_of: int
    side: int  # of the square images, in pixels
    side_of: int
    classes: int
    classes_of: int
    epochs: int
    timesteps: int  # of the SNNs
    training: str  # "3 epochs, batch 64, adamw with lr 0.002 ..."
    own: dict[str, str] = Field(default_factory=dict)  # network -> its own settings of neurons, encoding and training


class Sitting(Record):
    """One run of the command that trained a part of the benchmark."""

    started_at: Moment
    command: str
    commit: str | None
    versions: dict[str, str]
    machine: str  # "NVIDIA H200; 16 cores of AMD EPYC, 128 GiB, Linux"
    hardware: str = ""  # what trained: "NVIDIA H200" or "2 cores of AMD EPYC"; empty in records before version 7


class BenchmarkHeader(Versioned):
    """What a benchmark consists of. Every run of the command adds one of ``sittings``."""

    name: str
    cells: tuple[Cell, ...]
    networks: tuple[str, ...]
    own_figures: tuple[FigureRecord, ...] = ()  # that the benchmark asks for
    setups: tuple[Setup, ...]
    price: str  # from the ``energy`` section; reports also show the other energy models
    energy_rules: dict[str, str] = Field(default_factory=dict)  # energy model -> its rule in words
    published: tuple[Published, ...] = ()
    references: tuple[ReferencePoint, ...] = ()  # other networks, which all of ours are compared with
    benchmark_yaml: str  # resolved; `snnsearch bench` runs it as it is
    benchmark_hash: str
    sittings: tuple[Sitting, ...] = ()


class BenchmarkRecord(Record):
    header: BenchmarkHeader
    trials: tuple[TrialRecord, ...]  # one for each cell, in the same order; waiting or running without a result
