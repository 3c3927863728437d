"""Measure how a step's time grows with time steps, batch, width and modules: ``python -m benchmarks.speed.scaling``.

All networks are in one process and take turns.
"""

import argparse
import statistics
from collections.abc import Iterator
from time import perf_counter
from typing import Any, NamedTuple

import torch

from benchmarks.speed.contestants import NEURON
from search.trial.environment import commit, describe
from snnkit.base.allocator import keep_freed_memory
from snnkit.base.config import EncodingConfig
from snnkit.families.squeezenet import FIRES, SqueezeNet, plan
from snnkit.nn.network import Network

BASE = {"timesteps": 4, "batch": 32, "width": 1.0, "kept": 8}
RANGES: dict[str, tuple[float, ...]] = {
    "timesteps": (1, 2, 4, 8, 16),
    "batch": (4, 8, 16, 32, 64, 128),
    "width": (0.125, 0.25, 0.5, 1.0, 1.5),
    "kept": (0, 1, 2, 4, 6, 8),
}


class Case(NamedTuple):
    timesteps: int
    batch: int
    width: float  # factor on the published width of every layer
    kept: int  # number of Fires, counted from the first

    def network(self, size: int) -> Network:
        usual = SqueezeNet.model_validate({})

        def scaled(part: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
            return part | {name: max(1, round(part[name] * self.width)) for name in names}

        design: dict[str, Any] = {"stem": scaled(usual.stem.model_dump(), ("width",))}
        for index, name in enumerate(FIRES):
            fire = scaled(usual.fires[name].model_dump(), ("squeeze", "expand1x1", "expand3x3"))
            design[name] = fire | {"keep": index < self.kept}
        drawn = plan(SqueezeNet.model_validate(design), 10, (3, size, size))
        network = Network(drawn, NEURON, EncodingConfig(timesteps=self.timesteps)).train()
        return network.to(memory_format=torch.channels_last)


class Timed:
    def __init__(self, case: Case, size: int) -> None:
        self.case, self.seconds = case, list[float]()
        self._network = case.network(size)
        self._images = torch.randn(case.batch, 3, size, size).contiguous(memory_format=torch.channels_last)
        self._labels = torch.randint(0, 10, (case.batch,))

    def step(self) -> None:
        began = perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self._network(self._images)
        torch.nn.functional.cross_entropy(logits.float(), self._labels).backward()  # type: ignore[no-untyped-call]
        self.seconds.append(perf_counter() - began)

    @property
    def gigamacs(self) -> float:
        """Return the multiply-accumulates of a forward pass in 10^9; the stem runs once."""
        stem, *others = self._network.plan.convs
        macs = stem.dense_macs + self.case.timesteps * sum(conv.dense_macs for conv in others)
        return self.case.batch * macs / 1e9


def cases() -> Iterator[tuple[str, Case]]:
    for name, values in RANGES.items():
        for value in values:
            yield name, Case(**{**BASE, name: value})  # type: ignore[arg-type]  # the values of RANGES have the right types


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    timed = {case: Timed(case, given.size) for case in dict.fromkeys(case for _, case in cases())}
    for index in range(given.rounds + 2):
        for one in timed.values():
            one.step()
            if index < 2:  # warm-up
                one.seconds.clear()
    print(f"commit {commit()}; {describe('cpu')}; torch {torch.__version__}; {given.size}x{given.size} pixels, ")
    print(f"{given.threads} threads, bfloat16; otherwise {BASE}; medians of {given.rounds} steps\n")
    print("| varied | value | ms a step (min to max) | GMAC forward | ms per GMAC |\n|" + "---|" * 5)
    for name, case in cases():
        seconds, macs = timed[case].seconds, timed[case].gigamacs
        median = statistics.median(seconds) * 1e3
        spread = f"{min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f}"
        print(f"| {name} | {getattr(case, name)} | {median:.1f} ({spread}) | {macs:.2f} | {median / macs:.1f} |")


if __name__ == "__main__":
    main()
