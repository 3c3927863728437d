"""Compare our sampler with other searchers on the table of masks.

    python -m benchmarks.search.masks.rivals.compare benchmarks/search/masks/table.csv --out rivals.csv

All searches replay the same table within the same budgets, without early stopping, and `benchmarks.search.masks.replay`
measures them. Each finished search appends one row per budget. Searches that the file holds do not run again, so the
command can be stopped and started. A method that takes a second per question or more runs with fewer seeds. With
``--seeds 0`` the command only prints the summary.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.search.masks.replay import SEARCHES, SHARES, Search, Table, hypervolume_shares, replay, table_of
from benchmarks.search.masks.rivals.registry import RIVALS, MissingLibraryError, load_rival
from benchmarks.search.masks.rivals.searches import TimedSearch, rival_search
from benchmarks.search.masks.train import masks, read
from benchmarks.search.rows import append_rows, read_rows

SLOW = 1.0  # seconds per question
METHODS: Mapping[str, Callable[[Table, int], Search]] = {
    "ours": SEARCHES["ours"],
    "ours, equal masks too": SEARCHES["ehvi, corners"],
    **{name: partial(rival_search, name=name) for name in RIVALS},
    "random": SEARCHES["random"],
}


@dataclass(frozen=True)
class Row:
    """What one search found within one budget."""

    method: str
    seed: int
    share: float  # the budget, as a share of the cost of training all masks
    hypervolume: float  # as a share of the whole table's
    trained: int  # masks, within the budget
    seconds: float  # CPU time per question, over the whole search


def run(table: Table, method: str, seed: int, shares: Sequence[float]) -> list[Row]:
    """Run one search until the largest budget and return a row per budget."""
    search = TimedSearch(METHODS[method](table, seed))
    finished = list(replay(table, search, None, max(shares)))
    return [
        Row(
            method, seed, share, volume,
            sum(spent <= share * table.cost for spent, _ in finished), search.seconds_per_question,
        )
        for share, volume in zip(shares, hypervolume_shares(table, finished, shares), strict=True)
    ]  # fmt: skip


def stored(path: Path) -> list[Row]:
    return read_rows(Row, path) if path.exists() else []


def store(path: Path, rows: Sequence[Row]) -> None:
    append_rows(Row, path, rows, digits=4)


def wanted(methods: Sequence[str], path: Path, share: float, seeds: int, slow_seeds: int) -> Iterator[tuple[str, int]]:
    """Yield the searches (method, seed) whose row for the budget ``share`` is not in the file.

    The caller stores each search before it asks for the next one: a method that proves slow gets no further seeds.
    """
    for seed in range(seeds):
        for method in methods:
            rows = [row for row in stored(path) if row.method == method]
            slow = bool(rows) and statistics.median(row.seconds for row in rows) >= SLOW
            if (seed, share) not in {(row.seed, row.share) for row in rows} and (seed < slow_seeds or not slow):
                yield method, seed


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table of medians (quartiles), in the order of METHODS.

    A cell has its own n if it has fewer seeds than the method.
    """
    shares = sorted({row.share for row in rows})
    yield "| method | n | seconds per question | " + " | ".join(f"{share:.0%}" for share in shares) + " |"
    yield "|---" * (3 + len(shares)) + "|"
    for method in METHODS:
        if own := [row for row in rows if row.method == method]:
            seeds = len({row.seed for row in own})
            seconds = statistics.median(row.seconds for row in own)
            found = [[row.hypervolume for row in own if row.share == share] for share in shares]
            cells = [_spread(each) + (f", n = {len(each)}" if 0 < len(each) < seeds else "") for each in found]
            yield f"| {method} | {seeds} | {seconds:.2g} | " + " | ".join(cells) + " |"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "".join(f"{value:.3f}" for value in values)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def available(methods: Sequence[str]) -> Iterator[str]:
    """Yield the methods whose libraries are installed, and print what the others need."""
    for method in methods:
        try:
            if method in RIVALS:
                load_rival(method)
            yield method
        except MissingLibraryError as error:
            print(f"left out: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slow-seeds", type=int, default=5, help="of methods that take a second per question")
    parser.add_argument("--until", type=float, default=0.25, help="share of the cost at which a search ends")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = table_of(read(options.table))
    if table.trainings.keys() != set(masks()):
        parser.error(f"{options.table} lacks masks, and rivals may ask for any of them")
    shares = [share for share in SHARES if share <= options.until]
    methods = list(available(options.methods)) if options.seeds else []
    for method, seed in wanted(methods, options.out, shares[-1], options.seeds, options.slow_seeds):
        there = {(row.method, row.seed, row.share) for row in stored(options.out)}
        rows = run(table, method, seed, shares)
        store(options.out, [row for row in rows if (row.method, row.seed, row.share) not in there])
        print(f"method={method} seed={seed} {rows[-1]}", flush=True)
    print("\n".join(summary(stored(options.out))))
    libraries = sorted({RIVALS[method].library for method in methods if method in RIVALS})
    print("\n" + ", ".join(f"{library} {version(library)}" for library in libraries))


if __name__ == "__main__":
    main()
