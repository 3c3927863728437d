"""A trial that runs out of memory is tried once more, each batch in parts whose gradients are added up.

The weights it comes to are not those of whole batches, since BatchNorm sees a part at a time; its record says so.
"""

import gc
from pathlib import Path

import torch

PARTS = 4  # so a trial passes that needs up to four times what there is
FILE = "accumulate.txt"
SIGNS = ("out of memory", "can't allocate memory", "not enough memory")  # of CUDA, of torch's allocator for the CPU


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that there was too little memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def accumulate(folder: Path) -> int:
    """In how many parts the trial in ``folder`` takes its batches."""
    try:
        return max(1, int((folder / FILE).read_text()))
    except (OSError, ValueError):
        return 1


def split(folder: Path) -> None:
    """From now on the trial takes its batches in parts, in this worker and any other. Raises OSError."""
    (folder / FILE).write_text(str(PARTS))
    gc.collect()
    torch.cuda.empty_cache()  # nothing where CUDA is not in use
