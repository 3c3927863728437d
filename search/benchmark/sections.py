"""The types that a benchmark file is checked against; those of networks and data sets follow from what it names."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from reports.records.benchmark import Published
from reports.records.study import ReferencePoint
from search.space import durations
from search.space.limits import Limits, Resources
from search.space.schema import Model
from search.space.sections import folder_name
from snnkit.base.config import Config, EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.energy import EnergyConfig
from snnkit.training.recipe import Recipe

LAID: dict[str, Model] = {
    "neuron": NeuronConfig,
    "encoding": EncodingConfig,
    "train": Recipe,
}  # sections laid over with own leaves
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"given {list(seeds)}; name each seed once")
    return seeds


class TimeBudget(Config):
    """How long one run of the command may take; the next one goes on."""

    time: Annotated[str, BeforeValidator(durations.span)] = Field(examples=["8h"])

    @property
    def seconds(self) -> float:
        return durations.parse(self.time)


class BenchmarkSection(Config):
    """Name, seeds, whether the CNN twins are trained too, and the time of one run."""

    name: Annotated[str, AfterValidator(folder_name)] = Field(examples=["my-benchmark"])
    seeds: Annotated[tuple[Seed, ...], AfterValidator(_each_once)] = Field(min_length=1, examples=["[0, 1, 2]"])
    twins: bool = True
    budget: TimeBudget | None = None
    limits: Limits = Limits()  # of each training
    resources: Resources = Resources()  # of each training


class DataEntry(DataChoice):
    """A data set, and what of training and encoding is different on it; `entry_model` has the types."""

    train: Any = None
    encoding: Any = None

    @property
    def choice(self) -> DataChoice:
        return DataChoice.model_validate(self.model_dump(include=set(DataChoice.model_fields)))


class NetworkOverrides(Config):
    """What of neurons, encoding and training is different for one network, on all data sets; and the network, the same
    one trained in another way, whose trained weights it begins with, or several, whose mean it is without a training
    of its own. `own_model` has the types."""

    weights: str | None = Field(None, examples=["SqueezeNet"])
    mean_of: tuple[str, ...] | None = Field(None, min_length=2, examples=["[SqueezeNet, SqueezeNet-on]"])
    neuron: Any = None
    encoding: Any = None
    train: Any = None

    @property
    def origins(self) -> tuple[str, ...]:
        """The networks that its weights come from."""
        return self.mean_of or (() if self.weights is None else (self.weights,))


class BenchmarkFile(Config):
    """The sections; ``networks``, ``own`` and ``data`` get their types from `file_model`."""

    benchmark: BenchmarkSection = Field(examples=["{name: my-benchmark, seeds: [0, 1, 2]}"])
    networks: Any = Field(examples=["{SqueezeNet: {family: squeezenet}}"])
    neuron: NeuronConfig = NeuronConfig()
    encoding: EncodingConfig = EncodingConfig()
    train: Recipe = Recipe()
    energy: EnergyConfig = EnergyConfig()
    data: Any = Field(examples=["{cifar10: {}}"])
    own: Any = None  # {SqueezeNet-P: {neuron: {threshold: 0.5}}}
    published: tuple[Published, ...] = ()
    reference: tuple[ReferencePoint, ...] = ()


def _leaves(section: str) -> Any:
    """Type and default of the leaves to be laid over a section: what has to go together is asked of the whole."""
    model = LAID[section]
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    return create_model(model.__name__, __base__=Config, **fields) | None, None


def entry_model(name: str) -> Model:
    """The type of an entry of ``data``, whose key is the data set's name."""
    fields: dict[str, Any] = {"name": (Literal[name], name), "train": _leaves("train"), "encoding": _leaves("encoding")}
    return create_model("DataEntry", __base__=DataEntry, **fields)


def group_model(models: Mapping[str, Model | None]) -> Model:
    """A mapping with these keys; None stands for a key whose own problem is told elsewhere."""
    fields: dict[str, Any] = {key: (Any if model is None else model, ...) for key, model in models.items()}
    return cast(Model, create_model("Group", __base__=Config, **fields))


def own_model(labels: Iterable[str]) -> Model:
    """The type of ``own``: a key for each network, which may be left out."""
    leaves: dict[str, Any] = {section: _leaves(section) for section in LAID}
    fields: dict[str, Any] = dict.fromkeys(
        labels, (create_model("NetworkOverrides", __base__=NetworkOverrides, **leaves) | None, None)
    )
    return create_model("NetworkOverrides", __base__=Config, **fields)


def file_model(networks: Model, data: Model, own: Model) -> type[BenchmarkFile]:
    """The type of the whole file."""
    fields: dict[str, Any] = {
        "networks": (networks, BenchmarkFile.model_fields["networks"]),
        "data": (data, BenchmarkFile.model_fields["data"]),
        "own": (own, own()),
    }
    return create_model("BenchmarkFile", __base__=BenchmarkFile, **fields)
