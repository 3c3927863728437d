"""The sections of a space that are about the search itself: study, named candidates, reference points, profiles."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from reports.records.objectives import OBJECTIVES
from reports.records.study import Direction, ReferencePoint
from search.errors import nearest
from search.space import durations
from search.space.constraints import bound, examples
from search.space.dials import shown
from search.space.limits import Limits, Resources
from snnkit.base.config import Config
from snnkit.energy import ENERGY_RULES

Sampler = Literal["auto", "ehvi", "ga", "tpe", "gp", "random"]
Device = Literal["cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("cpu", "cuda")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")


def folder_name(name: str) -> str:
    """``name`` where it can be that of a folder below runs/; ValueError says what to write."""
    if not _NAME.fullmatch(name):
        fixed = as_folder_name(name)
        raise ValueError(f"given {name!r}; a name has a-z, 0-9 and '-', 64 at most; write {fixed or 'my-study'}")
    return name


def as_folder_name(text: str) -> str:
    """``text`` with what a folder's name may have; empty where that is nothing."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-")


def _objectives(given: object) -> object:
    """Names and directions checked; a direction left out is the natural one."""
    if not isinstance(given, Mapping):
        return given
    for name, direction in given.items():
        if name not in OBJECTIVES:
            raise _at(f"unknown objective; allowed are {', '.join(OBJECTIVES)}{nearest(name, OBJECTIVES)}", name)
        natural = OBJECTIVES[name].direction
        if direction not in (None, natural):
            raise _at(f"given {shown(direction)}; {name} is something to {natural}: write {name}: {natural}", name)
    return {name: OBJECTIVES[name].direction for name in given}


def _constraints(given: object) -> object:
    """Names and bounds checked."""
    if not isinstance(given, Mapping):
        return given
    limits, allowed = {}, examples()
    for name, limit in given.items():
        if name not in allowed:
            raise _at(f"cannot be bounded; allowed are {', '.join(allowed)}{nearest(name, allowed)}", name)
        most = bound(name, limit.get("max")) if isinstance(limit, Mapping) and len(limit) == 1 else None
        if most is None:
            raise _at(f"given {shown(limit)}; write {name}: {{max: {allowed[name]}}}", name)
        limits[name] = {"max": most}
    return limits


def _at(text: str, *loc: str | int) -> ValidationError:
    """An error that points below the value that a validator was given."""
    details = InitErrorDetails(type=PydanticCustomError("value_error", text), loc=loc, input=None)
    return ValidationError.from_exception_data("", [details])


class Budget(Config):
    """When a study ends: after so many trained candidates, a time, or so many dense multiply-accumulates of training,
    whichever comes first."""

    trials: int | None = Field(None, ge=1, le=1_000_000)
    time: Annotated[str | None, BeforeValidator(durations.span)] = None  # "20m"
    macs: float | None = Field(None, gt=0)  # 1e15: the same study on any machine

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.trials is None and self.time is None and self.macs is None:
            raise ValueError("neither trials, time nor macs is given; write one of them, such as time: 20m")
        return self

    @property
    def seconds(self) -> float | None:
        return None if self.time is None else durations.parse(self.time)


class EarlyStopping(Config):
    """``study.stopping``: a trial is stopped at a rung where one in ``reduction`` of the trials that came to it has a
    better rank, and where it would still be dominated with its accuracy higher by ``margin``."""

    reduction: float = Field(3.0, gt=1, le=100)
    first: int = Field(8, ge=1)  # so many trials reach a rung before anything is stopped there
    margin: float = Field(0.02, ge=0, lt=1)  # of accuracy, that a dominated trial is given


class SharedWeights(Config):
    """``study.supernet``: how long it is trained, and what of its ranking is trained for real."""

    epochs: int = Field(20, ge=1)
    paths: int = Field(3, ge=2, le=16)  # networks on each batch of images
    candidates: int = Field(256, ge=2, le=4096)  # that are ranked, of a space that has more
    finalists: int = Field(16, ge=1)  # that go on to real training before the sampler is asked


class StudySection(Config):
    """Name, seed, sampler, budget, objectives with their directions, and hard constraints: {params: {max: 800_000}}."""

    name: Annotated[str, AfterValidator(folder_name)] = Field(examples=["my-study"])
    seed: int = Field(0, ge=0, lt=2**31)
    sampler: Sampler = "auto"
    budget: Budget = Field(examples=["{time: 20m} or {trials: 50}"])
    objectives: Annotated[dict[str, Direction], BeforeValidator(_objectives)] = Field(
        min_length=1, examples=["{accuracy: maximize, params: minimize}"]
    )
    constraints: Annotated[dict[str, dict[str, int | float]], BeforeValidator(_constraints)] = Field(
        default_factory=dict
    )
    supernet: SharedWeights | None = None  # ranks candidates by shared weights before the first trial
    limits: Limits = Limits()  # of each trial
    resources: Resources = Resources()  # of each trial
    stopping: EarlyStopping | None = None  # early, at train.rungs; None: every trial is trained to its end

    @model_validator(mode="after")
    def _learns_from_stopped(self) -> Self:
        if self.stopping is not None and self.sampler == "gp":
            raise ValueError(
                "sampler gp does not learn from trials that are stopped early, and proposes them again; write sampler: "
                "ehvi, or leave stopping out"
            )
        return self


def _paths(given: object) -> object:
    """What finalists have otherwise, as paths and values; the values are checked with what they replace."""
    if not isinstance(given, Mapping):
        raise ValueError(f"given {shown(given)}; write {{train.epochs: 60, train.augment: flip_crop}}")
    return given


class SearchSections(Config):
    """What a space says beside its tree; ``candidates`` are checked against the dials instead."""

    study: StudySection
    retrain: Annotated[dict[str, Any], BeforeValidator(_paths)] = Field(default_factory=dict)
    reference: tuple[ReferencePoint, ...] = ()

    @field_validator("reference")
    @classmethod
    def _priced(cls, points: tuple[ReferencePoint, ...]) -> tuple[ReferencePoint, ...]:
        for at, point in enumerate(points):
            if point.price not in ENERGY_RULES:
                allowed = f"{', '.join(ENERGY_RULES)}{nearest(point.price, ENERGY_RULES)}"
                raise _at(f"given {point.price!r}; allowed are {allowed}", at, "price")
        return points
