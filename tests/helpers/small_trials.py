"""A real trial of seconds: few images, two epochs."""

from helpers.untrained import SPACES

from reports.records.study import EpochRecord, TrialRecord
from search.space.loading.loader import load_space
from search.trial.job import Job, Placement, initialization_without_parent
from search.trial.run import run

HERE = Placement(threads=1)


def job_for(folder, **overrides) -> Job:
    quick = {"data.subset": 600, "train.epochs": 2, "train.chance_patience": 0}
    space = load_space(SPACES / "smoke.yaml", overrides=quick | overrides)
    params = space.candidates["no-fire3"]
    candidate = space.candidate(params)
    return Job(
        number=0, name="no-fire3", params=params, candidate=candidate, modules=(), static=candidate.static(),
        folder=folder / "trials" / "0", seed=0, initialization=initialization_without_parent(candidate),
    )  # fmt: skip


def record_of(job: Job) -> TrialRecord:
    *epochs, record = run(job, HERE)
    assert all(isinstance(epoch, EpochRecord) for epoch in epochs)
    assert isinstance(record, TrialRecord)
    return record
