"""How reports and the terminal print numbers, durations, dates and candidates."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from reports.records.objectives import OBJECTIVES
from reports.records.study import StartRecord, TrialRecord

MAX_LISTED = 8
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")  # what `moment` returns


def number(value: float) -> str:
    """Format a number: whole numbers with separators, others with three significant digits."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-6:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def ratio(value: float) -> str:
    """Format a ratio from 0 to 1 with three decimals."""
    return f"{value:.3f}"


def factor(value: float) -> str:
    """Format a factor: ``15.2``, ``0.86``."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def objective_value(name: str, value: float) -> str:
    """Format a value of the objective ``name``, without its unit."""
    return ratio(value) if name in OBJECTIVES and OBJECTIVES[name].is_ratio else number(value)


def candidate_name(trial: TrialRecord) -> str:
    """Return ``12``, or ``alt-1 (4)`` for a named candidate."""
    return f"{trial.name} ({trial.number})" if trial.name else str(trial.number)


def candidate_phrase(trial: TrialRecord) -> str:
    """Return ``candidate 12``, or ``alt-1 (4)`` for a named candidate."""
    return candidate_name(trial) if trial.name else f"candidate {trial.number}"


def initialization_label(trial: TrialRecord) -> str:
    """Return where the first weights came from: ``scratch``, ``trial 3``, ``CNN twin``, ``mean of trials 3 and 5``."""
    start = trial.start
    if start is None or start.kind == "scratch":
        return "scratch"
    if start.kind == "mean":
        return f"mean of {trials_phrase(start.parents)}"
    if start.kind == "cnn":
        return "CNN twin"
    return parent_phrase(start) if start.fidelity is None else f"fidelity {start.fidelity}"


def initialization_phrase(trial: TrialRecord) -> str:
    """Describe where the first weights came from; empty if the space only trains from scratch."""
    start = trial.start
    if start is None:
        return ""
    if start.kind == "scratch":
        return f"from scratch: {start.reason}" if start.reason else "from scratch"
    before = f"trained on {start.inherited_images:,} images before"
    if start.kind == "mean":
        return f"from the mean of the weights of {trials_phrase(start.parents)}; {before}"
    if start.kind == "cnn" and start.parent is not None:
        return f"from its CNN twin, which trial {start.parent} trained; {before}"
    if start.kind == "cnn":
        return f"from its CNN twin, trained for {count(len(start.history), 'epoch')} in {duration(start.wall_s)}"
    if start.fidelity is not None:
        return f"from its own weights at fidelity {start.fidelity}"
    layers = listing([f"{number} {outcome}" for outcome, number in start.layers.items()])
    fitted = f", {start.refitted} fitted to its outputs" if start.refitted else ""
    return f"from the weights of {parent_phrase(start)}, layers {layers}{fitted}; {before}"


def parent_phrase(start: StartRecord) -> str:
    """Return ``trial 3``, or ``trial 3 of resize-1`` if the parent is from an older study."""
    return f"trial {start.parent}" if start.study is None else f"trial {start.parent} of {start.study}"


def trials_phrase(numbers: Sequence[int]) -> str:
    """Return ``trial 3`` or ``trials 3 and 5``."""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {listing([str(n) for n in numbers], limit=100)}"


def listing(items: Sequence[str], limit: int = MAX_LISTED) -> str:
    """Return ``a, b and c``. Only the first ``limit`` items are listed; the others are counted."""
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else "none"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 trial``, ``2 trials``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Format a duration: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def moment(seconds: float) -> str:
    """Format a time in UTC seconds since 1970 to the minute: ``2026-11-30 08:20 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def byte_size(size: float) -> str:
    """Format a number of bytes: ``812 bytes``, ``3.4 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
