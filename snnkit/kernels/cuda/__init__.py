"""The fused kernels for NVIDIA GPUs, in Triton, which comes with torch there."""

import functools
import logging
import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from snnkit.kernels.fused import Kernels

MOST_STEPS = 16  # the steps are unrolled, so that membranes stay in registers
WINDOWS = (1, 2, 4)  # sides of windows of pooling: their places are a power of two

log = logging.getLogger(__name__)


def kernels(values: Tensor, timesteps: int, pool: int) -> "Kernels | None":
    """The kernels, where they can take it: float32 or bfloat16 in a GPU's memory."""
    fits = values.dtype in (torch.float32, torch.bfloat16) and values.numel() > 0
    if values.device.type != "cuda" or not fits or timesteps > MOST_STEPS or pool not in WINDOWS:
        return None
    return usable()


@functools.cache
def usable() -> "Kernels | None":
    """The kernels, once they gave what the reference gives on this GPU; else None, and the log says once why."""
    if os.environ.get("SNNSEARCH_KERNEL") == "reference":
        log.info("kernel=reference of=cuda reason=SNNSEARCH_KERNEL")
        return None
    try:
        from snnkit.kernels.cuda import launch
        from snnkit.kernels.cuda.check import check

        check(launch, torch.device("cuda"))
    except Exception as error:  # whatever Triton, its compiler or the driver raise: training goes on without
        log.warning("kernel=reference of=cuda reason=%r remedy=%r", str(error)[:500], "pip install -U triton; slower")
        return None
    log.info("kernel=triton of=cuda")
    return launch
