"""One record in the registry adds an objective: to space files, samplers, the terminal, reports and the page."""

from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.untrained import SPACES, header_for, trained

from reports.analysis.hypervolume import HypervolumeCurve, hypervolume_over_time
from reports.records.objectives import OBJECTIVES, ObjectiveInfo, Scale
from reports.storage.studies import read_study, sqlite_url
from reports.study.report import markdown, page
from search.cli.tables import figure
from search.samplers.history import losses
from search.space.loading.loader import load_space
from search.study.create import create_study

LATENCY = ObjectiveInfo(
    name="latency_us",
    direction="minimize",
    unit="µs",
    label="latency per inference",
    sentence="microseconds per inference, 10 ns per million operations",
    value=lambda measured, energy_model: (measured.macs + measured.acs) / 1e6 * 0.01,
    box=Scale(1e-4, 1.0),
    sampler_scale=Scale(1e-6, 1e2),
    constraint_example="5",
    log_axis=False,
)


def test_one_record_adds_an_objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES, "latency_us", LATENCY)
    overrides = {"study.objectives": "{accuracy: maximize, latency_us: minimize}", "study.sampler": "ehvi"}
    space = load_space(SPACES / "smoke.yaml", overrides=overrides)
    url = sqlite_url(tmp_path / "study.db")
    study = create_study(header_for(space, tmp_path), space, tmp_path, url)
    for _ in range(3):
        job = study.next(lambda record: None)
        assert job is not None
        study.finish(trained(job))
    record = read_study(url, study.header.name)

    complete = [trial for trial in record.trials if trial.metrics]
    expected = {trial.number: (trial.metrics.macs + trial.metrics.acs) / 1e8 for trial in complete if trial.metrics}
    assert {trial.number: trial.values["latency_us"] for trial in complete} == pytest.approx(expected)
    assert losses(space, (0.25, 1e-2)) == (0.75, pytest.approx(0.5))  # the middle of the eight decades of its scale
    assert isinstance(curve := hypervolume_over_time(record), HypervolumeCurve)
    assert curve.box.endswith("latency per inference, µs 1 to 0.0001, log scale")
    assert figure("latency_us", 0.01) == "0.0100 µs"
    assert "| latency per inference, µs |" in markdown(record)
    parsed = Page(page(record))
    assert "low latency per inference" in parsed.text
    assert parsed.data["objectives"][1] == {
        "name": "latency_us",
        "direction": "minimize",
        "axis": "latency per inference, µs",
        "log": False,
        "ratio": False,
    }
