"""The stored records of a study: its header and its trials. Versioned, frozen, no torch.

`search` writes them, `reports.storage` reads them, and reports are made from nothing else.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# 2: operations by preset, MACs with nonzero inputs. 3: images, MACs, measurements at rungs. 4: status infeasible,
# epochs of CNN twins, initialization, values by shared weights. 5: batches in parts. 6: means of weights. 7: hardware
# of a benchmark, energy rules in words. 8: CPU threads, kind of failure, doubts, alternatives of energies. 9:
# fidelities, status paused. 10: figures of plug-ins
RECORD_VERSION = 10

Leaf = bool | int | float | str
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # fits in 64 bits, so it can be used as a float too
Moment = Annotated[float, Field(ge=0, lt=253_402_300_800)]  # UTC seconds since 1970, up to the year 9999
Direction = Literal["maximize", "minimize"]
Status = Literal["complete", "infeasible", "failed", "stopped", "refused", "duplicate", "paused", "running", "waiting"]
"""The status of a trial.

- complete: trained to the end, with finite objectives.
- infeasible: trained to the end, but the measurements break a hard constraint; never on the front.
- failed: an exception (the traceback is stored) or a lost worker.
- stopped: training ended early, at a rung or by itself (NaN loss, no spikes, out of time or memory).
- refused: never trained, because it breaks a hard constraint that is known before training, or does not build.
- duplicate: never trained, because it equals an earlier trial.
- paused: trained at a fidelity below the full one; the search may promote it.
- running, waiting: not over yet.
"""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Versioned(Record):
    """A record that is stored on its own, and read by `reports.records.versions`."""

    version: Whole = RECORD_VERSION


class ModuleState(Record):
    """One module of a candidate: ``fire4``, kept / removed / resized, ``32 / 128 + 128``."""

    name: str
    state: Literal["kept", "removed", "resized"]
    detail: str


class LayerRecord(Record):
    """One layer: counts per inference, summed over the time steps, averaged over the validation images."""

    name: str
    macs: float
    acs: float
    dense_macs: Whole  # of one dense pass
    spikes_in: float
    spikes_out: float
    neurons: Whole
    firing_rate: float | None  # spikes out / (neurons x T); None without neurons
    params: Whole
    energy_mj: dict[str, float]  # by energy model and preset, as in Metrics


class Operations(Record):
    """Operations of a whole network for one inference, by one counting preset."""

    macs: float
    acs: float


class Measured(Record):
    """The measurements that the search may use.

    Ratios are from 0 to 1. Counts and energies are per inference on validation images. The keys of energies are
    ``model/preset``: ``horowitz45/exact``, ``horowitz45/paper2602``, ``lemaire2022/exact``.
    """

    accuracy: float  # on the validation split
    params: Whole
    dense_macs: Whole
    macs: float
    acs: float
    spikes: float
    firing_rate: float  # spikes / (neurons x T) over all spiking layers
    timesteps: Whole
    energy_mj: dict[str, float]
    energy_alternatives_mj: dict[str, dict[str, float]] = Field(default_factory=dict)
    """By the same keys, the energy under other assumptions: ``with_neurons``; empty in records before version 8."""
    twin_energy_mj: dict[str, float]  # of the CNN twin, with dense multiply-accumulates; same keys
    operations: dict[str, Operations] = Field(default_factory=dict)  # by preset: exact (as above), paper2602
    nonzero_macs: float | None = None  # MACs with a nonzero input; ReLU makes zeros in a CNN twin
    own: dict[str, float] = Field(default_factory=dict)  # figures that the space asks for, by the name of the objective

    def alternative_mj(self, model: str, name: str) -> float | None:
        """Return the energy by ``model`` under the assumption ``name``; None if it is not known."""
        return self.energy_alternatives_mj.get(model, {}).get(name)


class Metrics(Measured):
    """The measurements after training."""

    test_accuracy: float  # measured once; no sampler sees it
    test_f1: float  # macro


class EpochRecord(Record):
    epoch: Whole  # 1-based
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    wall_s: float
    images: Whole = 0  # training images; 0 in records before version 3
    macs: float = 0.0  # dense multiply-accumulates, forward and backward
    measured: Measured | None = None  # at rungs
    twin: bool = False  # of the CNN twin, which is trained before a trial that starts from it


class StartRecord(Record):
    """Source of a trial's first weights, in a space that allows other weights than random ones."""

    kind: Literal["scratch", "inherit", "cnn", "mean"]  # what happened, which may differ from the request
    reason: str | None = None  # why it started from scratch after all, in one sentence
    parent: Whole | None = None  # trial that it inherits from, or that trained its twin
    study: str | None = None  # of the parent, if it is an older one that the study was launched with
    fidelity: Whole | None = None  # of the parent's weights; the parent is then the trial itself
    parents: tuple[Whole, ...] = ()  # trials whose mean its weights are
    layers: dict[str, Whole] = Field(default_factory=dict)  # copied, cut, padded, rewired, drawn -> number of layers
    refitted: Whole = 0  # layers that were fitted to the parent's outputs
    inherited_images: Whole = 0  # that its ancestors were trained on; not counted in its own training
    inherited_macs: float = 0.0
    history: tuple[EpochRecord, ...] = ()  # of the CNN twin

    @property
    def wall_s(self) -> float:
        return sum(epoch.wall_s for epoch in self.history)


