"""The sections of a space about the search itself: ``study``, ``retrain`` and ``reference``."""

import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from reports.records.objectives import OBJECTIVES
from reports.records.study import Direction, ReferencePoint
from reports.storage.names import ALLOWED, as_folder_name, is_folder_name
from search.errors import format_value, listed, nearest
from search.registries import PRUNERS, SAMPLERS
from search.space.constraints import bound_key, examples
from search.space.limits import Budget, Limits, Resources
from snnkit.base.config import Config

DEFAULT_RULE = "pareto"  # of early stopping
Device = Literal["cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("cpu", "cuda")


def _check_name(registry: Collection[str], *more: str) -> BeforeValidator:
    """Return a validator that refuses what is neither in ``registry`` nor one of ``more``, and lists them."""

    def check(given: object) -> object:
        names = (*more, *registry)
        if given not in names:
            hint = nearest(given, names) if isinstance(given, str) else ""
            raise ValueError(f"given {format_value(given)}; allowed are {listed(names)}{hint}")
        return given

    return BeforeValidator(check)


SamplerName = Annotated[str, _check_name(SAMPLERS, "auto"), WithJsonSchema({"enum": ("auto", *SAMPLERS)})]
RuleName = Annotated[str, _check_name(PRUNERS), WithJsonSchema({"enum": tuple(PRUNERS)})]


def folder_name(name: str) -> str:
    """Return ``name`` if it can be the name of a run folder. Raises ValueError with a name that can."""
    if not is_folder_name(name):
        raise ValueError(f"given {name!r}; a name has {ALLOWED}; write {as_folder_name(name) or 'my-study'}")
    return name


def _objectives(given: object) -> object:
    """Check names and directions of objectives; a direction left out is the natural one."""
    if not isinstance(given, Mapping):
        named = [name for name in OBJECTIVES if name in given] if isinstance(given, list | tuple) else []
        example = ", ".join(f"{name}: {OBJECTIVES[name].direction}" for name in named or ("accuracy", "params"))
        raise ValueError(f"given {format_value(given)}; write {{{example}}}")
    _raise_problems({(name,): _objective_problem(name, direction) for name, direction in given.items()})
    return {name: OBJECTIVES[name].direction for name in given}


def _objective_problem(name: str, direction: object) -> str:
    """Return what is wrong with an objective; empty if nothing is."""
    if name not in OBJECTIVES:
        return f"unknown objective; allowed are {', '.join(OBJECTIVES)}{nearest(name, OBJECTIVES)}"
    natural = OBJECTIVES[name].direction
    if direction not in (None, natural):
        return f"given {format_value(direction)}; {name} is something to {natural}: write {name}: {natural}"
    return ""


def _constraints(given: object) -> object:
    """Check names and bounds of constraints."""
    if not isinstance(given, Mapping):
        return given
    _raise_problems({(name,): _constraint_problem(name, limit) for name, limit in given.items()})
    return {name: {bound_key(name): _read_bound(name, limit)} for name, limit in given.items()}


def _constraint_problem(name: str, limit: object) -> str:
    """Return what is wrong with a constraint; empty if nothing is."""
    allowed = examples()
    if name not in allowed:
        return f"cannot be bounded; allowed are {', '.join(allowed)}{nearest(name, allowed)}"
    if _read_bound(name, limit) is None:
        return f"given {format_value(limit)}; write {name}: {allowed[name]}"
    return ""


def _read_bound(name: str, limit: object) -> int | float | None:
    """Return the bound in ``{max: BOUND}`` or ``{min: BOUND}``: a whole number of parameters or operations, a share
    below 1, any number of mJ; else None."""
    given = limit.get(bound_key(name)) if isinstance(limit, Mapping) and len(limit) == 1 else None
    most = 1 if OBJECTIVES[name].is_ratio else math.inf
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < most:
        return None
    if not OBJECTIVES[name].is_count:
        return float(given)
    return given if isinstance(given, int) else None


def _raise_problems(problems: Mapping[tuple[str | int, ...], str]) -> None:
    """Raise ValidationError with all ``problems`` that have a text: place in the value given to a validator -> text."""
    details = [
        InitErrorDetails(type=PydanticCustomError("value_error", text), loc=loc, input=None)
        for loc, text in problems.items()
        if text
    ]
    if details:
        raise ValidationError.from_exception_data("", details)


class EarlyStopping(Config):
    """``study.stopping``: which trials stop early at the rungs (``train.rungs``), and by which rule.

    pareto, successive halving on several objectives: a trial is stopped if one in ``reduction`` of the trials that
    reached the rung has a better rank, and if it would be dominated even with ``margin`` added to its accuracy. median:
    a trial is stopped if its first objective is worse than the median of the others at the rung.
    """

    rule: RuleName = Field(DEFAULT_RULE, description="Rule that decides which trials to stop.")
    reduction: float = Field(
        3.0, gt=1, le=100, description="pareto: a trial among the best 1/reduction by rank continues."
    )
    first: int = Field(8, ge=1, description="Trials that must have reached a rung before any is stopped there.")
    margin: float = Field(
        0.02, ge=0, lt=1, description="Accuracy (0..1) that is added to a dominated trial before it is judged."
    )


class SharedWeights(Config):
    """``study.supernet``: training of the shared weights, and how many of the networks ranked by them are used."""

    epochs: int = Field(20, ge=1, description="Epochs for which the shared weights are trained.")
    paths: int = Field(3, ge=2, le=16, description="Networks that are trained on each batch of images (sandwich rule).")
    candidates: int = Field(
        256, ge=2, le=4096, description="Candidates that are ranked; of a larger space, a random sample."
    )
    finalists: int = Field(
        16, ge=1, description="Best-ranked candidates that are trained on their own before the sampler proposes any."
    )


def _paths(given: object) -> object:
    """Check that a recipe is given as paths and values; the values are checked with the sections they belong to."""
    if not isinstance(given, Mapping):
        raise ValueError(f"given {format_value(given)}; write {{train.epochs: 60, train.augment: flip_crop}}")
    return given


RecipePaths = Annotated[dict[str, Any], BeforeValidator(_paths)]


class Finals(Config):
    """``study.finals``: the end of a launch, which trains the best candidates of the front longer.

    Their CNN twins are trained too, and their test accuracy is measured once.
    """

    share: float = Field(0.5, gt=0, lt=1, description="Share of the time budget, 0 to 1, that is kept for the finals.")
    best: int = Field(3, ge=1, le=100, description="Number of finalists. Fewer are trained if the time is too short.")
    seeds: int = Field(3, ge=1, le=100, description="Trainings of each finalist, if the time allows more than one.")
    recipe: RecipePaths = Field(
        default_factory=dict,
        examples=["{train.epochs: 12, data.resolution: 16}"],
        description="Path of train or data -> value for finalists, laid over `retrain`.",
    )


class StudySection(Config):
    """The ``study`` section: what is optimised, by which sampler and within which budget."""

    name: Annotated[str, AfterValidator(folder_name)] = Field(
        examples=["my-study"],
        description="Name of the study and its folder: small letters, digits and '-', 64 at most.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the sampler and of every training.")
    sampler: SamplerName = Field("auto", description="Method that proposes the next candidate. auto: ehvi.")
    budget: Budget = Field(examples=["{time: 20m} or {trials: 50}"], description="When the study ends.")
    objectives: Annotated[dict[str, Direction], BeforeValidator(_objectives)] = Field(
        min_length=1,
        examples=["{accuracy: maximize, params: minimize}"],
        description="Objective -> maximize or minimize.",
    )
    constraints: Annotated[dict[str, dict[str, int | float]], BeforeValidator(_constraints)] = Field(
        default_factory=dict,
        examples=["{params: {max: 800_000}}"],
        description="Hard bounds of figures: min of accuracy, max of the others, such as {params: {max: 800_000}, "
        "accuracy: {min: 0.7}}. Candidates that certainly exceed one are never trained; trained candidates outside one "
        "are on no front.",
    )
    dominate: tuple[str, ...] = Field(
        (),
        examples=["[SqueezeNet-P (paper)]"],
        description="Labels of `reference` points that every candidate on the front must dominate: their accuracy, "
        "energy and parameters become constraints. The energy of a point must be by the space's energy model.",
    )
    supernet: SharedWeights | None = Field(
        None, description="Rank candidates by shared weights before the first trial (one-shot search); null: off."
    )
    limits: Limits = Field(Limits(), description="Time limits of each trial.")
    resources: Resources = Field(Resources(), description="Share of the machine that each trial uses.")
    stopping: EarlyStopping | None = Field(
        None, description="Stop poor trials early at `train.rungs`; null: every trial is trained to its end."
    )

    fidelities: tuple[RecipePaths, ...] = Field(
        (),
        max_length=8,
        examples=["[{data.subset: 10_000, train.epochs: 1}, {train.epochs: 2}]"],
        description="Cheaper trainings of a candidate before its full one, the cheapest first: each is a path of "
        "train, data or encoding.timesteps -> value, laid over the space's own. A candidate is first trained at the "
        "cheapest; the search decides which ones continue at the next (Kandasamy et al. 2017, arXiv:1703.06240). "
        "With train.start inherit, a fidelity continues from the weights of the one below; with cnn, from the CNN twin "
        "of the one below. []: every candidate is trained in full.",
    )
    promote: tuple[str, ...] = Field(
        (),
        examples=["[baseline]"],
        description="Names of candidates that are trained at every fidelity and in the finals, whatever the search "
        "expects of them.",
    )
    finals: Finals | None = Field(
        None, description="Train the best candidates longer at the end of the budget; null: end with the search."
    )

    @model_validator(mode="after")
    def _sampler_learns_from_stopped_trials(self) -> Self:
        if self.stopping is not None and self.sampler == "gp":
            raise ValueError(
                "sampler gp does not learn from trials that are stopped early, and proposes them again; write sampler: "
                "ehvi, or leave stopping out"
            )
        return self

    @model_validator(mode="after")
    def _fidelities_have_a_sampler(self) -> Self:
        if self.fidelities and self.sampler not in ("auto", "ehvi"):
            raise ValueError(
                f"sampler {self.sampler} cannot choose which candidates continue at the next of the fidelities; write "
                "sampler: ehvi, or leave fidelities out"
            )
        if self.promote and not self.fidelities:
            raise ValueError("given promote without fidelities; then every candidate is trained in full: leave it out")
        if self.fidelities and self.stopping is not None:
            raise ValueError(
                "fidelities and stopping both end the training of poor candidates early; leave one of them out"
            )
        return self


class SearchSections(Config):
    """The sections beside the tree of a space, except ``candidates``, which are checked against the dials."""

    study: StudySection = Field(description="What is optimised, by which sampler and within which budget.")
    retrain: RecipePaths = Field(
        default_factory=dict,
        examples=["{train.epochs: 60, train.augment: flip_crop}"],
        description="Path of train or data -> value with which finalists are trained instead.",
    )
    reference: tuple[ReferencePoint, ...] = Field(
        (), description="Published networks that are drawn as points beside the front."
    )
