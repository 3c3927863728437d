"""Compare our training step with other libraries on the same network: ``python -m benchmarks.speed.speed --rounds 10``.

Each contestant has its own process. They take turns, a few steps per round, so that other load on the machine affects
all of them. Needs ``pip install '.[bench]'``.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from time import perf_counter
from typing import Any

from benchmarks.speed.worker import Setting
from search.trial.environment import commit, describe

TUTORIAL = {"bf16": False, "channels_last": False, "keep_memory": False}
# Two tables, each with its own "ours", because all contestants of a table are in memory at once.
TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "bf16 (autocast)": {
        "ours": {},
        "ReLU in place of LIF": {"contestant": "relu"},
        "SpikingJelly, channels_last": {"contestant": "spikingjelly", "keep_memory": False},
        "SpikingJelly, channels_last, with our allocator settings": {"contestant": "spikingjelly"},
        "snnTorch, channels_last": {"contestant": "snntorch", "keep_memory": False},
    },
    "fp32": {
        "ours": {"bf16": False},
        "ReLU in place of LIF": {"contestant": "relu", "bf16": False},
        "SpikingJelly": {"contestant": "spikingjelly", **TUTORIAL},
        "SpikingJelly, channels_last": {"contestant": "spikingjelly", "bf16": False, "keep_memory": False},
        "snnTorch as in its tutorials": {"contestant": "snntorch", **TUTORIAL},
    },
}


class Worker:
    def __init__(self, setting: Setting) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", json.dumps(asdict(setting))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.answer()

    def ask(self, task: str, count: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task} {count}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker ended; see its message above")
        answered: dict[str, Any] = json.loads(line)
        return answered

    def do(self, task: str, count: int) -> dict[str, Any]:
        self.ask(task, count)
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def workers(settings: Sequence[Setting]) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    try:
        started.extend(Worker(setting) for setting in settings)
        yield started
    finally:
        for worker in started:
            worker.close()


def compare(rows: Mapping[str, dict[str, Any]], base: Setting, rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Return the seconds of each row's steps, the loss of its first step and its peak memory."""
    settings = {name: replace(base, **changes) for name, changes in rows.items()}
    found: dict[str, dict[str, Any]] = {}
    with workers(list(settings.values())) as started:
        for name, worker in zip(settings, started, strict=True):
            found[name] = {"loss": worker.do("steps", 3)["losses"][0], "seconds": []}  # warm-up
        for _ in range(rounds):
            for name, worker in zip(settings, started, strict=True):
                done = worker.do("steps", steps)
                found[name]["seconds"] += done["seconds"]
                found[name]["peak_mb"] = done["peak_mb"]
    return found


def counting(base: Setting, count: int) -> list[float]:
    """Return the ratios of an evaluation with full counting to the one without it just before."""
    with workers([base]) as (worker,):
        worker.do("evaluate", 2)
        done = worker.do("evaluate", count)
    return [counted / plain for plain, counted in zip(done["plain"], done["counted"], strict=True)]


def packing(base: Setting, rounds: int, steps: int) -> list[float]:
    """Return the time of two candidates at once, one thread each, over one after the other with two threads."""
    ratios = []
    with workers([replace(base, threads=1), replace(base, threads=1), replace(base, threads=2)]) as (one, other, both):
        for worker in (one, other, both):
            worker.do("steps", 2)
        for _ in range(rounds):
            began = perf_counter()
            one.ask("steps", steps)
            other.ask("steps", steps)
            one.answer()
            other.answer()
            at_once = perf_counter() - began
            began = perf_counter()
            both.do("steps", 2 * steps)
            ratios.append(at_once / (perf_counter() - began))
    return ratios


def table(found: dict[str, dict[str, Any]]) -> str:
    head = "| contestant | ms a step, median (quartiles) | x ours | peak MB | x ours | first loss |"
    lines, ours = [head, "|" + "---|" * 6], found["ours"]
    for name, row in found.items():
        median = statistics.median(row["seconds"])
        low, _, high = statistics.quantiles(row["seconds"], n=4)
        lines.append(
            f"| {name} | {median * 1e3:.0f} ({low * 1e3:.0f} to {high * 1e3:.0f}) "
            f"| {median / statistics.median(ours['seconds']):.2f} | {row['peak_mb']:.0f} "
            f"| {row['peak_mb'] / ours['peak_mb']:.2f} | {row['loss']:.5f} |"
        )
    return "\n".join(lines)


def spread(ratios: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} (quartiles {low:.3f} to {high:.3f}, n = {len(ratios)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="steps of each contestant per round")
    for name in ("threads", "timesteps", "batch", "size"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Setting(), name))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    given = parser.parse_args()
    base = Setting(
        threads=given.threads, timesteps=given.timesteps, batch=given.batch, size=given.size, device=given.device
    )
    peers = ", ".join(f"{name} {version(name)}" for name in ("torch", "snntorch", "spikingjelly"))
    print(f"commit {commit()}; {describe(given.device)}; {peers}")
    network = f"SqueezeNet, T = {base.timesteps}, batch {base.batch}, {base.size}x{base.size} pixels"
    print(f"{network}, {base.threads} threads; {given.rounds} rounds of {given.steps} steps each")
    for title, rows in TABLES.items():
        print(f"\n{title}\n\n{table(compare(rows, base, given.rounds, given.steps))}", flush=True)
    print(f"\nevaluation with full counting / without: {spread(counting(base, 4 * given.rounds))}", flush=True)
    if given.device == "cpu":
        ratios = packing(base, given.rounds, given.steps)
        print(f"two candidates at once, a thread each / one after the other, two threads: {spread(ratios)}")


if __name__ == "__main__":
    main()
