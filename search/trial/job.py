"""A job: one candidate to train, complete enough to be sent to another process or machine."""

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from reports.records.study import Leaf, ModuleState, Status, TrialRecord
from search.plugins import PluginSet
from search.plugins.figures import add_layer_figure
from search.space.candidate import Candidate
from search.space.limits import Limits
from search.trial.folder import RunFolder, TrialFolder
from snnkit.base.config import Config


class Parent(Config):
    """A finished trial whose weights another trial uses.

    ``images`` and ``macs`` count the training behind these weights: the parent's own and its ancestors'. ``study`` is
    the older study that the parent is from; None: the run of the job.
    """

    number: int
    study: str | None = None
    candidate: Candidate
    weights: Path
    fidelity: int | None = None  # at which the weights were trained; None: the full one
    images: int = 0
    macs: float = 0.0

    def weights_in(self, run: RunFolder) -> Path:
        """Return the file of the weights in the folder of the job's run."""
        if self.study is not None:
            return run.older_weights(self.number)
        return run.trial(self.number, self.fidelity).weights

    def trained(self, record: TrialRecord) -> "Parent":
        """Return the parent with the counts from its ``record``."""
        before = record.start
        images = record.training_images + (before.inherited_images if before else 0)
        macs = record.training_macs + (before.inherited_macs if before else 0.0)
        return self.model_copy(update={"images": images, "macs": macs})


class FromScratch(Config):
    """Random weights."""

    kind: Literal["scratch"] = "scratch"


class FromParent(Config):
    """The weights of another trial. If the recipe distills, the CNN twin of ``teacher`` teaches; None: the own twin."""

    kind: Literal["parent"] = "parent"
    parent: Parent
    teacher: Candidate | None = None


class FromCnnTwin(Config):
    """The weights of the candidate's CNN twin, which is trained first."""

    kind: Literal["cnn_twin"] = "cnn_twin"


class AverageOf(Config):
    """The mean of the weights of several trials. The network is not trained."""

    kind: Literal["average"] = "average"
    parents: tuple[Parent, ...] = Field(min_length=2)


class TwinFromScratch(Config):
    """Train the CNN twin in place of the candidate, from random weights: ReLU instead of neurons, one time step."""

    kind: Literal["twin"] = "twin"


Initialization = Annotated[
    FromScratch | FromParent | FromCnnTwin | AverageOf | TwinFromScratch, Field(discriminator="kind")
]


def initialization_without_parent(candidate: Candidate) -> FromScratch | FromCnnTwin:
    """Return the initialization that the recipe asks for. One that inherits weights starts from scratch."""
    return FromCnnTwin() if candidate.train.start == "cnn" else FromScratch()


class Job(Config):
    """All that a worker needs. Everything random follows ``seed``.

    In a study with fidelities, ``candidate`` is the candidate at the fidelity of the job, ``params`` are the dials of
    the full one, and ``below`` is the candidate at each lower fidelity, which was trained before.
    """

    number: int
    name: str | None
    params: dict[str, Leaf]
    candidate: Candidate
    fidelity: int | None = None  # from 1, the cheapest; None: the full one
    fidelities: int = 1  # of the study, with the full one
    below: tuple[Candidate, ...] = ()
    modules: tuple[ModuleState, ...]
    static: dict[str, int]
    folder: Path  # runs/<name>/trials/<number>, or fidelity-<fidelity> in it
    seed: int
    initialization: Initialization
    limits: Limits = Limits()
    plugins: PluginSet = PluginSet()
    own_figures: tuple[str, ...] = ()  # objectives and constraints to measure because the space names them

    @model_validator(mode="before")
    @classmethod
    def _register_plugins(cls, given: Any) -> Any:
        """Register the plug-ins of a job from another process: its candidates need them. Raises PluginError."""
        if isinstance(given, dict) and isinstance(given.get("plugins"), dict):
            PluginSet.model_validate(given["plugins"]).register()
            for name in given.get("own_figures", ()):
                add_layer_figure(name)
        return given

    @model_validator(mode="after")
    def _initialization_fits_recipe(self) -> "Job":
        wanted = initialization_without_parent(self.candidate)
        assert len(self.below) == (self.fidelity or self.fidelities) - 1, "one candidate for each lower fidelity"
        if isinstance(self.initialization, FromScratch | FromCnnTwin) and self.initialization != wanted:
            raise ValueError(f"{self.initialization!r} contradicts train.start: {self.candidate.train.start}")
        return self

    @property
    def files(self) -> TrialFolder:
        return TrialFolder(self.folder)

    @property
    def one_below(self) -> "Job | None":
        """The job of the fidelity below; None if there is none."""
        if not self.below:
            return None
        *below, candidate = self.below
        fidelity = len(self.below)
        folder = self.files.trial.at(fidelity).path
        update = {"candidate": candidate, "below": tuple(below), "fidelity": fidelity, "folder": folder}
        return self.model_copy(update=update)

    @property
    def is_twin(self) -> bool:
        """Whether the CNN twin is trained in place of the candidate."""
        return isinstance(self.initialization, TwinFromScratch)

    @property
    def twin_key(self) -> Hashable | None:
        """What identifies the CNN twin that is trained as the job or before it: equal for equal twins; None without."""
        if not isinstance(self.initialization, TwinFromScratch | FromCnnTwin):
            return None
        return self.seed, self.candidate.network, self.candidate.data, self.candidate.train.for_cnn_twin

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The trials whose weights are needed."""
        match self.initialization:
            case FromParent(parent=parent):
                return (parent,)
            case AverageOf(parents=parents):
                return parents
            case _:
                return ()

    def with_parents(self, parents: Iterable[Parent]) -> "Job":
        """Return the job with ``parents`` in place of its own: the same trials with other files or counts."""
        match self.initialization:
            case FromParent():
                (parent,) = parents
                update: dict[str, object] = {"parent": parent}
            case AverageOf():
                update = {"parents": tuple(parents)}
            case _:
                return self
        return self.model_copy(update={"initialization": self.initialization.model_copy(update=update)})


class Placement(Config):
    """The device of a worker, its CPU threads, and the folder of its data sets."""

    device: str = "cpu"  # "cpu" or "cuda"
    threads: int = 1
    data_root: Path | None = None


def first_initialization(
    number: int, candidate: Candidate, below: Sequence[Candidate], weights: Path | None
) -> Initialization:
    """Return where the weights of trial ``number`` come from.

    If ``candidate`` inherits weights, it inherits those in the file ``weights``, from the fidelity below.
    """
    if weights is None or candidate.train.start != "inherit":
        return initialization_without_parent(candidate)
    return FromParent(parent=Parent(number=number, candidate=below[-1], weights=weights, fidelity=len(below)))


def outline(
    job: Job, *, status: Status = "running", reason: str | None = None, traceback: str | None = None,
    duplicate_of: int | None = None,
) -> TrialRecord:  # fmt: skip
    """Return the record of a trial without any training."""
    return TrialRecord(
        number=job.number, status=status, name=job.name, params=job.params, modules=job.modules, static=job.static,
        seed=job.seed, reason=reason, traceback=traceback, duplicate_of=duplicate_of,
    )  # fmt: skip
