"""How a report names and prints things: labels of objectives, numbers, durations, dates, candidates."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from reports.records.study import TrialRecord

LABELS = {
    "accuracy": "validation accuracy",
    "energy_mj": "energy per inference",
    "params": "parameters",
    "dense_macs": "dense MACs",
    "macs": "MACs per inference",
    "acs": "ACs per inference",
    "spikes": "spikes per inference",
    "firing_rate": "firing rate",
    "timesteps": "time steps",
}
UNITS = {"energy_mj": "mJ"}
COUNTS = ("params", "dense_macs", "macs", "acs", "spikes", "timesteps")
RATIOS = ("accuracy", "test_accuracy", "test_f1", "firing_rate")


def label(objective: str) -> str:
    """``energy_mj`` as a reader knows it."""
    return LABELS.get(objective, objective)


def axis(objective: str) -> str:
    """The label with its unit: ``energy per inference, mJ``."""
    return ", ".join(filter(None, (label(objective), UNITS.get(objective))))


def number(value: float) -> str:
    """A count or an amount: whole numbers with separators, others to three significant digits."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-6:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def ratio(value: float) -> str:
    return f"{value:.3f}"


def times(value: float) -> str:
    """A factor: ``15.2``, ``0.86``."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def amount(name: str, value: float) -> str:
    """A value of the objective or measure ``name``, without its unit."""
    return ratio(value) if name in RATIOS else number(value)


def candidate(trial: TrialRecord) -> str:
    """``12`` or, where it has a name, ``alt-1 (4)``."""
    return f"{trial.name} ({trial.number})" if trial.name else str(trial.number)


def subject(trial: TrialRecord) -> str:
    """As a sentence speaks of it: ``candidate 12``, ``alt-1 (4)``."""
    return candidate(trial) if trial.name else f"candidate {trial.number}"


def started(trial: TrialRecord) -> str:
    """What its first weights are: ``scratch``, ``trial 3``, ``CNN twin``."""
    start = trial.start
    if start is None or start.kind == "scratch":
        return "scratch"
    return "CNN twin" if start.kind == "cnn" else f"trial {start.parent}"


def beginning(trial: TrialRecord) -> str:
    """The same in a sentence's part, with what was done for it; nothing where no other start was asked for."""
    start = trial.start
    if start is None:
        return ""
    if start.kind == "scratch":
        return f"from scratch: {start.reason}" if start.reason else "from scratch"
    behind = f"{start.inherited_images:,} images of training stand behind them"
    if start.kind == "cnn" and start.parent is not None:
        return f"from its CNN twin, which trial {start.parent} had trained; {behind}"
    if start.kind == "cnn":
        return f"from its CNN twin, trained for {count(len(start.history), 'epoch')} in {duration(start.wall_s)}"
    layers = listing([f"{number} {outcome}" for outcome, number in start.layers.items()])
    fitted = f", {start.refitted} fitted to its outputs" if start.refitted else ""
    return f"from the weights of trial {start.parent}, layers {layers}{fitted}; {behind}"


def listing(items: Sequence[str], limit: int = 8) -> str:
    """``a, b and c``; past ``limit`` the rest is counted."""
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else "none"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def moment(seconds: float) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
