"""Run a rival in the replay of the table, and measure the time of any search."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.search.masks.replay import Search, Table, cost, nearest
from benchmarks.search.masks.rivals.protocol import Facts, Rival
from benchmarks.search.masks.rivals.registry import load_rival
from benchmarks.search.outcomes import losses
from reports.analysis.pareto import Point

MAX_REPEATS = 10  # in a row, before a neighbour is trained


class RivalSearch:
    """A rival that searches the table.

    A repeated proposal costs nothing: the rival receives the losses of that mask again. After MAX_REPEATS of them in a
    row, the search trains an untried neighbour of the last one, and the rival does not learn its losses.
    """

    def __init__(self, rival: Rival, table: Table, seed: int) -> None:
        self._rival, self._rng = rival, random.Random(seed)
        self._left = set(table.trainings)
        self._losses: dict[str, Point] = {}
        self._neighbours: set[str] = set()

    def ask(self) -> str | None:
        last = ""
        for _ in range(MAX_REPEATS):
            mask = self._rival.ask() if self._left else None
            if mask is None or mask in self._left:
                return self._taken(mask)
            self._rival.tell(mask, self._losses[mask])
            last = mask
        self._neighbours.add(neighbour := nearest(last, self._left, self._rng))
        return self._taken(neighbour)

    def _taken(self, mask: str | None) -> str | None:
        self._left -= {mask}
        return mask

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        """Learn nothing."""

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        assert values is not None, "rivals run without early stopping"
        accuracy, energy_mj, params = values
        self._losses[mask] = losses(accuracy, energy_mj, params)
        if mask not in self._neighbours:
            self._rival.tell(mask, self._losses[mask])


def facts(table: Table) -> dict[str, Facts]:
    """Return the figures of each mask that are known before its training."""
    return {
        mask: Facts(losses(rows[-1].accuracy, rows[-1].energy_mj, rows[-1].params)[2], sum(map(cost, rows)))
        for mask, rows in table.trainings.items()
    }


def rival_search(table: Table, seed: int, name: str) -> RivalSearch:
    return RivalSearch(load_rival(name)(facts(table), seed), table, seed)


class TimedSearch:
    """A search with the CPU seconds that it spends, all questions and answers together."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._seconds, self._questions = 0.0, 0

    @property
    def seconds_per_question(self) -> float:
        return self._seconds / max(self._questions, 1)

    def ask(self) -> str | None:
        self._questions += 1
        with self._clock():
            return self._search.ask()

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        with self._clock():
            self._search.note(mask, epoch, values)

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        with self._clock():
            self._search.tell(mask, values)

    @contextmanager
    def _clock(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self._seconds += time.process_time() - began
