"""One thread for torch, here and in what tests start: small networks gain nothing from a second, and beside other work
on two cores two threads wait for each other several times as long as they compute."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
