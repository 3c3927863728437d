"""Spiking networks as plans: build them, count their operations, estimate their energy.

>>> import torch, snnkit
>>> network = snnkit.build_network("squeezenet", {"fire9": {"keep": False}}, classes=10, in_shape=(3, 32, 32))
>>> network.plan.params
538122
>>> counts = snnkit.count_operations(network, [torch.zeros(2, 3, 32, 32)])  # batches of normalised images
>>> f"{counts.macs:,.0f} MACs in the first layer"
'3,393,024 MACs in the first layer'
>>> energy = snnkit.estimate_energy(counts)
>>> energy.total_mj == sum(energy.layers.values()) > 0
True

``import snnkit`` loads no torch; the first use of a function does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnkit.counting.count import count
    from snnkit.energy import estimate_energy
    from snnkit.energy.operations import count_operations
    from snnkit.nn.build import build_network

__all__ = ["build_network", "count", "count_operations", "estimate_energy"]

_MODULES = {
    "build_network": "snnkit.nn.build",
    "count": "snnkit.counting.count",
    "count_operations": "snnkit.energy.operations",
    "estimate_energy": "snnkit.energy",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'snnkit' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name]), name)
