"""``snnsearch export``: a trained network out of the runs folder, checked on real images, into a file."""

import itertools
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from reports.benchmark.ledger import is_benchmark, read_benchmark, trial_folder
from reports.record import TrialRecord
from reports.wording import count, number
from search import machine, status
from search.benchmark.source import load_benchmark
from search.candidate import Candidate
from search.errors import InputError
from search.job import WEIGHTS
from search.progress import WHOLE
from search.space import load_space

if TYPE_CHECKING:
    from snnkit.export import Parity

IMAGES = 64  # of the validation images, that the file is checked on


@dataclass(frozen=True)
class Trained:
    """A trial that was trained to its end. ``commit``: of the code that trained it, where that is known."""

    name: str
    record: TrialRecord
    candidate: Candidate
    twin: bool
    weights: Path
    commit: str | None


def trained(name: str, trial: int, runs: Path, storage: str | None) -> Trained:
    """From the study or benchmark ``name``. Raises InputError, LedgerError."""
    folder = runs / name
    if storage is None and is_benchmark(folder):
        found = read_benchmark(folder)
        record = _complete(name, trial, found.trials)
        cell = found.header.cells[trial]
        candidate = load_benchmark(found.header.benchmark_yaml).candidates[cell.data][cell.network]
        commit = found.header.sittings[-1].commit if found.header.sittings else None
        twin = cell.kind == "cnn"
        return Trained(name, record, candidate, twin, trial_folder(folder, trial) / WEIGHTS, commit)
    study = status.study(name, runs, storage)
    record = _complete(name, trial, study.trials)
    candidate = load_space(study.header.space_yaml).candidate(record.params)
    return Trained(name, record, candidate, False, trial_folder(folder, trial) / WEIGHTS, study.header.commit)


def export(found: Trained, kind: str, path: Path, data_root: Path | None) -> RenderableType:
    """Write the file, and say how it compares. Raises InputError, DataError."""
    import torch

    from search.weights import trained_network
    from snnkit import export as exports
    from snnkit.data import load, splits
    from snnkit.evaluation import batches

    candidate = found.candidate
    try:
        network = trained_network(candidate, found.weights, twin=found.twin)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{found.weights} cannot be read ({error}): train the network again, then export it"
        ) from error
    choice, frames = candidate.data, candidate.encoding.frames
    parts = splits(load(choice.name, data_root, side=choice.resolution), choice, found.record.seed, frames=frames)
    images = torch.cat(list(itertools.islice(batches(parts.validation, parts, "cpu", batch=IMAGES), 1)))
    metadata = {
        "producer": "snnsearch " + machine.versions().get("snnsearch", ""),
        "from": f"{found.name}, trial {found.record.number}",
        "commit": found.commit or "",
        "kind": "cnn" if found.twin else "snn",
        "candidate": candidate.model_dump_json(),
        "classes": json.dumps(parts.classes),
        "input": json.dumps({"mean": parts.mean, "std": parts.std, "scale": "pixels / 255"}),
        "metrics": "" if found.record.metrics is None else found.record.metrics.model_dump_json(),
        "seed": str(found.record.seed),
    }
    try:
        parity = exports.export(network, path, kind, images, metadata)
    except exports.ExportError as error:
        raise InputError(f"{found.name}, trial {found.record.number}, as {kind}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}. Free some space, or: --out FILE") from error
    return _told(parity, path)


def suffix(kind: str) -> str:
    """Of a file of that format."""
    from snnkit.export import EXPORTS

    return EXPORTS[kind].suffix


def _told(parity: "Parity", path: Path) -> RenderableType:
    text = Text(f"{path}  {path.stat().st_size:,} bytes\n")
    text.append(
        f"checked   on {count(parity.images, 'validation image')}: {parity.same_class} of {parity.images} in the same "
        f"class, logits differ by {number(parity.logit_difference)} at most"
    )
    if parity.spikes:
        most = max(parity.spikes, key=lambda name: abs(parity.spikes[name][0] - parity.spikes[name][1]))
        ours, theirs = parity.spikes[most]
        text.append(
            f"\nspikes    {sum(o for o, _ in parity.spikes.values()):,.0f} in {len(parity.spikes)} layers, "
            f"{parity.spike_difference:.2%} differ; most in {most}: {ours:,.0f}, in the file {theirs:,.0f}"
        )
    return text


def _complete(name: str, trial: int, trials: tuple[TrialRecord, ...]) -> TrialRecord:
    record = status.trial(name, trial, trials)
    if record.status not in WHOLE:
        raise InputError(f"trial {trial} of {name!r} is {record.status}: only what was trained to its end has weights")
    return record
