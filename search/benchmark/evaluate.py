"""``snnsearch evaluate``: measure trained networks again from their weights, and compare with the stored figures.

The same weights can also be measured with other numbers of time steps.
"""

import hashlib
import itertools
import logging
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.benchmark.dominance import dominance
from reports.benchmark.groups import Metric, Spread, alternative, energy
from reports.document.energy_models import ALTERNATIVES
from reports.document.wording import count, number, ratio
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import Metrics
from search.benchmark.trained import TrainedNetwork, network_of, prepared, warn_of_doubts
from search.errors import InputError, format_validation
from search.trial import environment
from snnkit.base.config import EncodingConfig
from snnkit.data import describe_change

logger = logging.getLogger(__name__)

# differences that another machine's rounding may cause: share of the images, share of the energy
ACCURACY_TOLERANCE, ENERGY_TOLERANCE = 0.005, 0.01


@dataclass(frozen=True)
class Evaluated:
    """A trained network and the metrics that were measured now."""

    trained: TrainedNetwork
    now: Metrics

    @property
    def before(self) -> Metrics:
        """The stored metrics."""
        assert self.trained.record.metrics is not None, "a trial that is complete was measured"
        return self.trained.record.metrics

    @property
    def accuracy_difference(self) -> float:
        """Difference of the test accuracies, 0..1."""
        return abs(self.now.test_accuracy - self.before.test_accuracy)

    @property
    def energy_difference(self) -> float:
        """Difference of the energies as a share of the stored one, by the energy model that differs most."""
        pairs = [(self.now.energy_mj[model], mj) for model, mj in self.before.energy_mj.items()]
        return max((abs(now - mj) / mj for now, mj in pairs if mj), default=0.0)

    @property
    def reproduced(self) -> bool:
        """Whether the metrics equal the stored ones, within the tolerances."""
        close = self.accuracy_difference <= ACCURACY_TOLERANCE and self.energy_difference <= ENERGY_TOLERANCE
        return close and self.now.params == self.before.params


def with_timesteps(found: Sequence[TrainedNetwork], timesteps: Sequence[int]) -> list[TrainedNetwork]:
    """Return each spiking network of ``found`` once for each number of time steps.

    Raises InputError if a number is not allowed or if ``found`` has CNN twins only.
    """
    asked = []
    for each, steps in itertools.product(found, dict.fromkeys(timesteps)):
        try:
            encoding = EncodingConfig.model_validate(each.candidate.encoding.model_dump() | {"timesteps": steps})
        except ValidationError as error:
            raise InputError(f"--timesteps {steps}: {format_validation(error)}") from None
        if not each.twin:
            asked.append(replace(each, candidate=each.candidate.model_copy(update={"encoding": encoding})))
    if not asked:
        raise InputError("--timesteps is for spiking networks, and only CNN twins were asked for; leave it out")
    return asked


def evaluate(
    found: Sequence[TrainedNetwork], data_root: Path | None, device: str, *, recalibrated: bool = False
) -> list[Evaluated]:
    """Measure all networks; equal ones are measured once. On a CPU, each core measures one network at a time.

    ``recalibrated`` has the same meaning as in `prepared`. Raises InputError if weights cannot be read, and DataError.
    """
    identities = [_identity(each) for each in found]
    different = dict(sorted(zip(identities, found, strict=True), key=lambda each: -_cost(each[1])))
    for source in dict.fromkeys(each.candidate.data.source for each in different.values()):
        if change := describe_change(source):
            logger.warning("%s. The networks are measured on the images that they were trained for", change)
    measured = dict(zip(different, _measured(list(different.values()), data_root, device, recalibrated), strict=True))
    return [Evaluated(each, measured[identity]) for each, identity in zip(found, identities, strict=True)]


