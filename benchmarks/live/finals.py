"""What the studies of `benchmarks.live.run` ended with, trained anew, all alike, and compared.

    python -m benchmarks.live.finals runs-live --train 0/2      one of two processes; goes on where it was
    python -m benchmarks.live.finals runs-live                  the table

Finalists are the front of each study when its time was up and when a third of it was. Each is trained from scratch with
a seed that no search had, so that none gains by a lucky draw, then measured on the validation images. Hypervolume:
accuracy linear, energy and parameters logarithmic, from the best to the worst of all finalists and the
baseline network; what that alone has is taken off.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.live.run import METHODS, SPACE, study
from benchmarks.outcomes import losses, scaled
from reports.front import losses as losses_in
from reports.ledger import load_study_folder
from reports.pareto import Point, front, hypervolume
from reports.record import Leaf, StudyRecord, TrialRecord
from reports.results import read_result
from search.job import Job, Placement
from search.space import Space, load_space

SEED = 1000
SHARES = {"a third": 1 / 3, "all": 1.0}

Params = tuple[tuple[str, Leaf], ...]


def candidates(record: StudyRecord, share: float) -> list[Params]:
    """The front of a study when ``share`` of its time was spent."""
    trials = [trial for trial in record.trials if trial.status == "complete"]
    began = min(trial.started_at for trial in record.trials if trial.started_at is not None)
    spent = max(trial.finished_at for trial in trials if trial.finished_at is not None) - began
    there = [t for t in trials if t.finished_at is not None and t.finished_at - began <= share * spent]
    points = [losses_in(record, trial) for trial in there]
    return [tuple(there[at].params.items()) for at in front(points)]


def studies(out: Path) -> Iterator[tuple[str, int, StudyRecord]]:
    for method in METHODS:
        seed = 0
        while (folder := out / study(method, seed)).exists():
            yield method, seed, load_study_folder(folder)
            seed += 1


def finalists(out: Path, space: Space) -> dict[str, Params]:
    """By candidate key, so that what several searches have found is trained once; the baseline network first."""
    found: dict[str, Params] = {}
    every = [
        params for _, _, record in studies(out) for share in SHARES.values() for params in candidates(record, share)
    ]
    for params in (tuple(space.candidates["baseline"].items()), *every):
        found.setdefault(space.candidate(dict(params)).key, params)
    return found


def job(space: Space, key: str, params: Params, out: Path) -> Job:
    candidate = space.candidate(dict(params))
    return Job(
        number=0, name=None, params=dict(params), candidate=candidate, modules=(), static=candidate.static(),
        folder=out / "finals" / key, seed=SEED,
    )  # fmt: skip


def point(record: TrialRecord) -> Point:
    assert record.metrics is not None
    metrics = record.metrics
    return losses(metrics.accuracy, metrics.energy_mj["horowitz45/exact"], metrics.params)


def table(out: Path, space: Space) -> Iterator[str]:
    keys = finalists(out, space)
    results = {key: read_result(out / "finals" / key) for key in keys}
    missing = sum(result is None for result in results.values())
    if missing:
        raise SystemExit(f"{missing} of {len(keys)} finalists are not trained yet: --train 0/2 and --train 1/2")
    losses_of = scaled({key: point(result) for key, result in results.items() if result is not None})
    baseline = losses_of[next(iter(keys))]
    box = (1.0, 1.0, 1.0)
    worth = hypervolume([baseline], box)
    yield (
        "| method | seed | trained | images | MACs | "
        + " | ".join(f"gain at {share} of the time" for share in SHARES)
        + " |"
    )
    yield "|---" * (5 + len(SHARES)) + "|"
    gains: dict[tuple[str, str], list[float]] = {}
    for method, seed, record in studies(out):
        cells = []
        for name, share in SHARES.items():
            keys_of = [space.candidate(dict(params)).key for params in candidates(record, share)]
            gain = hypervolume([losses_of[key] for key in keys_of] + [baseline], box) - worth
            gains.setdefault((method, name), []).append(gain)
            cells.append(f"{gain:.3f}")
        trained = [trial for trial in record.trials if trial.history]
        images, macs = sum(t.training_images for t in trained), sum(t.training_macs for t in trained)
        yield f"| {method} | {seed} | {len(trained)} | {images:,} | {macs:.3g} | " + " | ".join(cells) + " |"
    for method in METHODS:
        spread = [gains[method, name] for name in SHARES if (method, name) in gains]
        cells = [f"{statistics.mean(each):.3f} ({min(each):.3f} to {max(each):.3f})" for each in spread]
        yield f"| {method} | mean (range) | | | | " + " | ".join(cells) + " |"


def train(out: Path, space: Space, part: Sequence[int]) -> None:
    from search.trial import run

    index, parts = part
    for key, params in list(finalists(out, space).items())[index::parts]:
        if read_result(out / "finals" / key) is None:
            for event in run(job(space, key, params, out), Placement(threads=1)):
                if isinstance(event, TrialRecord):
                    print(f"key={key} status={event.status} wall_s={event.wall_s:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", help="I/N: train the I-th of N shares of the finalists")
    options = parser.parse_args()
    space = load_space(SPACE)
    if options.train:
        train(options.out, space, [int(word) for word in options.train.split("/")])
    else:
        print("\n".join(table(options.out, space)))


if __name__ == "__main__":
    main()
