"""Train a trial that ran out of memory once more, with each batch in parts whose gradients are added up.

The weights differ from those of whole batches, because BatchNorm sees one part at a time. The trial's record says so.
"""

import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from search.trial.folder import TrialFolder

BATCH_PARTS = 4  # enough for a trial that needs up to four times the available memory
MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")  # of CUDA, and of torch's CPU allocator

Event = TypeVar("Event")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def retry_in_parts(train: Callable[[], Iterator[Event]], files: TrialFolder) -> Iterator[Event]:
    """Yield the events of ``train``; if memory runs out, note smaller batches in ``files`` and call it once more.

    The note stays: any worker that continues the trial splits its batches too. Raises OSError if it cannot be written.
    """
    try:
        yield from train()
        return
    except Exception as error:
        if not is_out_of_memory(error) or files.read_batch_parts() > 1:
            raise
        files.log(f"event=out_of_memory accumulate={BATCH_PARTS} error={str(error).splitlines()[0]!r}")
    # outside of the except block: until its end, the traceback holds the tensors of the failed step
    files.write_batch_parts(BATCH_PARTS)
    gc.collect()
    torch.cuda.empty_cache()  # does nothing without CUDA
    yield from train()