class FidelityRecord(Record):
    """The training of a trial at a fidelity below the full one, and what was measured after it."""

    fidelity: Whole  # 1 is the cheapest
    of: Whole  # number of fidelities, with the full one
    measured: Measured
    start: StartRecord | None = None
    history: tuple[EpochRecord, ...] = ()
    wall_s: float = 0.0

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """All epochs trained at this fidelity, the CNN twin's first."""
        return (*(self.start.history if self.start else ()), *self.history)


class SharedRecord(Record):
    """The values of a candidate with a supernet's weights, before its own training."""

    place: Whole  # in the ranking, 1-based: by non-dominated rank, then by distance on the front
    rank: Whole  # 0 on the front
    values: dict[str, float]  # objective -> value


class SupernetRecord(Record):
    """The cost of ranking candidates by shared weights: training the supernet and evaluating the candidates."""

    ranked: Whole  # candidates
    epochs: Whole = 0
    images: Whole = 0  # of training and of evaluation
    macs: float = 0.0  # dense multiply-accumulates of both
    wall_s: float = 0.0


class TrialRecord(Versioned):
    number: Whole
    status: Status
    name: str | None = None  # a named candidate of the space: "SqueezeNet-P"
    params: dict[str, Leaf] = Field(default_factory=dict)  # the active dials by path: network.fire5.keep
    modules: tuple[ModuleState, ...] = ()
    static: dict[str, Whole] = Field(default_factory=dict)  # params, dense_macs: computed before training
    metrics: Metrics | None = None  # these three: of complete and infeasible trials
    doubts: tuple[str, ...] = ()  # disagreements between these figures; then some are wrong
    values: dict[str, float] = Field(default_factory=dict)  # objective -> value
    layers: tuple[LayerRecord, ...] = ()
    history: tuple[EpochRecord, ...] = ()
    fidelities: tuple[FidelityRecord, ...] = ()  # finished ones below the full one, the cheapest first
    shared: SharedRecord | None = None  # if the study ranks its candidates by shared weights
    start: StartRecord | None = None  # None: the space only trains from scratch
    reason: str | None = None  # why it is not complete, in one sentence
    failure_kind: str | None = None  # equal in trials that failed or were refused by one cause; None: unknown or other
    traceback: str | None = None
    duplicate_of: Whole | None = None
    seed: Whole = 0
    started_at: Moment | None = None
    finished_at: Moment | None = None
    wall_s: float = 0.0  # training time in seconds, without interruptions
    restarts: Whole = 0
    accumulate: Whole = 1  # parts of each batch, more than 1 after memory ran out
    device: str | None = None  # "cpu (1 thread)", "cuda: NVIDIA H200"
    threads: Whole | None = None  # of the CPU; None on a GPU, and in records before version 8

    @property
    def doubt(self) -> str | None:
        """Why the figures are not to be trusted, in one sentence; None if they agree with each other."""
        return f"its figures contradict each other: {'; '.join(self.doubts)}" if self.doubts else None

    @property
    def training_images(self) -> int:
        """Training images of all finished epochs, including the CNN twin's.

        Epochs that were repeated after an interruption count once. Training of a parent does not count.
        """
        return sum(epoch.images for epoch in self.epochs)

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of the same epochs."""
        return sum(epoch.macs for epoch in self.epochs)

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """All epochs trained for this trial, the cheapest fidelity first; within it, the CNN twin's first."""
        below = tuple(epoch for each in self.fidelities for epoch in each.epochs)
        return (*below, *(self.start.history if self.start else ()), *self.history)


