"""Train the fronts of the studies of `benchmarks.search.live.run` again, all in the same way, and compare them.

    python -m benchmarks.search.live.finals runs-live --train 0/2      one of two processes; can be continued
    python -m benchmarks.search.live.finals runs-live --csv finals.csv    write the results
    python -m benchmarks.search.live.finals benchmarks/search/live/finals.csv    the table

Finalists are the front of each study at three moments: after a third of its time, at its end, and when the trainings
that it had begun took a third of the multiply-accumulates that `optuna` spent in all (mean over the seeds). Each
finalist is trained from scratch with a seed that no search used, so that no lucky draw counts, and measured on the
validation images. The gain is the hypervolume in excess of the baseline network alone. Accuracy is linear, energy and
parameters are logarithmic, each from the best to the worst of all finalists and the baseline.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

from benchmarks.search.live.run import METHODS, SPACE, study
from benchmarks.search.outcomes import losses, scaled
from reports.analysis.front import losses as losses_in
from reports.analysis.pareto import front
from reports.analysis.volume import hypervolume
from reports.records.study import Leaf, StudyRecord, TrialRecord
from reports.storage.results import read_result
from reports.storage.studies import load_study_folder
from search.space.loading.loader import load_space
from search.space.space import Space
from search.trial.job import Job, Placement, initialization_without_parent

SEED = 1000
SHARES = ("a third of the time", "a third of optuna's MACs", "all of the time")

Params = tuple[tuple[str, Leaf], ...]


@dataclass(frozen=True)
class Study:
    method: str
    seed: int
    record: StudyRecord

    @cached_property
    def trained(self) -> list[TrialRecord]:
        return [trial for trial in self.record.trials if trial.history]

    @property
    def macs(self) -> float:
        return sum(trial.training_macs for trial in self.trained)

    def fronts(self, macs: float) -> dict[str, list[Params]]:
        """Return the front at each of SHARES; ``macs`` is the limit of the second."""
        ends = sorted(trial.finished_at for trial in self.trained if trial.finished_at is not None)
        began = min(trial.started_at for trial in self.trained if trial.started_at is not None)
        spent = [at for at in ends if self._begun(at) <= macs]
        moments = (began + (ends[-1] - began) / 3, spent[-1] if spent else began, ends[-1])
        return {share: self._front(at) for share, at in zip(SHARES, moments, strict=True)}

    def _begun(self, moment: float) -> float:
        """Return the multiply-accumulates of all trials that had begun by then, counted to their end."""
        return sum(t.training_macs for t in self.trained if t.started_at is not None and t.started_at < moment)

    def _front(self, moment: float) -> list[Params]:
        complete = [trial for trial in self.trained if trial.status == "complete"]
        there = [trial for trial in complete if trial.finished_at is not None and trial.finished_at <= moment]
        return [tuple(there[at].params.items()) for at in front([losses_in(self.record, trial) for trial in there])]


def studies(out: Path) -> list[Study]:
    found = []
    for method in METHODS:
        seed = 0
        while (folder := out / study(method, seed)).exists():
            found.append(Study(method, seed, load_study_folder(folder)))
            seed += 1
    return found


def allowance(found: Sequence[Study]) -> float:
    """Return a third of the multiply-accumulates of `optuna`, mean over the seeds."""
    return statistics.mean(each.macs for each in found if each.method == "optuna") / 3


def finalists(out: Path, space: Space) -> dict[str, Params]:
    """Return the finalists by candidate key, so that each is trained once; the baseline network is the first."""
    found: dict[str, Params] = {}
    there = studies(out)
    macs = allowance(there)
    every = [params for each in there for members in each.fronts(macs).values() for params in members]
    for params in (tuple(space.candidates["baseline"].items()), *every):
        found.setdefault(space.candidate(dict(params)).fingerprint, params)
    return found


def job(space: Space, key: str, params: Params, out: Path) -> Job:
    candidate = space.candidate(dict(params))
    return Job(
        number=0, name=None, params=dict(params), candidate=candidate, modules=(), static=candidate.static(),
        folder=out / "finals" / key, seed=SEED, initialization=initialization_without_parent(candidate),
    )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A network on the front of a study, with the results of its second training. The first row is the baseline."""

    method: str
    seed: int
    share: str  # one of SHARES
    trained: int  # networks, images and dense multiply-accumulates of the whole study
    images: int
    macs: float
    key: str
    accuracy: float
    energy_mj: float
    params: int
    dials: str  # JSON


def rows(out: Path, space: Space) -> Iterator[Row]:
    """Yield a row for each finalist. Raises SystemExit if some are not trained yet."""
    keys = finalists(out, space)
    results = {key: read_result(out / "finals" / key) for key in keys}
    if missing := sum(result is None or result.metrics is None for result in results.values()):
        raise SystemExit(f"{missing} of {len(keys)} finalists are not trained yet: --train 0/2 and --train 1/2")
    first = next(iter(keys))
    yield _row(("baseline", 0, "", 0, 0, 0.0), first, results[first], keys[first])
    there = studies(out)
    macs = allowance(there)
    for each in there:
        spent = len(each.trained), sum(trial.training_images for trial in each.trained), each.macs
        for share, members in each.fronts(macs).items():
            for params in members:
                key = space.candidate(dict(params)).fingerprint
                yield _row((each.method, each.seed, share, *spent), key, results[key], params)


def _row(of: tuple[str, int, str, int, int, float], key: str, record: TrialRecord | None, params: Params) -> Row:
    assert record is not None
    assert record.metrics is not None
    metrics = record.metrics
    energy_mj = metrics.energy_mj["horowitz45/exact"]
    return Row(*of, key, metrics.accuracy, energy_mj, metrics.params, json.dumps(dict(params)))


def read(path: Path) -> list[Row]:
    """Read a file of `write`."""
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
    yield "| method | seed | trained | images | MACs | " + " | ".join(f"gain at {share}" for share in SHARES) + " |"
    yield "|---" * (5 + len(SHARES)) + "|"
    gains: dict[str, list[list[float]]] = {}
    for (method, seed), shares in fronts.items():
        own = [
            hypervolume([*(by_key[row.key] for row in shares.get(name, [])), baseline], box) - worth for name in SHARES
        ]
        gains.setdefault(method, []).append(own)
        whole = shares[SHARES[-1]][0]
        cells = " | ".join(f"{gain:.3f}" for gain in own)
        yield f"| {method} | {seed} | {whole.trained} | {whole.images:,} | {whole.macs:.3g} | {cells} |"
    for method, of_seeds in gains.items():
        columns = zip(*of_seeds, strict=True)
        cells = " | ".join(f"{statistics.mean(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in columns)
        yield f"| {method} | mean (range) | | | | {cells} |"


def train(out: Path, space: Space, part: Sequence[int]) -> None:
    from search.trial.run import run

    index, parts = part
    for key, params in list(finalists(out, space).items())[index::parts]:
        if read_result(out / "finals" / key) is None:
            for event in run(job(space, key, params, out), Placement(threads=1)):
                if isinstance(event, TrialRecord):
                    print(f"key={key} status={event.status} wall_s={event.wall_s:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="folder of the studies, or a file written by --csv")
    parser.add_argument("--train", help="I/N: train the I-th of N shares of the finalists")
    parser.add_argument("--csv", type=Path, help="write the results to this file")
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
