"""The page in a real browser: its script draws the plots, the table and the details. Needs chromium."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.small_benchmarks import build_benchmark

from reports.benchmark.report import page as benchmark_page
from reports.records.study import StudyRecord, TrialRecord
from reports.study.report import page

Build = Callable[..., StudyRecord]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--enable-logging=stderr", "--dump-dom",
)  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_script_draws_the_page_without_an_error(make_study: Build, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(make_study(8)), encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    parsed = Page(done.stdout)
    assert len([row for row in parsed.of("tr") if "data-number" in row]) == 8
    assert len([dot for dot in parsed.of("circle") if (dot.get("class") or "").startswith("dot")]) > 8
    assert "Hypervolume against finished candidates" in parsed.text
    assert "How to reproduce this point" in parsed.text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("spread", [0.0, 1e-5])
def test_axes_of_figures_that_lie_close_together_have_ticks(make_study: Build, tmp_path: Path, spread: float) -> None:
    """No round number may lie between the energies on a logarithmic axis."""
    study = make_study(4)

    def close(trial: TrialRecord) -> TrialRecord:
        if trial.metrics is None:
            return trial
        energy = 0.0311 * (1 + spread * trial.number)
        mj = dict.fromkeys(trial.metrics.energy_mj, energy)
        metrics = trial.metrics.model_copy(update={"energy_mj": mj, "params": 549_114 + trial.number})
        values = trial.values | {"energy_mj": energy, "params": float(metrics.params)}
        return trial.model_copy(update={"metrics": metrics, "values": values})

    file = tmp_path / "report.html"
    narrow = study.model_copy(update={"trials": tuple(map(close, study.trials))})
    header = narrow.header.model_copy(update={"references": ()})
    file.write_text(page(narrow.model_copy(update={"header": header})), encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    drawings = "".join(re.findall(r"<svg .*?</svg>", done.stdout, re.DOTALL))
    assert not re.search("NaN|Infinity|undefined", drawings)
    parsed = Page(done.stdout)
    gridlines = [line for line in parsed.of("line") if line.get("class") == "gridline"]
    across = {line["y1"] for line in gridlines if line["y1"] == line["y2"]}
    upright = {line["x1"] for line in gridlines if line["x1"] == line["x2"]}
    assert len(across) > 2
    assert len(upright) > 2


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("zone", "shown"), [("Asia/Tokyo", "23:13 GMT+9"), ("Asia/Kathmandu", "19:58 GMT+5:45")])
def test_times_are_in_the_reader_s_zone(zone: str, shown: str, make_study: Build, tmp_path: Path) -> None:
    (study, benchmark) = (tmp_path / "report.html", tmp_path / "benchmark.html")
    study.write_text(page(make_study(1)), encoding="utf-8")
    record = build_benchmark(("SqueezeNet",), seeds=(0,), kinds=("snn",))
    benchmark.write_text(benchmark_page(record), encoding="utf-8")
    for file in (study, benchmark):
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
        environment = {**os.environ, "TZ": zone}
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=environment)
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        times = re.findall(r"<time [^>]*>[^<]*</time>", done.stdout)
        first = '<time datetime="2026-09-21T14:13Z" title="2026-09-21 14:13 UTC">2026-09-21'
        assert len(times) == (2 if file == study else 1)
        assert file == benchmark or times[0] == f"{first} {shown}</time>"
        assert all(time.endswith(f" {shown.split()[1]}</time>") for time in times)
