"""Drivers of studies and benchmarks in processes of their own, to be killed."""

import signal
import subprocess
import time
from pathlib import Path

from helpers.waiting import PATIENCE_S

from benchmarks.reliability.chaos.processes import snnsearch


def finish(words: list[str]) -> str:
    done = subprocess.run(snnsearch(*words), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill_after(words: list[str], trials_dir: Path, delay: float, number: signal.Signals = signal.SIGKILL) -> str:
    """Start a driver, wait until a trial has started, then ``delay`` seconds, and kill it. A driver that was faster
    than that has ended by itself. Returns what it has said."""
    driver = start_until_trial(words, trials_dir)
    time.sleep(delay)
    driver.send_signal(number)
    return driver.communicate()[0]


def start_until_trial(words: list[str], trials_dir: Path) -> subprocess.Popen[str]:
    """A driver that trains a trial, or has ended."""
    driver = subprocess.Popen(snnsearch(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    starts = sum(1 for _ in trials_dir.glob("*/log.txt"))
    until = time.monotonic() + PATIENCE_S
    while driver.poll() is None and time.monotonic() < until:
        if sum(1 for _ in trials_dir.glob("*/log.txt")) > starts or _lines(trials_dir) > starts:
            break
        time.sleep(0.05)
    return driver


def _lines(trials_dir: Path) -> int:
    return sum(path.read_text().count("event=start") for path in trials_dir.glob("*/log.txt"))
