"""The types that a benchmark file is checked against; those of networks and data sets follow from the names in it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, Field, create_model

from reports.records.benchmark import Published
from reports.records.study import ReferencePoint
from search.space.limits import Duration, Limits, Resources, seconds_in
from search.space.loading.schema import Model
from search.space.sections import folder_name
from snnkit.base.config import Config, EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.energy import EnergyConfig
from snnkit.training.recipe import Recipe

OVERRIDABLE: dict[str, Model] = {"neuron": NeuronConfig, "encoding": EncodingConfig, "train": Recipe}
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def _without_duplicates(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"given {list(seeds)}; name each seed once")
    return seeds


class TimeBudget(Config):
    """How long one run of the command may take; the next run continues."""

    time: Duration = Field(
        examples=["8h"], description="Wall-clock time of one run of `snnsearch bench`, such as 8h or 1h30m."
    )

    @property
    def seconds(self) -> float:
        return seconds_in(self.time)


class BenchmarkSection(Config):
    """The ``benchmark`` section: its name, its seeds, and how its trainings run."""

    name: Annotated[str, AfterValidator(folder_name)] = Field(
        examples=["my-benchmark"],
        description="Name of the benchmark and its folder: small letters, digits and '-'.",
    )
    seeds: Annotated[tuple[Seed, ...], AfterValidator(_without_duplicates)] = Field(
        min_length=1,
        examples=["[0, 1, 2]"],
        description="Seeds; every network is trained on every data set once with each of them.",
    )
    twins: bool = Field(True, description="Whether the CNN twin of every network is trained as well.")
    figures: tuple[str, ...] = Field(
        (),
        examples=["[latency_ms, ./parts.py:worst_rate]"],
        description="Further figures to measure of each network: objectives that are measured only if they are named.",
    )
    budget: TimeBudget | None = Field(None, description="When one run of the command ends; null: when all is trained.")
    limits: Limits = Field(Limits(), description="Time limits of each training.")
    resources: Resources = Field(Resources(), description="Share of the machine that each training uses.")


class DataEntry(DataChoice):
    """A data set, with leaves of training and encoding that differ on it; `entry_model` has their types."""

    train: Any = Field(None, description="Leaves of `train` that differ on this data set.")
    encoding: Any = Field(None, description="Leaves of `encoding` that differ on this data set.")

    @property
    def choice(self) -> DataChoice:
        """Return the data set without the overrides."""
        return DataChoice.model_validate(self.model_dump(include=set(DataChoice.model_fields)))


class NetworkOverrides(Config):
    """Leaves of neurons, encoding and training that differ for one network on all data sets, and where its weights come
    from. `overrides_model` has the types."""

    weights: str | None = Field(
        None,
        examples=["SqueezeNet"],
        description="Network whose trained weights this one begins with: the same network, trained otherwise.",
    )
    mean_of: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        examples=["[SqueezeNet, SqueezeNet-on]"],
        description="Networks whose mean of weights this one is, without training (model soup, Wortsman et al. 2022, "
        "arXiv:2203.05482).",
    )
    neuron: Any = Field(None, description="Leaves of `neuron` that differ for this network.")
    encoding: Any = Field(None, description="Leaves of `encoding` that differ for this network.")
    train: Any = Field(None, description="Leaves of `train` that differ for this network.")

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the networks that its weights come from."""
        return self.mean_of or (() if self.weights is None else (self.weights,))


