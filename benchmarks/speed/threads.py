"""Measure a training step by threads, alone and beside busy processes: ``python -m benchmarks.speed.threads``.

Each case runs in a process of its own, because OpenMP reads how its threads wait when it is loaded.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from search.trial.environment import commit, describe

SPACES = Path(__file__).parents[2] / "spaces"
NETWORKS = {  # space, side of the images in pixels, batch, steps
    "small": ("smoke.yaml", 16, 16, 20),
    "large": ("squeezenet_prune.yaml", 32, 64, 3),
}
MAX_CASE_S = 15  # then a process measures no further step
WAITS = {
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's default
    "sleeping": {"OMP_WAIT_POLICY": "passive"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each case")
    parser.add_argument("--busy", type=int, default=4, help="number of busy processes")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--case", nargs=2, metavar=("NETWORK", "THREADS"), help="measure one case in this process")
    given = parser.parse_args()
    if given.case:
        print(*_steps_ms(given.case[0], int(given.case[1])))
        return
    print(f"{describe('cpu')}; {commit()}; ms per training step, median of {given.rounds} (lowest to highest)\n")
    print("| network | threads | they wait by | alone | beside busy processes |\n|---|---|---|---|---|")
    for network, threads in itertools.product(NETWORKS, given.threads):
        for wait in WAITS if threads > 1 else ["sleeping"]:
            cells = [_case(network, threads, wait, busy, given.rounds) for busy in (0, given.busy)]
            print(f"| {network} | {threads} | {wait if threads > 1 else ''} | {' | '.join(cells)} |", flush=True)


def _case(network: str, threads: int, wait: str, busy: int, rounds: int) -> str:
    command = [sys.executable, "-m", "benchmarks.speed.threads", "--case", network, str(threads)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    found = []
    with _busy(busy):
        for _ in range(rounds):
            done = subprocess.run(command, env=environment | WAITS[wait], capture_output=True, text=True, check=True)
            found.append(statistics.median(map(float, done.stdout.split())))
    return f"{statistics.median(found):.0f} ({min(found):.0f} to {max(found):.0f})"


@contextmanager
def _busy(number: int) -> Iterator[None]:
    """Within the block, ``number`` processes keep a core busy each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _steps_ms(network: str, threads: int) -> Iterator[float]:
    """Yield the milliseconds of each training step after the first two."""
    import torch

    from search.space.loading.loader import load_space
    from snnkit.nn.network import Network

    torch.set_num_threads(threads)
    space, pixels, batch, steps = NETWORKS[network]
    candidate = load_space(SPACES / space, overrides={"data.resolution": pixels}).base
    plan = candidate.plan()
    trained = Network(plan, candidate.neuron, candidate.encoding, seed=0).train().to(memory_format=torch.channels_last)
    images = torch.randn(batch, *plan.in_shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, plan.classes, (batch,))
    started = perf_counter()
    for step in range(steps + 2):
        began = perf_counter()
        if step > 2 and began - started > MAX_CASE_S:
            return
        loss = torch.nn.functional.cross_entropy(trained(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if step > 1:
            yield 1000 * (perf_counter() - began)


if __name__ == "__main__":
    main()
