"""A study without training: records whose figures follow from the candidate, in no time."""

import hashlib
from pathlib import Path

from reports.records.study import EpochRecord, FidelityRecord, Measured, Metrics, StudyHeader, TrialRecord
from search.runner.header import study_header
from search.runner.options import RunOptions
from search.space.space import Space
from search.trial.job import Job, outline

SPACES = Path(__file__).parents[2] / "spaces"


def options_for(runs: Path, **changes: object) -> RunOptions:
    values = {"runs": runs, "workers": 1, "executor": "inline", "data_root": runs / "data"}
    return RunOptions(**(values | changes))


def header_for(space: Space, runs: Path) -> StudyHeader:
    return study_header(space, options_for(runs))


def trained(job: Job) -> TrialRecord:
    """A record as if ``job`` had been trained: parameters as planned, the rest drawn from the candidate's key.

    Below the full fidelity, the trial is paused, with one epoch of 1,000 operations.
    """
    draw = int(hashlib.sha256(job.candidate.fingerprint.encode()).hexdigest()[:8], 16) / 2**32
    prices = {"horowitz45/exact": 0.01 + draw, "horowitz45/paper2602": 0.02 + draw, "lemaire2022/exact": 0.1 + draw}
    metrics = Metrics(
        accuracy=draw, test_accuracy=draw, test_f1=draw, params=job.static["params"], acs=1e6 * draw, macs=1e5,
        dense_macs=job.static["dense_macs"], spikes=1e4, firing_rate=0.1, timesteps=2, energy_mj=prices,
        twin_energy_mj={key: 2 * value for key, value in prices.items()},
    )  # fmt: skip
    ended = {"started_at": 1.0, "finished_at": 2.0, "wall_s": 1.0, "device": "none"}
    if job.fidelity is None:
        return outline(job, status="complete").model_copy(update={"metrics": metrics, **ended})
    measured = Measured.model_validate(metrics.model_dump(exclude={"test_accuracy", "test_f1"}))
    epoch = EpochRecord(
        epoch=1,
        train_loss=1,
        train_accuracy=0,
        val_loss=1,
        val_accuracy=draw,
        learning_rate=1,
        wall_s=1,
        images=10,
        macs=1000,
    )
    found = FidelityRecord(fidelity=job.fidelity, of=job.fidelities, measured=measured, history=(epoch,))
    return outline(job, status="paused").model_copy(update={"fidelities": (found,), **ended})


def finish(job: Job, **changes: object) -> None:
    """Leave the record of ``job`` as if it had been trained, with ``changes``, where the next run looks for it."""
    job.files.write_result(trained(job).model_copy(update=changes))
