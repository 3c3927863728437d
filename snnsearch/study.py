"""A study as an object: launch, resume or open it, and read its trials as DataFrames."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from reports.analysis.front import front_trials
from reports.benchmark.study_picture import study_picture
from reports.records.objectives import OBJECTIVES
from reports.records.study import Leaf, Metrics, StudyRecord, TrialRecord
from reports.storage.studies import find_study
from reports.study.tables import front_csv
from reports.study.write import write_report
from search.benchmark import finals, trained
from search.cli.console import Terminal
from search.cli.options import ExportFormat, find_device
from search.cli.progress import TerminalObserver
from search.errors import InputError, listed, nearest
from search.runner.observer import SILENT, Observer
from search.runner.options import RunOptions
from search.space.candidate import Candidate
from search.space.limits import seconds_in
from search.space.loading.loader import load_space
from search.space.shipped import find_file
from search.space.space import Space
from search.study.evidence import evidence_from

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from snnkit.nn.network import Network


def launch(
    space: Space | Path | str,
    *,
    name: str | None = None,
    overrides: Mapping[str, Leaf] | None = None,
    older: "Study | None" = None,
    runs: Path | str = "runs",
    storage: str | None = None,
    trials: int | None = None,
    time: str | float | None = None,
    workers: int | None = None,
    executor: Literal["ray", "inline"] = "ray",
    address: str | None = None,
    exchange: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    data: Path | str | None = None,
    progress: bool | Observer = True,
) -> "Study":
    """Search ``space``, train its finalists if it has some, write the report, and return the study.

    Args:
        space: a space, the path of its file, the name of a shipped one (``"smoke"``), or YAML text.
        name: of the study; None: the name in the space.
        overrides: path -> value that replaces a leaf: ``{"train.epochs": 5}``. Text is read as YAML:
            ``{"neuron.leak": "{choices: [0.5, 0.9]}"}``.
        older: a study whose finished trials the sampler learns from, and whose weights trials may inherit if the space
            inherits any. They are no results of the new study.
        runs: folder of all studies.
        storage: URL of the study database; None: SQLite in the study's folder.
        trials, time: budget that replaces the space's; ``time`` in seconds, or as text: ``"20m"``.
        workers: trials that run at once; None: as many as fit.
        executor: ``"ray"``: parallel worker processes. ``"inline"``: one after the other in this process.
        address, exchange: a running Ray cluster, and the URL for its files.
        device: ``"auto"``: a GPU if torch finds one. It also selects the profile of the space.
        data: folder of the data sets; None: the user's cache folder.
        progress: True shows a line for each trial and, on a terminal, a live panel; an Observer receives all events.

    Raises:
        InputError: the space is wrong, the name is taken, or nothing can be learned from ``older``.
        DataError: the data set is missing.
        RunError: the run cannot continue.
    """
    options = _options(runs, storage, trials, time, workers, executor, address, exchange, device, data)
    laid = dict(overrides or {}) | ({"study.name": name} if name is not None else {})
    if isinstance(space, Space):
        space = space.dump() if laid else space
    if not isinstance(space, Space):
        source = space if isinstance(space, str) and "\n" in space else find_file(Path(space))
        space = load_space(source, overrides=laid, device=options.device)
    evidence = None if older is None else evidence_from(older.record, space, older.runs / older.name)
    record = finals.launch(space, options, _observer(progress), evidence=evidence)
    return Study(record, options.runs, storage, options.data_root)


def resume(
    name: str,
    *,
    runs: Path | str = "runs",
    storage: str | None = None,
    trials: int | None = None,
    time: str | float | None = None,
    workers: int | None = None,
    executor: Literal["ray", "inline"] = "ray",
    address: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    data: Path | str | None = None,
    progress: bool | Observer = True,
) -> "Study":
    """Continue the study ``name`` within its own budget, or with further ``trials`` or ``time``. See `launch`."""
    options = _options(runs, storage, trials, time, workers, executor, address, None, device, data)
    record = finals.resume(name, options, _observer(progress))
    return Study(record, options.runs, storage, options.data_root)


def open_study(
    name: str, *, runs: Path | str = "runs", storage: str | None = None, data: Path | str | None = None
) -> "Study":
    """Return the stored study ``name``, finished or not. Raises LedgerError if there is none."""
    folder = Path(runs)
    return Study(find_study(name, folder, storage), folder, storage, None if data is None else Path(data))


@dataclass(frozen=True)
class Study:
    """A study as it was stored when it was launched, resumed or opened."""

    record: StudyRecord
    runs: Path
    storage: str | None = None
    data: Path | None = None  # folder of the data sets

    @property
    def name(self) -> str:
        return self.record.header.name

    @cached_property
    def space(self) -> Space:
        """The space that the study was launched with; this imports its plug-ins."""
        return load_space(self.record.header.space_yaml)

    @property
    def front(self) -> "pd.DataFrame":
        """The front: a row for each candidate, with objectives, measurements, energies by every model, and dials."""
        import pandas as pd

        rows = pd.read_csv(io.StringIO(front_csv(self.record)), index_col="number")
        return rows.fillna({"name": ""})

    @property
    def trials(self) -> "pd.DataFrame":
        """All trials: status, name, objectives, test accuracy, size, seconds, and dials. Unmeasured values are NaN."""
        import pandas as pd

        return pd.DataFrame([_row(trial) for trial in self.record.trials]).set_index("number")

    @property
    def finalists(self) -> "pd.DataFrame":
        """The candidates that were trained longer at the end: mean test accuracy, seeds, energy and size."""
        import pandas as pd

        return pd.DataFrame([finalist.model_dump() for finalist in self.record.finalists])

    def trial(self, number: int) -> "Trial":
        """Return the trial ``number``. Raises InputError if there is none."""
        if not 0 <= number < len(self.record.trials):
            raise InputError(f"study {self.name!r} has no trial {number}; it has {len(self.record.trials)} trials")
        return Trial(self, self.record.trials[number])

    def best(self, objective: str) -> "Trial":
        """Return the trial of the front with the best value of ``objective``. Raises InputError if there is none."""
        names = [each.name for each in self.record.header.objectives]
        if objective not in names:
            raise InputError(
                f"given {objective!r}; the study's objectives are {listed(names)}{nearest(objective, names)}"
            )
        front = front_trials(self.record)
        if not front:
            raise InputError(f"study {self.name!r} has no finished trial yet")
        best = max if OBJECTIVES[objective].direction == "maximize" else min
        return Trial(self, best(front, key=lambda trial: trial.values[objective]))

    def plot(self) -> "Picture":
        """Return accuracy against energy of the front and of published points, as a picture that notebooks show.

        For other axes, plot `trials` or `front`.
        """
        return Picture(study_picture(self.record))

    def report(self) -> Path:
        """Write the report, and return the path of the page."""
        write_report(self.record, self.runs / self.name)
        return self.runs / self.name / "report.html"

    def reload(self) -> Self:
        """Return the study as it is stored now."""
        return type(self)(find_study(self.name, self.runs, self.storage), self.runs, self.storage, self.data)

    def __repr__(self) -> str:
        trials, front = self.record.trials, len(front_trials(self.record))
        complete = sum(trial.status == "complete" for trial in trials)
        return f"<Study {self.name}: {len(trials)} trials, {complete} complete, {front} on the front>"


@dataclass(frozen=True)
class Trial:
    """One trial of a study."""

    study: Study
    record: TrialRecord

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def values(self) -> dict[str, float]:
        """The objectives."""
        return self.record.values

    @property
    def params(self) -> dict[str, Leaf]:
        """The dials, by path."""
        return self.record.params

    @property
    def metrics(self) -> Metrics | None:
        """All measurements; None if the trial was not trained to its end."""
        return self.record.metrics

    @property
    def layers(self) -> "pd.DataFrame":
        """Operations, spikes, firing rate and energy of each layer."""
        import pandas as pd

        rows = []
        for layer in self.record.layers:
            row = layer.model_dump(exclude={"energy_mj"})
            rows.append(row | {f"energy_mj {key}": value for key, value in layer.energy_mj.items()})
        return pd.DataFrame(rows)

    @property
    def candidate(self) -> Candidate:
        """The network's design, neurons, encoding and recipe."""
        return self.study.space.candidate(self.record.params)

    def network(self) -> "Network":
        """Return the torch module with its trained weights: (N, C, H, W) normalised images -> (N, classes) logits.

        `prepare` normalises your own images, and `test_images` returns the normalised ones of the study.

        Raises InputError if the trial was not trained to its end, or if its weights cannot be read.
        """
        return trained.network_of(self._trained())

    def prepare(self, images: "Tensor | NDArray[Any]") -> "Tensor":
        """Return your own images as `network` takes them: (N, C, H, W) in float32, normalised as in the training.

        ``images``: (N, C, H, W) or (N, H, W, C), whole numbers from 0 to 255 or numbers from 0 to 1. Raises InputError
        if they are otherwise, or if the network takes frames of events.
        """
        from snnsearch.weights import prepare

        return prepare(self._trained().weights, images)

    def test_images(self) -> "tuple[Tensor, Tensor]":
        """Return the test images of the study as `network` takes them, (N, C, H, W) or frames (N, T, C, H, W), and
        their labels, (N,). Raises InputError and DataError."""
        import torch

        from search.trial.run import splits_of
        from snnkit.training.evaluation import batches

        parts = splits_of(self.candidate, self.study.data, self.record.seed)
        (images,) = batches(parts.test, parts, "cpu", batch=len(parts.test))
        return images, torch.from_numpy(parts.test.labels).long()

    def export(self, path: Path | str, format: ExportFormat = "pytorch") -> Path:  # as on the command line
        """Write the network to ``path``, check the file on real images, and return the path. Raises InputError."""
        trained.export(self._trained(), format, Path(path), self.study.data)
        return Path(path)

    def _trained(self) -> trained.TrainedNetwork:
        (found,) = trained.trained(self.study.name, [self.number], self.study.runs, self.study.storage)
        return found

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        return f"<Trial {self.number} of {self.study.name}: {self.record.status}{': ' * bool(values)}{values}>"


