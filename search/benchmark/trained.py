"""Trained networks out of the runs folder; ``snnsearch export``: into a file, checked on real images."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from reports.analysis.front import front_trials
from reports.document.wording import candidate_name, count, number
from reports.records.benchmark import KINDS
from reports.records.study import TrialRecord
from reports.storage.benchmarks import is_benchmark, read_benchmark
from reports.storage.studies import find_study, find_trial
from search.benchmark.loader import load_benchmark
from search.errors import InputError
from search.runner.progress import TRAINED_TO_END
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.trial.folder import RunFolder

if TYPE_CHECKING:
    from snnkit.data import Splits
    from snnkit.export import Parity
    from snnkit.nn.network import Network

IMAGES = 64  # of the validation images, that the file is checked on


@dataclass(frozen=True)
class TrainedNetwork:
    """A trial that was trained to its end."""

    name: str  # of its study or benchmark
    label: str  # of what was trained: equal for the seeds of one network
    record: TrialRecord
    candidate: Candidate
    twin: bool
    weights: Path


def trained(name: str, numbers: Sequence[int], runs: Path, storage: str | None) -> list[TrainedNetwork]:
    """Trials of the study or benchmark ``name``; with no ``numbers`` a study's front, all that a benchmark has. Raises
    InputError, LedgerError."""
    run = RunFolder(runs / name)
    if is_benchmark(run.path):
        found = read_benchmark(run.path)
        benchmark, result = load_benchmark(found.header.benchmark_yaml), []
        if benchmark.cells != found.header.cells:
            raise InputError(
                f"{run.benchmark_header}: its cells differ from the cells of the YAML in it; restore that file"
            )
        for number in numbers or [trial.number for trial in found.trials if trial.status in TRAINED_TO_END]:
            record, cell = _complete(name, number, found.trials), found.header.cells[number]
            label, candidate = f"{cell.network}, {KINDS[cell.kind]}", benchmark.trained(cell)
            result.append(TrainedNetwork(name, label, record, candidate, cell.kind == "cnn", run.trial(number).weights))
    else:
        study = find_study(name, runs, storage)
        space = load_space(study.header.space_yaml)
        records = [_complete(name, number, study.trials) for number in numbers] or list(front_trials(study))
        result = [
            TrainedNetwork(
                name,
                candidate_name(record),
                record,
                space.candidate(record.params),
                False,
                run.trial(record.number).weights,
            )
            for record in records
        ]
    if not result:
        raise InputError(f"{name!r} has nothing that was trained to its end yet: snnsearch status {name}")
    return result


def network_of(found: TrainedNetwork) -> "Network":
    """With its weights. Raises InputError."""
    from search.trial.initialization import trained_network
    from snnkit.base.torch_files import StoredError

    try:
        return trained_network(found.candidate, found.weights, twin=found.twin)
    except (OSError, RuntimeError, StoredError) as error:
        raise InputError(f"{found.weights} cannot be read ({error}): train the network again") from error


def prepared(found: TrainedNetwork, data_root: Path | None, device: str, *, anew: bool) -> "tuple[Network, Splits]":
    """The network on ``device``, and its data. ``anew``: with BatchNorm's statistics estimated anew on training images,
    as they are in as many steps as the network has now. Raises InputError, DataError."""
    from search.trial.run import splits_of
    from snnkit.training.recalibration import calibration_batches, recalibrate

    parts, network = splits_of(found.candidate, data_root, found.record.seed), network_of(found).to(device)
    if anew:
        recalibrate(network, calibration_batches(parts, found.record.seed, device))
    return network, parts


def export(
    found: TrainedNetwork, kind: str, path: Path, data_root: Path | None, *, anew: bool = False
) -> RenderableType:
    """Write the file, and say how it compares. ``anew``: it has other numbers of steps than it was trained for, and is
    calibrated and measured for them. Raises InputError, DataError."""
    import torch

    from search.trial.run import measure
    from snnkit import export as exports
    from snnkit.export import pytorch
    from snnkit.training.evaluation import batches

    network, parts = prepared(found, data_root, "cpu", anew=anew)
    _, metadata = pytorch.read(found.weights)
    if anew:
        metrics, _ = measure(network, found.candidate, parts, "cpu")
        metadata |= {"candidate": found.candidate.model_dump_json(), "metrics": metrics.model_dump_json()}
        metadata["calibrated"] = "BatchNorm's statistics are of training images in these steps, not of the training"
    images = torch.cat(list(itertools.islice(batches(parts.validation, parts, "cpu", batch=IMAGES), 1)))
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
    record = find_trial(name, trial, trials)
    if record.status not in TRAINED_TO_END:
        raise InputError(f"trial {trial} of {name!r} is {record.status}: only what was trained to its end has weights")
    return record
