"""The stored shape of a study: what a trial left behind, and what the study was. Versioned, frozen, no torch.

`search` writes these, the ledger reads them back; a report is made from nothing else.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# 2: operations by preset, MACs on what is not zero. 3: images, MACs, what was measured at rungs. 4: status infeasible,
# epochs of a twin, where weights came from, what shared weights said. 5: batches in parts. 6: means of weights. 7: the
# hardware of a benchmark
RECORD_VERSION = 7

Leaf = bool | int | float | str
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what is worked with as a float, too
Moment = Annotated[float, Field(ge=0, lt=253_402_300_800)]  # UTC seconds since 1970, up to the year 9999
Direction = Literal["maximize", "minimize"]
Status = Literal["complete", "infeasible", "failed", "stopped", "refused", "duplicate", "running", "waiting"]
"""complete: trained to the end, all objectives finite. infeasible: the same, but what was measured breaks a hard
constraint: on no front. failed: an exception (traceback kept) or a lost worker. stopped: training ended early, for a
reason of its own (NaN loss, dead network, too little time or memory) or at a rung. refused: breaks a hard constraint,
as is known before training, or does not build: never trained. duplicate: equal to an earlier trial, never trained.
running, waiting: not over."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Versioned(Record):
    """What is stored by itself, and read by `reports.records.versions`."""

    version: Whole = RECORD_VERSION


class ModuleState(Record):
    """One cell of a candidate's strip: ``fire4``, kept / removed / resized, ``32 / 128 + 128``."""

    name: str
    state: Literal["kept", "removed", "resized"]
    detail: str


class LayerRecord(Record):
    """One layer, per inference, summed over time steps, mean over the validation images."""

    name: str
    macs: float
    acs: float
    dense_macs: Whole  # of one dense evaluation
    spikes_in: float
    spikes_out: float
    neurons: Whole
    firing_rate: float | None  # spikes out / (neurons x T); None where the layer has no neurons
    params: Whole
    energy_mj: dict[str, float]  # by price name, as in Metrics


class Operations(Record):
    """Of a whole network and one inference, as a counting preset counts them."""

    macs: float
    acs: float


class Measured(Record):
    """What the search may see of a network. Ratios are 0..1. Energy is keyed ``model/preset``: ``horowitz45/exact``,
    ``horowitz45/paper2602``, ``lemaire2022/exact``; counts and energy are per inference on validation images."""

    accuracy: float  # on the validation split: what the search sees
    params: Whole
    dense_macs: Whole
    macs: float
    acs: float
    spikes: float
    firing_rate: float  # spikes / (neurons x T) over all spiking layers
    timesteps: Whole
    energy_mj: dict[str, float]
    twin_energy_mj: dict[str, float]  # the same network with ReLU, dense multiply-accumulates, same keys
    operations: dict[str, Operations] = Field(default_factory=dict)  # by preset: exact (macs, acs above), paper2602
    nonzero_macs: float | None = None  # those of macs whose input is not zero; in a CNN twin ReLU makes zeros


class Metrics(Measured):
    """What was measured when training was over."""

    test_accuracy: float  # looked at once; no sampler sees it
    test_f1: float  # macro


class EpochRecord(Record):
    epoch: Whole  # 1-based
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    wall_s: float
    images: Whole = 0  # trained on; 0 in records before version 3
    macs: float = 0.0  # dense multiply-accumulates of training on them, forward and backward
    measured: Measured | None = None  # at rungs
    twin: bool = False  # of the CNN twin, which is trained first where a trial starts from it


class StartRecord(Record):
    """Where a trial's first weights came from, in a space that lets them come from elsewhere than a draw."""

    kind: Literal["scratch", "inherit", "cnn", "mean"]  # what came of it, which may be less than was asked for
    reason: str | None = None  # why it was scratch all the same, in one sentence
    parent: Whole | None = None  # number of the trial that it inherited from, or should have; that trained its twin
    parents: tuple[Whole, ...] = ()  # numbers of the trials whose mean it is
    layers: dict[str, Whole] = Field(default_factory=dict)  # copied, cut, padded, rewired, drawn: how many layers
    refitted: Whole = 0  # layers that were fitted to the parent's outputs
    inherited_images: Whole = (
        0  # that its parent was trained on, and its parent's parents; in their ledgers, not in its
    )
    inherited_macs: float = 0.0
    history: tuple[EpochRecord, ...] = ()  # of the CNN twin

    @property
    def wall_s(self) -> float:
        return sum(epoch.wall_s for epoch in self.history)