def _identity(found: TrainedNetwork) -> str:
    """Return a digest that is equal for equal networks, for example CNN twins of networks with other neurons."""
    network, candidate = network_of(found), found.candidate
    digest = hashlib.sha256(network.describe().encode())
    digest.update(f"{candidate.data!r} {candidate.energy!r} {found.record.seed}".encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _cost(found: TrainedNetwork) -> int:
    """Estimate how long a network takes. The longest is measured first, so that no core starts it last."""
    return found.record.static["dense_macs"] * (1 if found.twin else found.candidate.encoding.timesteps)


def _measured(
    found: Sequence[TrainedNetwork], data_root: Path | None, device: str, recalibrated: bool
) -> list[Metrics]:
    from search.trial.run import splits_of

    run = partial(_measure, data_root=data_root, device=device, recalibrated=recalibrated)
    workers = min(environment.cores(), len(found))
    if device != "cpu" or workers == 1:
        return [run(each) for each in found]
    for each in found:  # before the workers start, or several would download the same images
        splits_of(each.candidate, data_root, each.record.seed)
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        return list(pool.map(run, found))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _measure(found: TrainedNetwork, *, data_root: Path | None, device: str, recalibrated: bool) -> Metrics:
    from search.trial.run import measure

    network, parts = prepared(found, data_root, device, recalibrated=recalibrated)
    measured = measure(network, found.candidate, parts, device)
    warn_of_doubts(found, measured.doubts)
    return measured.metrics


def view(evaluated: Sequence[Evaluated], benchmark: BenchmarkRecord | None) -> RenderableType:
    """Return the figures of each network over its seeds, and how far they are from the stored ones.

    If the networks belong to ``benchmark``, the published points that they dominate are listed too.
    """
    lines = [] if benchmark is None else _dominance(evaluated, benchmark)
    return Group(
        figures(evaluated), Text(), *map(Text, lines), *([Text()] if lines else []), _against_record(evaluated)
    )


def figures(evaluated: Sequence[Evaluated]) -> Table:
    """Return a table with one line for each network, over its seeds."""
    metrics = [each.now for each in evaluated]
    energies = [column for model in metrics[0].energy_mj for column in _energy_columns(metrics, model)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    heads = (
        "data",
        "network",
        "n",
        "params",
        "T",
        "test\naccuracy",
        "macro\nF1",
        *(head for head, _ in energies),
    )
    for head in heads:
        table.add_column(head, justify="left" if head in ("data", "network") else "right", no_wrap=True)
    for (data, label, _), members in _groups(evaluated).items():
        now = [each.now for each in members]
        table.add_row(
            data, label, str(len(members)), f"{now[0].params:,}",
            str(now[0].timesteps), _spread([m.test_accuracy for m in now], ratio),
            _spread([m.test_f1 for m in now], ratio),
            *(_known(map(metric, now)) for _, metric in energies),
        )  # fmt: skip
    return table


def _energy_columns(metrics: Sequence[Metrics], model: str) -> list[tuple[str, Metric]]:
    """Return head and metric of each column of an energy model: the energy, then the alternatives that are known."""
    names = [name for name in ALTERNATIVES if any(m.alternative_mj(model, name) is not None for m in metrics)]
    alternatives = [(_narrow(f"mJ {ALTERNATIVES[name]}"), alternative(model, name)) for name in names]
    return [(f"mJ\n{model}", energy(model)), *alternatives]


def _narrow(head: str) -> str:
    """Break a head into lines of two words at most."""
    words = head.split()
    return "\n".join(" ".join(words[at : at + 2]) for at in range(0, len(words), 2))


def _known(values: Iterable[float | None]) -> str:
    """Return the spread over the seeds; a dash for a CNN twin, which has no neurons."""
    found = [value for value in values if value is not None]
    return _spread(found, number) if found else "-"


def to_json(evaluated: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """Return plain values: for each network what was measured now, what is stored, and how far they differ."""
    return [
        {
            "trial": each.trained.record.number,
            "network": each.trained.label,
            "data": each.trained.candidate.data.name,
            "kind": "cnn" if each.trained.twin else "snn",
            "seed": each.trained.record.seed,
            "timesteps": each.now.timesteps,
            "measured": each.now.model_dump(mode="json"),
            "stored": each.before.model_dump(mode="json"),
            "accuracy_difference": each.accuracy_difference,
            "energy_difference": each.energy_difference,
            "reproduced": each.reproduced,
        }
        for each in evaluated
    ]


def _dominance(evaluated: Sequence[Evaluated], benchmark: BenchmarkRecord) -> list[str]:
    """Return what `dominance` says of the networks that were measured now, with these metrics."""
    now = {
        each.trained.record.number: each.trained.record.model_copy(update={"metrics": each.now}) for each in evaluated
    }
    unmeasured = {"status": "waiting", "metrics": None}
    trials = [now.get(trial.number, trial.model_copy(update=unmeasured)) for trial in benchmark.trials]
    measured = benchmark.model_copy(update={"trials": tuple(trials)})
    return [line for setup in benchmark.header.setups for line in dominance(measured, setup.data)]


def _groups(evaluated: Sequence[Evaluated]) -> dict[tuple[str, str, int], list[Evaluated]]:
    """Group the networks by data set, label and number of time steps."""
    found: dict[tuple[str, str, int], list[Evaluated]] = {}
    for each in evaluated:
        candidate = each.trained.candidate
        found.setdefault((candidate.data.name, each.trained.label, candidate.encoding.timesteps), []).append(each)
    return found


def _spread(values: list[float], format_value: Callable[[float], str]) -> str:
    return Spread(tuple(values)).text(format_value)


def _against_record(evaluated: Sequence[Evaluated]) -> Text:
    accuracy = max(each.accuracy_difference for each in evaluated)
    mj = max(each.energy_difference for each in evaluated)
    text = Text(
        f"{count(len(evaluated), 'network')} measured from the stored weights; test accuracy differs from the record "
        f"by at most {number(accuracy)}, energy by at most {mj:.2%}"
    )
    if other := [str(each.trained.record.number) for each in evaluated if not each.reproduced]:
        text.append(f"\nnot as recorded: {', '.join(other)}", style="bold red")
    return text