class ObjectiveRecord(Record):
    name: str  # accuracy, energy_mj, params ...
    direction: Direction


class FigureRecord(Record):
    """The description of a figure that is measured only if a space names it, so that reports need no plug-in."""

    name: str  # of the objective or constraint: "./parts.py:latency"
    direction: Direction
    unit: str
    label: str
    low: float  # the range of usual values
    high: float
    log: bool


class ReferencePoint(Record):
    """A published result on the test set, with energy by the model ``price``."""

    label: str
    accuracy: float
    energy_mj: float
    params: Whole
    price: str = "horowitz45/paper2602"
    source: str = ""


class StudyHeader(Versioned):
    """The settings of a study, stored once at its launch."""

    name: str
    seed: Whole
    sampler: str  # resolved: "tpe", never "auto"
    objectives: tuple[ObjectiveRecord, ...]
    constraints: dict[str, dict[str, float]] = Field(default_factory=dict)  # {"params": {"max": 800000}}
    own_figures: tuple[FigureRecord, ...] = ()  # that the space asks for
    price: str = "horowitz45/exact"  # the energy model of the energy_mj objective
    energy_rules: dict[str, str] = Field(default_factory=dict)  # energy model -> its rule in words
    space_yaml: str  # resolved; `snnsearch launch` runs it as it is
    space_hash: str
    space_size: float | None  # None: continuous
    dials: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()  # names of the named candidates
    references: tuple[ReferencePoint, ...] = ()
    data: str = ""  # "cifar10: 4,500 train, 500 validation, 10,000 test images, 3x32x32, 10 classes"
    validation_images: Whole | None = None  # these two: None in studies before version 9
    test_images: Whole | None = None
    supernet: SupernetRecord | None = None  # set after ranking by shared weights
    training: str = ""  # "3 epochs, batch 64, adamw, lr 0.002, T = 2"
    created_at: Moment
    commit: str | None = None  # of the checkout that snnsearch ran from, if there is one
    versions: dict[str, str] = Field(default_factory=dict)  # snnsearch, python, torch, optuna, ray
    machine: str = ""  # "2 cores, 24 GB, Linux" / "NVIDIA H200"


class FinalistRecord(Record):
    """A candidate of the front that the finals trained: its figures, a training after the other."""

    benchmark: str  # the finals
    label: str  # "trial 12", or the name of a named candidate
    number: Whole  # of its first training in the benchmark
    modules: tuple[ModuleState, ...]
    trainings: tuple[Metrics, ...]  # of the SNN, at least one; by seed
    twins: tuple[Metrics, ...]  # of its CNN twin
    test_images: Whole  # on which each test accuracy was measured


class NoteRecord(Record):
    """What a person wrote about a study."""

    text: str
    written_at: Moment


class LabelsRecord(Versioned):
    """What people say about a study: its tags in alphabetical order, and its notes, the oldest first."""

    tags: tuple[str, ...] = ()
    notes: tuple[NoteRecord, ...] = ()


class StudyRecord(Record):
    header: StudyHeader
    trials: tuple[TrialRecord, ...]  # by number
    finalists: tuple[
        FinalistRecord, ...
    ] = ()  # these two are read from the finals beside the study, not stored with it
    finals_left: Whole = 0  # trainings of the latest finals that are not finished
    labels: LabelsRecord = LabelsRecord()  # read from a file in the study's folder
