"""One thread for torch, here and in what tests start: small networks gain nothing from a second, and beside other work
on two cores two threads wait for each other several times as long as they compute."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks; last: what is tested of ours stays what is installed
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # it reads that as it is loaded

if not torch.cuda.is_available():  # Triton's kernels are tried on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")
