"""The fused kernels for CPUs: C with OpenMP, compiled on this machine, called through ctypes on torch's memory."""

from snnkit.kernels.native import depthwise
from snnkit.kernels.native.fire import arrivals, channel_sums, fire, fire_back, norm_back, runs
from snnkit.kernels.native.library import ready

__all__ = ["arrivals", "channel_sums", "depthwise", "fire", "fire_back", "norm_back", "ready", "runs"]
