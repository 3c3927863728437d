"""Loaded by every Python process of a struck study, through PYTHONPATH.

The file ``armed`` in $CHAOS names a fault: the next training step of any process fails with it, once. The file
``clock`` holds seconds that are added to the time of day.
"""

import os
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(os.environ["CHAOS"])
_now = time.time


def _shifted() -> float:
    try:
        return _now() + float((FOLDER / "clock").read_text())
    except (OSError, ValueError):
        return _now()


def _hang() -> None:
    while True:
        time.sleep(3600)


def _exit() -> None:
    os._exit(7)


def _eat() -> None:
    eaten = []
    while True:  # until Ray's memory monitor kills this process
        eaten.append(bytearray(os.urandom(1)) * (64 * 2**20))
        time.sleep(0.02)


def _raise() -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


FAULTS = {"hang": _hang, "exit": _exit, "eat": _eat, "raise": _raise}


def _struck() -> None:
    try:
        fault = (FOLDER / "armed").read_text()
        os.rename(FOLDER / "armed", FOLDER / f"struck-{os.getpid()}")  # only one process succeeds
    except OSError:
        return
    FAULTS[fault]()


def _patch() -> None:
    while "snnkit.training.step" not in sys.modules or not hasattr(sys.modules["snnkit.training.step"], "TrainStep"):
        time.sleep(0.01)
    step = sys.modules["snnkit.training.step"].TrainStep
    backward = step._backward

    def struck(*batch: object) -> object:
        _struck()
        return backward(*batch)

    step._backward = struck


time.time = _shifted
threading.Thread(target=_patch, daemon=True).start()