class SharedRecord(Record):
    """What a supernet's weights say of a candidate, before any training of its own."""

    place: Whole  # in the ranking, 1-based: by non-dominated rank, then by distance on the front
    rank: Whole  # 0 on the front
    values: dict[str, float]  # objective -> value


class SupernetRecord(Record):
    """What ranking by shared weights has cost, its networks and all that judged them."""

    ranked: Whole  # candidates
    epochs: Whole = 0
    images: Whole = 0  # forward and backward; judging included, which is forward only
    macs: float = 0.0  # dense multiply-accumulates of all that
    wall_s: float = 0.0


class TrialRecord(Versioned):
    number: Whole
    status: Status
    name: str | None = None  # a named candidate of the space: "SqueezeNet-P"
    params: dict[str, Leaf] = Field(default_factory=dict)  # the active dials by path: network.fire5.keep
    modules: tuple[ModuleState, ...] = ()
    static: dict[str, Whole] = Field(default_factory=dict)  # params, dense_macs: known before training
    metrics: Metrics | None = None  # of complete and infeasible trials, as the next two
    values: dict[str, float] = Field(default_factory=dict)  # objective -> value
    layers: tuple[LayerRecord, ...] = ()
    history: tuple[EpochRecord, ...] = ()
    shared: SharedRecord | None = None  # where the study ranked its candidates by shared weights
    start: StartRecord | None = None  # None: all weights were drawn, as they were to be
    reason: str | None = None  # why it is not complete, in one sentence
    traceback: str | None = None
    duplicate_of: Whole | None = None
    seed: Whole = 0
    started_at: Moment | None = None
    finished_at: Moment | None = None
    wall_s: float = 0.0  # seconds spent on it, interruptions left out
    restarts: Whole = 0
    accumulate: Whole = 1  # parts that each batch was taken in, once memory had run out
    device: str | None = None  # "cpu (1 thread)", "cuda: NVIDIA H200"

    @property
    def training_images(self) -> int:
        """Trained on in all finished epochs, those of its CNN twin included; what an interruption made it do again is
        left out, and what a parent was trained on."""
        return sum(epoch.images for epoch in self.epochs)

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of the same."""
        return sum(epoch.macs for epoch in self.epochs)

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """All that were trained for it, its CNN twin's first."""
        return (*(self.start.history if self.start else ()), *self.history)


class ObjectiveRecord(Record):
    name: str  # accuracy, energy_mj, params ...
    direction: Direction


class ReferencePoint(Record):
    """A published result to compare with: measured on the test set, priced by ``price``."""

    label: str
    accuracy: float
    energy_mj: float
    params: Whole
    price: str = "horowitz45/paper2602"
    source: str = ""


class StudyHeader(Versioned):
    """What was launched. Stored once, with the study."""

    name: str
    seed: Whole
    sampler: str  # as resolved: "tpe", never "auto"
    objectives: tuple[ObjectiveRecord, ...]
    constraints: dict[str, dict[str, float]] = Field(default_factory=dict)  # {"params": {"max": 800000}}
    price: str = "horowitz45/exact"  # the one that the energy_mj objective uses
    space_yaml: str  # the resolved space, which `snnsearch launch` takes as it is
    space_hash: str
    space_size: float | None  # None: continuous
    dials: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()  # names of the named candidates
    references: tuple[ReferencePoint, ...] = ()
    data: str = ""  # "cifar10: 4,500 train, 500 validation, 10,000 test images, 3x32x32, 10 classes"
    supernet: SupernetRecord | None = None  # once its candidates are ranked by shared weights
    training: str = ""  # "3 epochs, batch 64, adamw, lr 0.002, T = 2"
    created_at: Moment
    commit: str | None = None  # of the checkout that snnsearch ran from, where there is one
    versions: dict[str, str] = Field(default_factory=dict)  # snnsearch, python, torch, optuna, ray
    machine: str = ""  # "2 cores, 24 GB, Linux" / "NVIDIA H200"


class StudyRecord(Record):
    header: StudyHeader
    trials: tuple[TrialRecord, ...]  # by number
