"""Figures that are measured only if a space names them: latency, memory, the busiest layer, and figures of layers."""

import re
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from search.plugins.objective import MEASURES, Measure, Objective, TrainedNetwork, add_objective

if TYPE_CHECKING:
    from snnkit.energy.operations import LayerCounts

REPETITIONS = 20  # of the timed inference
WORD_BYTES = 4  # of a weight and of a membrane potential

_LAYER = re.compile(r"layers\.(?P<layer>[\w.]+)\.(?P<figure>macs|acs|spikes|params|firing_rate)")
_SUMS: Mapping[str, Callable[["LayerCounts"], float]] = {
    "macs": lambda layer: layer.macs,
    "acs": lambda layer: layer.acs,
    "spikes": lambda layer: layer.spikes_out,
    "params": lambda layer: layer.params,
}


def _latency_ms(trained: TrainedNetwork) -> float:
    """Time of one inference on one image, in this process: the median of 20."""
    import torch

    image, seconds = trained.images(1), []
    with torch.no_grad():
        for _ in range(REPETITIONS + 1):  # the first one warms up
            start = time.perf_counter()
            trained.network(image).sum().item()  # waits for a GPU
            seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[1:])


def _memory_kib(trained: TrainedNetwork) -> float:
    """Weights and membrane potentials, 32 bits each."""
    counts = trained.counts
    return WORD_BYTES * (counts.plan.params + sum(layer.neurons for layer in counts.layers)) / 1024


def _worst_firing_rate(trained: TrainedNetwork) -> float:
    return max((layer.firing_rate or 0.0 for layer in trained.counts.layers), default=0.0)


FIGURES: Mapping[str, Objective] = {
    "latency_ms": Objective(
        _latency_ms, "minimize", "ms", "latency of one image on the training machine", 0.1, 1e4, log=True
    ),
    "memory_kib": Objective(_memory_kib, "minimize", "KiB", "memory of weights and potentials", 1.0, 1e6, log=True),
    "worst_firing_rate": Objective(
        _worst_firing_rate, "minimize", "ratio", "firing rate of the busiest layer", 0.0, 1.0, log=False
    ),
}
for _name, _figure in FIGURES.items():
    add_objective(_name, _figure)


def add_layer_figure(name: str) -> bool:
    """Register ``name`` if it is a figure of a layer, ``layers.fire8.acs``; return whether it is one.

    The figure of a module is the sum over its layers, and its firing rate the mean over its neurons. A removed layer
    has 0.
    """
    found = _LAYER.fullmatch(name)
    if found is None:
        return False
    if name not in MEASURES:
        layer, figure = found["layer"], found["figure"]
        label = f"{figure.replace('_', ' ')} of {layer}"
        rate = figure == "firing_rate"
        low, high, unit = (0.0, 1.0, "ratio") if rate else (1.0, 1e9, "")
        add_objective(name, Objective(_of_layer(layer, figure), "minimize", unit, label, low, high, log=not rate))
    return True


def layer_of(name: str) -> str | None:
    """Return the layer or module that the figure ``name`` is about; None if it is no figure of a layer."""
    found = _LAYER.fullmatch(name)
    return None if found is None else found["layer"]


def _of_layer(name: str, figure: str) -> Measure:
    def measure(trained: TrainedNetwork) -> float:
        inside = [each for each in trained.counts.layers if f"{each.name}.".startswith(f"{name}.")]
        if figure != "firing_rate":
            return float(sum(map(_SUMS[figure], inside)))
        neurons = sum(each.neurons * each.timesteps for each in inside)
        return sum(each.spikes_out for each in inside) / neurons if neurons else 0.0

    return measure
