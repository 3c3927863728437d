"""Figures that are measured only if a space names them."""

import csv
import io
from pathlib import Path

import pytest
from helpers.untrained import SPACES, options_for
from rich.console import Console

from reports.analysis.finalists import compare_finalists
from reports.benchmark.tables import benchmark_csv, networks_table
from reports.storage.benchmarks import read_benchmark
from reports.storage.finalists import finals_folder
from reports.storage.studies import find_study
from reports.study.sections.finalists import finalists_table as finalists_section_table
from search.benchmark import finals
from search.benchmark.loader import load_benchmark
from search.cli.tables import finalists_table
from search.errors import SpaceError
from search.runner.launch import launch
from search.space.loading.loader import load_space

pytestmark = pytest.mark.usefixtures("own_parts")

QUICK = {"train.epochs": 1, "train.chance_patience": 0, "data.subset": 200, "data.test": 50}
ASKED = (
    "latency_ms",
    "memory_kib",
    "worst_firing_rate",
    "layers.stem.macs",
    "layers.fire4.acs",
    "layers.fire4.firing_rate",
)


def test_figures_that_the_space_names_are_measured_and_agree_with_the_layers(tmp_path: Path) -> None:
    bounds = ", ".join(f"{name}: {{max: {0.99 if 'rate' in name else 1_000_000_000}}}" for name in ASKED)
    objectives = "{accuracy: maximize, latency_ms: minimize, layers.fire4.acs: minimize}"
    overrides = QUICK | {"study.objectives": objectives, "study.constraints": f"{{{bounds}}}", "study.sampler": "auto"}
    record = launch(load_space(SPACES / "smoke.yaml", overrides=overrides), options_for(tmp_path, trials=2))
    assert [figure.name for figure in record.header.own_figures] == [
        "latency_ms",
        "layers.fire4.acs",
        *ASKED[1:4],
        ASKED[5],
    ]
    trained = [trial for trial in record.trials if trial.metrics is not None]
    assert trained
    for trial in trained:
        own, layers = trial.metrics.own, trial.layers
        assert set(own) == set(ASKED)
        assert own["latency_ms"] > 0
        neurons = sum(layer.neurons for layer in layers)
        assert own["memory_kib"] == pytest.approx(4 * (trial.metrics.params + neurons) / 1024)
        assert own["worst_firing_rate"] == pytest.approx(max(layer.firing_rate or 0 for layer in layers))
        fire4 = [layer for layer in layers if layer.name.startswith("fire4.")]
        assert own["layers.fire4.acs"] == pytest.approx(sum(layer.acs for layer in fire4))
        assert own["layers.stem.macs"] == layers[0].macs
        spiking = [layer for layer in fire4 if layer.neurons]
        rate = sum(layer.spikes_out for layer in spiking) / sum(
            layer.neurons * trial.metrics.timesteps for layer in spiking
        )
        assert own["layers.fire4.firing_rate"] == pytest.approx(rate)


def test_figures_that_no_space_names_are_not_measured(tmp_path: Path) -> None:
    record = launch(load_space(SPACES / "smoke.yaml", overrides=QUICK), options_for(tmp_path, trials=1))
    assert record.header.own_figures == ()
    assert [trial.metrics.own for trial in record.trials if trial.metrics is not None] == [{}]


def test_finals_measure_the_figures_of_their_study(tmp_path: Path) -> None:
    part = (
        "import snnsearch\n@snnsearch.objective(direction='minimize', unit='ms', low=1, high=9, label='my latency')\n"
    )
    (tmp_path / "parts.py").write_text(f"{part}def latency(trained):\n    return 4.5\n")
    finals_text = "{best: 1, seeds: 1, recipe: {train.epochs: 1, train.cnn_epochs: 1, data.subset: 200}}"
    overrides = QUICK | {
        "study.objectives": "{accuracy: maximize, ./parts.py:latency: minimize, worst_firing_rate: minimize}",
        "study.finals": finals_text,
        "study.constraints": "{}",
        "study.sampler": "auto",
    }
    (tmp_path / "space.yaml").write_text((SPACES / "smoke.yaml").read_text())
    study = finals.launch(load_space(tmp_path / "space.yaml", overrides=overrides), options_for(tmp_path, trials=1))
    folder = finals_folder(tmp_path, "smoke", 1)
    again = load_benchmark((folder / "benchmark.yaml").read_text())
    assert again.section.figures == ("./parts.py:latency", "worst_firing_rate")
    record = read_benchmark(folder)
    assert [figure.name for figure in record.header.own_figures] == list(again.section.figures)
    (snn,) = (trial for cell, trial in zip(record.header.cells, record.trials, strict=True) if cell.kind == "snn")
    assert snn.metrics is not None
    busiest = max(layer.firing_rate or 0 for layer in snn.layers)
    assert snn.metrics.own == {"./parts.py:latency": 4.5, "worst_firing_rate": pytest.approx(busiest)}
    table = networks_table(record, "digits")
    assert dict(zip(table.columns, table.rows[0], strict=True))["my latency, ms"] == "4.50"
    rows = list(csv.DictReader(io.StringIO(benchmark_csv(record))))
    assert {row["./parts.py:latency"] for row in rows} == {"4.5"}
    shown = find_study("smoke", tmp_path)
    (finalist,) = compare_finalists(shown)
    assert finalist.own == snn.metrics.own
    assert "my latency, ms" in finalists_section_table(shown).columns
    printed = io.StringIO()
    Console(file=printed, width=200).print(finalists_table(study))
    assert "my latency" in printed.getvalue()


def test_unknown_figure_of_a_benchmark_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(
        SpaceError, match=r"benchmark.figures\[0\]: given latency; allowed are .*did you mean latency_ms\?"
    ):
        load_benchmark(SPACES / "benchmark_small.yaml", overrides={"benchmark.figures": "[latency]"})


@pytest.mark.parametrize(
    ("objectives", "says"),
    [
        ("{accuracy: maximize, layers.fyre4.acs: minimize}", "the network has no layer fyre4; .*did you mean fire4"),
        ("{accuracy: maximize, layers.fire4.watts: minimize}", "unknown objective"),
        ("{accuracy: maximize, latency_ms: maximize}", "latency_ms is something to minimize"),
        ("{accuracy: maximize, latency: minimize}", "did you mean latency_ms"),
    ],
)
def test_figure_that_cannot_be_measured_is_refused(objectives: str, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        load_space(SPACES / "smoke.yaml", overrides={"study.objectives": objectives})
