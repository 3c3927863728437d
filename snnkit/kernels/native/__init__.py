"""Fused kernels for CPUs: C with OpenMP, compiled on this machine and called through ctypes on torch's memory."""

from snnkit.kernels.native import depthwise
from snnkit.kernels.native.batchnorm import batchnorm
from snnkit.kernels.native.library import ready
from snnkit.kernels.native.lif import (
    batchnorm_backward,
    channel_sums,
    lif_backward,
    lif_forward,
    runs,
    spikes_per_position,
)

__all__ = [
    "batchnorm",
    "batchnorm_backward",
    "channel_sums",
    "depthwise",
    "lif_backward",
    "lif_forward",
    "ready",
    "runs",
    "spikes_per_position",
]