@dataclass(frozen=True)
class Picture:
    """An SVG picture. Notebooks show it; `save` writes it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> None:
        """Write the picture to ``path``, an .svg file."""
        Path(path).write_text(self.svg, encoding="utf-8")


def _row(trial: TrialRecord) -> dict[str, Any]:
    metrics = trial.metrics
    measured = {} if metrics is None else {"test_accuracy": metrics.test_accuracy, "firing_rate": metrics.firing_rate}
    head = {"number": trial.number, "status": trial.status, "name": trial.name or ""}
    return {**head, **trial.values, **measured, **trial.static, "seconds": trial.wall_s, **trial.params}


def _observer(progress: bool | Observer) -> Observer:
    if isinstance(progress, bool):
        return TerminalObserver(Terminal()) if progress else SILENT
    return progress


def _options(
    runs: Path | str, storage: str | None, trials: int | None, time: str | float | None, workers: int | None,
    executor: str, address: str | None, exchange: str | None, device: Literal["auto", "cpu", "cuda"],
    data: Path | str | None,
) -> RunOptions:  # fmt: skip
    return RunOptions(
        runs=Path(runs),
        storage=storage,
        trials=trials,
        seconds=seconds_in(time) if isinstance(time, str) else time,
        workers=workers,
        executor=executor,
        address=address,
        exchange=exchange,
        device=find_device(device, address),
        data_root=None if data is None else Path(data),
    )
