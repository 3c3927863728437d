"""The fused kernels for CPUs: C with OpenMP, compiled on this machine, called through ctypes on torch's memory."""

from snnkit.kernels.native.function import fire, lif, runs

__all__ = ["fire", "lif", "runs"]
