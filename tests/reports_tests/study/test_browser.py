"""The page in a real browser: its script draws the plots, the table and the details. Needs chromium."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.html_page import Page

from reports.records.study import StudyRecord
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
