"""Run one contestant in its own process: ``python -m benchmarks.speed.worker JSON``.

A line on stdin is a task, a line on stdout its answer. The process idles between tasks, so that several can take turns
on one machine.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from benchmarks.reliability.memory import resident_mb
from benchmarks.speed.contestants import CONTESTANTS, NEURON
from snnkit.base.allocator import keep_freed_memory
from snnkit.base.config import EncodingConfig
from snnkit.energy.operations import OperationCounter
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn.network import Network


@dataclass(frozen=True)
class Setting:
    contestant: str = "ours"
    bf16: bool = True
    channels_last: bool = True
    keep_memory: bool = True
    threads: int = 2
    timesteps: int = 4
    batch: int = 64
    size: int = 32
    device: str = "cpu"


class Work:
    """A network, its optimizer and one batch of noise."""

    def __init__(self, setting: Setting) -> None:
        torch.set_num_threads(setting.threads)
        if setting.keep_memory and setting.device == "cpu":
            keep_freed_memory()
        self.setting = setting
        size = (3, setting.size, setting.size)
        ours = Network(
            plan(SqueezeNet.model_validate({}), 10, size), NEURON, EncodingConfig(timesteps=setting.timesteps)
        )
        self.network = CONTESTANTS[setting.contestant](ours).to(setting.device).train()
        torch.manual_seed(0)  # after the peers drew their weights, which were replaced by ours
        self.images = torch.randn(setting.batch, *size, device=setting.device)
        self.labels = torch.randint(0, 10, (setting.batch,), device=setting.device)
        if setting.channels_last:
            self.network.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9)
        self.before_mb = resident_mb()

    def step(self) -> float:
        """Run one training step and return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.setting.device, dtype=torch.bfloat16, enabled=self.setting.bf16):
            logits: Tensor = self.network(self.images)
        loss = nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.optimizer.step()
        return loss.item()

    def steps(self, count: int) -> dict[str, object]:
        losses, seconds = [], []
        for _ in range(count):
            began = time.perf_counter()
            losses.append(self.step())
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds, "losses": losses, "peak_mb": self.peak_mb()}

    def evaluate(self, count: int) -> dict[str, object]:
        """Time forward passes over 50 images in float32, alternately without and with full counting."""
        self.network.eval()
        plain, counted = [], []
        with torch.no_grad():
            for _ in range(count):
                plain.append(_timed(lambda: self.network(self.images[:50])))
                counted.append(_timed(self._count))
        self.network.train()
        return {"plain": plain, "counted": counted}

    def _count(self) -> None:
        assert isinstance(self.network, Network)
        counter = OperationCounter(self.network)
        self.network(self.images[:50], observe=counter)
        counter.counts()

    def peak_mb(self) -> float:
        """Return the peak memory of training in MB, without libraries, weights and data."""
        if self.setting.device == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self.before_mb


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    work = Work(Setting(**json.loads(sys.argv[1])))
    print(json.dumps({"ready": asdict(work.setting)}), flush=True)
    for line in sys.stdin:
        task, count = line.split()
        print(json.dumps({"steps": work.steps, "evaluate": work.evaluate}[task](int(count))), flush=True)


if __name__ == "__main__":
    main()
