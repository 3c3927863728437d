"""Fused kernels for NVIDIA GPUs in Triton, which CUDA builds of torch include."""

import functools
import logging
import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from snnkit.kernels.fused import Kernels

MAX_TIMESTEPS = 16  # steps are unrolled to keep membranes in registers
POOL_SIDES = (1, 2, 4)  # sides of pooling windows; their areas are powers of two

log = logging.getLogger(__name__)


def kernels(values: Tensor, timesteps: int, pool: int) -> "Kernels | None":
    """The kernels if they accept ``values``: float32 or bfloat16 on a GPU. Otherwise None."""
    fits = values.dtype in (torch.float32, torch.bfloat16) and values.numel() > 0
    if values.device.type != "cuda" or not fits or timesteps > MAX_TIMESTEPS or pool not in POOL_SIDES:
        return None
    return usable()


@functools.cache
def usable() -> "Kernels | None":
    """The kernels if they agree with the reference on this GPU. Otherwise None, and the log says why, once."""
    if os.environ.get("SNNSEARCH_KERNEL") == "reference":
        log.info("kernel=reference of=cuda reason=SNNSEARCH_KERNEL")
        return None
    try:
        from snnkit.kernels.cuda import launch
        from snnkit.kernels.cuda.check import check

        check(launch, torch.device("cuda"))
    except Exception as error:  # any error of Triton, its compiler or the driver: training uses the reference
        log.warning("kernel=reference of=cuda reason=%r remedy=%r", str(error)[:500], "pip install -U triton; slower")
        return None
    log.info("kernel=triton of=cuda")
    return launch
