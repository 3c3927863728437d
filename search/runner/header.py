"""The header of a study: what is stored once, at its launch."""

import time

from reports.records.objectives import OWN_FIGURES
from reports.records.study import ObjectiveRecord, StudyHeader
from search.runner.describe import describe_training
from search.runner.options import RunOptions
from search.samplers import describe_sampler
from search.space.space import Space
from search.trial import environment
from snnkit.data import load_dataset, split_dataset


def study_header(space: Space, options: RunOptions) -> StudyHeader:
    """Return the header of a launch. Loads the data set, so that no worker has to download it. Raises DataError."""
    choice, frames = space.base.data, space.base.encoding.frames
    data = load_dataset(choice.source, options.data_root, side=choice.resolution)
    parts = split_dataset(data, choice, space.study.seed, frames=frames)
    header = _header(space, options, "; ".join(filter(None, (parts.describe(), parts.gaps))))
    return header.model_copy(update={"validation_images": len(parts.validation), "test_images": len(parts.test)})


def preview_header(space: Space, options: RunOptions) -> StudyHeader:
    """Return the header that a launch would have, without loading the data set."""
    data = space.base.data
    subset = f"{data.subset:,} training images of " if data.subset else ""
    return _header(space, options, f"{subset}{data.name}, {data.outputs} classes")


def _header(space: Space, options: RunOptions, data: str) -> StudyHeader:
    return StudyHeader(
        name=space.study.name,
        seed=space.study.seed,
        sampler=describe_sampler(space.study.sampler),
        objectives=tuple(ObjectiveRecord(name=n, direction=d) for n, d in space.study.objectives.items()),
        constraints=space.study.constraints,
        own_figures=tuple(OWN_FIGURES[name] for name in space.own_figures),
        price=space.base.energy.key,
        energy_rules=dict(space.base.energy.rules),
        space_yaml=space.dump(),
        space_hash=space.fingerprint,
        space_size=space.size,
        dials=tuple(dial.path for dial in space.dials),
        candidates=tuple(space.candidates),
        references=space.reference,
        data=data,
        training=describe_training(space),
        created_at=time.time(),
        commit=environment.commit(),
        versions=environment.versions(),
        machine=environment.describe(options.device),
    )
