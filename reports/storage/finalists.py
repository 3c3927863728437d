"""The finals of a study: benchmarks in folders beside its own."""

from itertools import count, takewhile
from pathlib import Path

from reports.records.benchmark import BenchmarkRecord, Cell
from reports.records.study import FinalistRecord, StudyRecord, TrialRecord
from reports.storage.benchmarks import is_benchmark, read_benchmark
from reports.storage.names import MAX_NAME_LETTERS, as_folder_name

LEFT = ("running", "waiting", "failed")  # statuses of trainings that the next run repeats or continues
SUFFIX = "finalists"
RETRAINED = "finals"
LONGEST_SUFFIX = len(f"-{SUFFIX}-999")


def finals_folder(runs: Path, study: str, number: int) -> Path:
    """Return the folder of the finals ``number`` of ``study``, from 1: STUDY-finalists, STUDY-finalists-2 ..."""
    suffix = SUFFIX if number == 1 else f"{SUFFIX}-{number}"
    return runs / as_folder_name(f"{study[: MAX_NAME_LETTERS - LONGEST_SUFFIX]}-{suffix}")


def finals_folders(runs: Path, study: str) -> tuple[Path, ...]:
    """Return the folders of all finals of ``study``, the oldest first."""
    return tuple(takewhile(is_benchmark, (finals_folder(runs, study, number) for number in count(1))))


def retrained_folder(runs: Path, study: str) -> Path:
    """Return the folder of the benchmark that ``retrain`` makes of ``study`` unless it is given another name."""
    return runs / as_folder_name(f"{study}-{RETRAINED}")


def with_finals(study: StudyRecord, runs: Path) -> StudyRecord:
    """Return ``study`` with its finalists that were trained at least once, and the number of trainings left.

    Raises LedgerError.
    """
    records = [read_benchmark(folder) for folder in finals_folders(runs, study.header.name)]
    found = tuple(finalist for record in records for finalist in _finalists(record))
    left = sum(trial.status in LEFT for record in records[-1:] for trial in record.trials)
    return study.model_copy(update={"finalists": found, "finals_left": left})


def _finalists(record: BenchmarkRecord) -> list[FinalistRecord]:
    found = []
    test = {setup.data: setup.test for setup in record.header.setups}
    trained = [
        (cell, trial) for cell, trial in zip(record.header.cells, record.trials, strict=True) if _is_trained(trial)
    ]
    for network in record.header.networks:
        snns = _of(trained, network, "snn")
        if snns:
            data, twins = snns[0][0].data, _of(trained, network, "cnn")
            found.append(
                FinalistRecord(
                    benchmark=record.header.name,
                    label=network,
                    number=snns[0][1].number,
                    modules=snns[0][1].modules,
                    trainings=tuple(trial.metrics for _, trial in snns if trial.metrics),
                    twins=tuple(trial.metrics for _, trial in twins if trial.metrics),
                    test_images=test[data],
                )
            )
    return found


def _is_trained(trial: TrialRecord) -> bool:
    return trial.status == "complete" and trial.metrics is not None and not trial.doubts


def _of(trained: list[tuple[Cell, TrialRecord]], network: str, kind: str) -> list[tuple[Cell, TrialRecord]]:
    return [(cell, trial) for cell, trial in trained if cell.network == network and cell.kind == kind]
