"""Recordings in the format of N-MNIST, written by tests."""

from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]  # x, y, polarity, time in microseconds


def bin_file(path: Path, events: list[Event]) -> Path:
    """A recording as the archive has it: 8 bits x, 8 bits y, 1 bit polarity, 23 bits time, big-endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in events))
    return path


def random_events(rng: np.random.Generator, count: int = 200) -> list[Event]:
    times = np.sort(rng.integers(0, 310_000, count))
    x, y, p = (rng.integers(0, high, count).tolist() for high in (34, 34, 2))
    return list(zip(x, y, p, times.tolist(), strict=True))
