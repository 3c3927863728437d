"""Find trained networks in the runs folder, and export them to files that are checked on real images."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from reports.analysis.front import front_trials
from reports.document.commands import command
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

logger = logging.getLogger(__name__)

LOADING = {  # Python that loads an exported file
    "pytorch": "import snnsearch; network = snnsearch.load({path!r})",
    "onnx": "import onnxruntime; session = onnxruntime.InferenceSession({path!r})",
    "nir": "import nir; graph = nir.read({path!r})",
    **dict.fromkeys(
        ("code", "snntorch", "spikingjelly"), "import sys; sys.path.insert(0, {path!r}); import network; network.load()"
    ),
}
N_IMAGES = 64  # validation images that an exported file is checked on


@dataclass(frozen=True)
class TrainedNetwork:
    """A trial that was trained to its end."""

    name: str  # of its study or benchmark
    label: str  # of the network; equal for all its seeds
    record: TrialRecord
    candidate: Candidate
    twin: bool
    weights: Path


def trained(name: str, numbers: Sequence[int], runs: Path, storage: str | None) -> list[TrainedNetwork]:
    """Return trials of the study or benchmark ``name``.

    Without ``numbers``, these are the front of a study or all trained networks of a benchmark. Raises InputError and
    LedgerError.
    """
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
        raise InputError(f"{name!r} has no trained network yet: {command('status', name)}")
    return result


def network_of(found: TrainedNetwork) -> "Network":
    """Build the network with its trained weights. Raises InputError if they cannot be read."""
    from search.trial.initialization import trained_network
    from snnkit.base.torch_files import StoredError

    try:
        return trained_network(found.candidate, found.weights, twin=found.twin)
    except (OSError, RuntimeError, StoredError) as error:
        raise InputError(f"{found.weights} cannot be read ({error}): train the network again") from error


def prepared(
    found: TrainedNetwork, data_root: Path | None, device: str, *, recalibrated: bool
) -> "tuple[Network, Splits]":
    """Return the network on ``device``, and its data.

    If ``recalibrated``, BatchNorm's statistics are estimated again on training images, with the current number of time
    steps. Raises InputError and DataError.
    """
    from search.trial.run import splits_of
    from snnkit.training.recalibration import calibration_batches, recalibrate

    parts, network = splits_of(found.candidate, data_root, found.record.seed), network_of(found).to(device)
    if recalibrated:
        recalibrate(network, calibration_batches(parts, found.record.seed, device))
    return network, parts


def warn_of_doubts(found: TrainedNetwork, doubts: Sequence[str]) -> None:
    """Log that the figures measured now contradict each other."""
    if doubts:
        logger.warning("figures contradict each other trial=%s doubts=%s", found.record.number, "; ".join(doubts))


def export(
    found: TrainedNetwork, kind: str, path: Path, data_root: Path | None, *, recalibrated: bool = False
) -> RenderableType:
    """Write the file and return how its outputs compare with the network's.

    ``recalibrated`` is for a number of time steps that the network was not trained with: BatchNorm is recalibrated and
    the metrics are measured again. Raises InputError and DataError.
    """
    import torch

    from search.trial.run import measure
    from snnkit import export as exports
    from snnkit.export import pytorch
    from snnkit.export.inputs import describe_input
    from snnkit.training.evaluation import batches

    network, parts = prepared(found, data_root, "cpu", recalibrated=recalibrated)
    _, metadata = pytorch.read(found.weights)
    if recalibrated:
        measured = measure(network, found.candidate, parts, "cpu")
        warn_of_doubts(found, measured.doubts)
        metadata |= {"candidate": found.candidate.model_dump_json(), "metrics": measured.metrics.model_dump_json()}
        metadata["calibrated"] = "BatchNorm's statistics were estimated after training, with this number of time steps"
    images = torch.cat(list(itertools.islice(batches(parts.validation, parts, "cpu", batch=N_IMAGES), 1)))
    try:
        parity = exports.export(network, path, kind, images, metadata)
    except exports.ExportError as error:
        raise InputError(f"{found.name}, trial {found.record.number}, as {kind}: {error}") from error
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}. Correct this, or choose another place: --out PATH"
        ) from error
    text = _describe_parity(parity, path)
    text.append(f"\nload      {LOADING[kind].format(path=str(path))}")
    text.append(f"\ninput     {describe_input(parts.mean, parts.std)}")
    return text


def suffix(kind: str) -> str:
    """Return the file name's suffix for an export format."""
    from snnkit.export import EXPORTS

    return EXPORTS[kind].suffix


def _describe_parity(parity: "Parity", path: Path) -> Text:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    text = Text(f"{path}  {sum(file.stat().st_size for file in files):,} bytes")
    text.append(f": {', '.join(file.name for file in files)}\n" if path.is_dir() else "\n")
    text.append(
        f"checked   on {count(parity.images, 'validation image')}: {parity.same_class} of {parity.images} in the same "
        f"class, logits differ by at most {number(parity.logit_difference)}"
    )
    if parity.spikes:
        text.append(f"\nspikes    {_spikes(parity)}")
    return text


def _spikes(parity: "Parity") -> str:
    total, differing = sum(ours for ours, _ in parity.spikes.values()), sum(parity.differing.values())
    every = f"{total:,.0f} in {len(parity.spikes)} layers"
    if not differing:
        return f"{every}, one by one equal"
    worst, share = parity.worst_layer
    return (
        f"{every}; one by one {differing:,} differ ({_percent(parity.spike_difference)}), most in {worst} "
        f"({_percent(share)})\n"
        f"totals    of layers differ by {_percent(parity.total_difference)}, without the differences that cancel"
    )


def _percent(share: float) -> str:
    """Write two significant digits, so that a small difference is not told as none."""
    return f"{100 * share:.2g}%"


def _complete(name: str, trial: int, trials: tuple[TrialRecord, ...]) -> TrialRecord:
    record = find_trial(name, trial, trials)
    if record.status not in TRAINED_TO_END:
        raise InputError(f"trial {trial} of {name!r} is {record.status}: only fully trained trials have weights")
    return record
