"""The fused kernels for CPUs: C with OpenMP, compiled on this machine, called through ctypes on torch's memory."""

from snnkit.kernels.native import depthwise
from snnkit.kernels.native.fire import arrivals, drive, fire, lif, runs
from snnkit.kernels.native.library import ready

__all__ = ["arrivals", "depthwise", "drive", "fire", "lif", "ready", "runs"]
