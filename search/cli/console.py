"""What the commands share: their consoles, and options as values."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search.cli.terminal import Terminal
from search.errors import InputError
from search.space import durations

if TYPE_CHECKING:
    from reports.records.study import StudyRecord
    from search.runner.options import RunOptions

out = Terminal()
err = Terminal(stderr=True)


def options(
    runs: Path, storage: str | None, trials: int | None, time: str | None, workers: int | None,
    executor: str, address: str | None, exchange: str | None, device: Literal["cpu", "cuda"], data: Path | None,
) -> "RunOptions":  # fmt: skip
    import optuna

    from search.runner.options import RunOptions

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        seconds = None if time is None else durations.parse(time)
    except ValueError as error:
        raise InputError(f"--time: {error}") from error
    return RunOptions(
        runs=runs, storage=storage, trials=trials, seconds=seconds, workers=workers, executor=executor,
        address=address, exchange=exchange, device=device, data_root=data,
    )  # fmt: skip


def device(asked: Literal["auto", "cpu", "cuda"], address: str | None = None) -> Literal["cpu", "cuda"]:
    from search.trial import environment

    if asked == "cpu" or (asked == "cuda" and address is not None):  # a cluster's GPUs may be in other machines
        return asked
    found = environment.detect_device()
    if asked == "cuda" and found != "cuda":
        raise InputError("--device cuda: torch finds no GPU here. Use --device cpu, or install a CUDA build of torch")
    return found


def overrides(sets: list[str] | None) -> dict[str, str]:
    found = {}
    for item in sets or []:
        path, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: write --set PATH=VALUE, such as --set train.epochs=5")
        found[path.strip()] = value
    return found


def read(name: str, runs: Path, storage: str | None) -> "StudyRecord":
    from reports.storage.benchmarks import is_benchmark
    from search.cli import status as states

    if is_benchmark(runs / name):
        raise InputError(f"{name!r} is a benchmark, not a study; what it holds is told by: snnsearch report {name}")
    return states.study(name, runs, storage)


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + os.linesep)
