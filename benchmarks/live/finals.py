"""What the studies of `benchmarks.live.run` ended with, trained anew, all alike, and compared.

    python -m benchmarks.live.finals runs-live --train 0/2                   one of two processes; goes on where it was
    python -m benchmarks.live.finals runs-live --csv finals.csv              what came out
    python -m benchmarks.live.finals benchmarks/live/finals.csv              the table

Finalists are the front of each study when its time was up and when a third of it was. Each is trained from scratch with
a seed that no search had, so that none gains by a lucky draw, then measured on the validation images. Hypervolume:
accuracy linear, energy and parameters logarithmic, from the best to the worst of all finalists and the
baseline network; what that alone has is taken off.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.live.run import METHODS, SPACE, study
from benchmarks.outcomes import losses, scaled
from reports.front import losses as losses_in
from reports.ledger import load_study_folder
from reports.pareto import front, hypervolume
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


@dataclass(frozen=True)
class Row:
    """A network on the front of a study, as it was trained anew; the first row is the baseline network, of no study."""

    method: str
    seed: int
    share: str  # of the study's time
    trained: int  # networks, images and dense multiply-accumulates of the whole study
    images: int
    macs: float
    key: str
    accuracy: float
    energy_mj: float
    params: int
    dials: str  # JSON


def rows(out: Path, space: Space) -> Iterator[Row]:
    """Raises SystemExit where finalists are not trained yet."""
    keys = finalists(out, space)
    results = {key: read_result(out / "finals" / key) for key in keys}
    if missing := sum(result is None or result.metrics is None for result in results.values()):
        raise SystemExit(f"{missing} of {len(keys)} finalists are not trained yet: --train 0/2 and --train 1/2")
    first = next(iter(keys))
    yield _row(("baseline", 0, "", 0, 0, 0.0), first, results[first], keys[first])
    for method, seed, record in studies(out):
        trained = [trial for trial in record.trials if trial.history]
        spent = len(trained), sum(t.training_images for t in trained), sum(t.training_macs for t in trained)
        for name, share in SHARES.items():
            for params in candidates(record, share):
                key = space.candidate(dict(params)).key
                yield _row((method, seed, name, *spent), key, results[key], params)


def _row(of: tuple[str, int, str, int, int, float], key: str, record: TrialRecord | None, params: Params) -> Row:
    assert record is not None
    assert record.metrics is not None
    metrics = record.metrics
    energy_mj = metrics.energy_mj["horowitz45/exact"]
    return Row(*of, key, metrics.accuracy, energy_mj, metrics.params, json.dumps(dict(params)))


def read(path: Path) -> list[Row]:
    """What `write` wrote."""
    with path.open(newline="") as file:
        return [
            Row(**{field.name: field.type(row[field.name]) for field in fields(Row)})  # type: ignore[operator]  # str ...
            for row in csv.DictReader(file)
        ]


def write(path: Path, found: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in found)


def table(found: Sequence[Row]) -> Iterator[str]:
    by_key = scaled({row.key: losses(row.accuracy, row.energy_mj, row.params) for row in found})
    baseline, box = by_key[found[0].key], (1.0, 1.0, 1.0)
    worth = hypervolume([baseline], box)
    fronts: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in found[1:]:
        fronts.setdefault((row.method, row.seed), {}).setdefault(row.share, []).append(row)
    yield "| method | seed | trained | images | MACs | " + " | ".join(f"gain at {s} of the time" for s in SHARES) + " |"
    yield "|---" * (5 + len(SHARES)) + "|"
    gains: dict[str, list[list[float]]] = {}
    for (method, seed), shares in fronts.items():
        own = [
            hypervolume([*(by_key[row.key] for row in shares.get(name, [])), baseline], box) - worth for name in SHARES
        ]
        gains.setdefault(method, []).append(own)
        study = shares["all"][0]
        cells = " | ".join(f"{gain:.3f}" for gain in own)
        yield f"| {method} | {seed} | {study.trained} | {study.images:,} | {study.macs:.3g} | {cells} |"
    for method, of_seeds in gains.items():
        columns = zip(*of_seeds, strict=True)
        cells = " | ".join(f"{statistics.mean(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in columns)
        yield f"| {method} | mean (range) | | | | {cells} |"


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
    parser.add_argument("source", type=Path, help="folder of the studies, or what --csv wrote")
    parser.add_argument("--train", help="I/N: train the I-th of N shares of the finalists")
    parser.add_argument("--csv", type=Path, help="write what came out to this file")
    options = parser.parse_args()
    if options.train:
        train(options.source, load_space(SPACE), [int(word) for word in options.train.split("/")])
        return
    found = read(options.source) if options.source.is_file() else list(rows(options.source, load_space(SPACE)))
    if options.csv:
        write(options.csv, found)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
