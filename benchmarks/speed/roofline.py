"""Compare the stages of a training step with what this machine can do: ``python -m benchmarks.speed.roofline``.

Bytes count tensors that do not stay in a cache between two stages; each is read or written once per pass. The ceilings
are measured in the same process: by a product of large matrices, and by scaling one tensor into another, both larger
than any cache.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor
from torch.profiler import profile

from benchmarks.speed.worker import Setting, Work
from search.trial.environment import commit, describe
from snnkit.architecture.fusion import FusedLIF, fuse
from snnkit.architecture.plan import Conv, Plan
from snnkit.nn.network import Network


@dataclass(frozen=True)
class Stage:
    name: str
    events: tuple[str, ...]  # of torch's profiler; their own times add up to the stage's time
    gigabytes: float = 0.0
    gigamacs: float = 0.0


def stages(plan: Plan, setting: Setting) -> list[Stage]:
    """Return the stages of one training step with the bytes and multiply-accumulates that they need."""
    size = 2 if setting.bf16 else 4
    images, steps = setting.batch, setting.timesteps

    def evaluations(conv: Conv) -> int:
        return images * (1 if conv.reads == "input" else steps)

    def area(shape: tuple[int, int, int]) -> int:
        return shape[0] * shape[1] * shape[2]

    macs = sum(evaluations(conv) * conv.dense_macs for conv in plan.convs) / 1e9
    stem = plan.convs[0]
    read = sum(evaluations(conv) * area(conv.in_shape) for conv in plan.convs)
    current = sum(evaluations(conv) * area(conv.out_shape) for conv in plan.convs)
    neural = sum(evaluations(conv) * area(conv.out_shape) for conv in plan.convs if conv.emits_spikes)
    spikes = 0
    for step in fuse(plan, spiking=True):
        if isinstance(step, FusedLIF):
            spikes += images * steps * sum(area(conv.out_shape) for conv in step.convs) // step.window**2
    moved = size / 1e9
    return [
        Stage(
            "convolutions forward", ("aten::mkldnn_convolution", "aten::convolution"), (read + current) * moved, macs
        ),
        Stage(
            "convolutions backward",
            ("aten::convolution_backward",),
            # reads the output's gradient twice and the input once, writes the input's gradient except the image's
            (2 * current + 2 * read - images * area(stem.in_shape)) * moved,
            2 * macs - images * stem.dense_macs / 1e9,
        ),
        # the statistics read the current once, the neurons read it again
        Stage("BatchNorm, LIF, concatenation, pooling forward", ("_Fire", "snn_sums"), (2 * neural + spikes) * moved),
        # neurons read the spikes' gradients and the current and write a gradient; BatchNorm reads both and writes one
        Stage("BatchNorm, LIF, concatenation, pooling backward", ("_FireBackward",), (spikes + 5 * neural) * moved),
    ]


def ceilings(setting: Setting) -> tuple[float, float]:
    """Measure GMAC/s of a matrix product and GB/s of reading and writing."""
    dtype = torch.bfloat16 if setting.bf16 else torch.float32
    side = 2048
    a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    macs = side**3 / 1e9 / best(lambda: a @ b)
    source, target = torch.randn(2**26), torch.empty(2**26)  # 256 MiB each
    return macs, 2 * source.nbytes / 1e9 / best(lambda: torch.mul(source, 2, out=target))


def best(work: Callable[[], Tensor], times: int = 10) -> float:
    seconds = []
    for _ in range(times):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds)


def measured(work: Work, count: int) -> tuple[dict[str, list[float]], list[float]]:
    """Return the seconds of each event and of whole steps, for ``count`` steps."""
    by_event: dict[str, list[float]] = {}
    whole = []
    for _ in range(count):
        with profile() as profiler:
            began = perf_counter()
            work.step()
            whole.append(perf_counter() - began)
        for event in profiler.key_averages():
            by_event.setdefault(event.key, []).append(event.self_cpu_time_total / 1e6)
    return by_event, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fp32", action="store_true")
    given = parser.parse_args()
    setting = Setting(threads=given.threads, bf16=not given.fp32)
    work = Work(setting)
    assert isinstance(work.network, Network)
    work.steps(3)
    macs_per_s, bytes_per_s = ceilings(setting)
    by_event, whole = measured(work, given.steps)
    print(f"commit {commit()}; {describe('cpu')}; torch {torch.__version__}; {setting}; n = {given.steps}")
    print(f"ceilings: {macs_per_s:.0f} GMAC/s, {bytes_per_s:.1f} GB/s\n")
    print("| stage | GB | GMAC | ms at the ceilings | ms measured | share of the ceiling |\n|" + "---|" * 6)
    step = statistics.median(whole)
    rest = step
    for stage in stages(work.network.plan, setting):
        least = max(stage.gigabytes / bytes_per_s, stage.gigamacs / macs_per_s)
        spent = sum(statistics.median(by_event[event]) for event in stage.events if event in by_event)
        rest -= spent
        print(
            f"| {stage.name} | {stage.gigabytes:.3f} | {stage.gigamacs:.1f} | {least * 1e3:.0f} | {spent * 1e3:.0f} "
            f"| {least / spent:.2f} |"
        )
    print(f"| everything else | | | | {rest * 1e3:.0f} | |\n| the whole step | | | | {step * 1e3:.0f} | |")


if __name__ == "__main__":
    main()