class BenchmarkFile(Config):
    """All sections; ``networks``, ``overrides`` and ``data`` get their types from `file_model`."""

    benchmark: BenchmarkSection = Field(
        examples=["{name: my-benchmark, seeds: [0, 1, 2]}"], description="The benchmark itself."
    )
    networks: Any = Field(
        examples=["{SqueezeNet: {family: squeezenet}}"], description="Label -> network: its family and its leaves."
    )
    neuron: NeuronConfig = Field(NeuronConfig(), description="Spiking neurons of all networks.")
    encoding: EncodingConfig = Field(EncodingConfig(), description="Encoding of the input for all networks.")
    train: Recipe = Field(Recipe(), description="Training recipe of all networks.")
    energy: EnergyConfig = Field(EnergyConfig(), description="Energy model of the reported figures.")
    data: Any = Field(
        examples=["{cifar10: {}}"], description="Data set -> the part of it that is used, and leaves that differ on it."
    )
    overrides: Any = Field(
        None,
        examples=["{SqueezeNet-P: {neuron: {threshold: 0.5}}}"],
        description="Label of a network -> leaves that differ for it, or the origin of its weights.",
    )
    published: tuple[Published, ...] = Field((), description="Published figures to compare with, each with its source.")
    reference: tuple[ReferencePoint, ...] = Field((), description="Published networks drawn as points in figures.")


def _leaves(section: str) -> Any:
    """Return type and default of a section's overrides; the section's own rules are checked on the overlaid whole."""
    model = OVERRIDABLE[section]
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    return create_model(model.__name__, __base__=Config, **fields) | None, None


def entry_model(name: str) -> Model:
    """Return the type of an entry of ``data``, whose key is the data set's name."""
    fields: dict[str, Any] = {"name": (Literal[name], name), "train": _leaves("train"), "encoding": _leaves("encoding")}
    return create_model("DataEntry", __base__=DataEntry, **fields)


def group_model(models: Mapping[str, Model | None]) -> Model:
    """Return the type of a mapping with these keys. None takes any value: its problem is reported elsewhere."""
    fields: dict[str, Any] = {key: (Any if model is None else model, ...) for key, model in models.items()}
    return cast(Model, create_model("Group", __base__=Config, **fields))


def overrides_model(labels: Iterable[str]) -> Model:
    """Return the type of ``overrides``: an optional key for each network."""
    leaves: dict[str, Any] = {section: _leaves(section) for section in OVERRIDABLE}
    fields: dict[str, Any] = dict.fromkeys(
        labels, (create_model("NetworkOverrides", __base__=NetworkOverrides, **leaves) | None, None)
    )
    return create_model("NetworkOverrides", __base__=Config, **fields)


def file_model(networks: Model, data: Model, overrides: Model) -> type[BenchmarkFile]:
    """Return the type of the whole file."""
    fields: dict[str, Any] = {
        "networks": (networks, BenchmarkFile.model_fields["networks"]),
        "data": (data, BenchmarkFile.model_fields["data"]),
        "overrides": (overrides, overrides()),
    }
    return create_model("BenchmarkFile", __base__=BenchmarkFile, **fields)


def items(group: BaseModel) -> list[tuple[str, Any]]:
    """Return the entries of a mapping that has its type from `group_model` or `overrides_model`."""
    return [(key, getattr(group, key)) for key in type(group).model_fields]


def named_leaves(layer: NetworkOverrides | DataEntry) -> dict[str, Any]:
    """Return the leaves that ``layer`` names, by section; a null counts, because it may replace another value."""
    parts = {section: getattr(layer, section, None) for section in OVERRIDABLE}
    return {section: part.model_dump(mode="json", exclude_unset=True) for section, part in parts.items() if part}


def written_out(file: BenchmarkFile) -> dict[str, Any]:
    """Return the file with every default written out. Overrides have only the leaves that they name."""
    tree = file.model_dump(mode="json")
    tree["data"] = {name: _entry_tree(entry) for name, entry in items(file.data)}
    tree["overrides"] = {label: _overrides_tree(each) for label, each in items(file.overrides) if each}
    if not tree["overrides"]:
        del tree["overrides"]
    return tree | {name: [_brief(point) for point in getattr(file, name)] for name in ("published", "reference")}


def _overrides_tree(each: NetworkOverrides) -> dict[str, Any]:
    return each.model_dump(mode="json", include={"weights", "mean_of"}, exclude_none=True) | named_leaves(each)


def _entry_tree(entry: DataEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"name", *OVERRIDABLE}) | named_leaves(entry)


def _brief(point: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in point.model_dump(mode="json").items() if value not in (None, "")}
