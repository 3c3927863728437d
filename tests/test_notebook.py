"""The notebook of the documentation runs from end to end."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_notebook_runs() -> None:
    pytest.importorskip("nbclient")
    notebook = runpy.run_path(str(DOCS / "scripts/notebook.py"))["execute"]()
    printed = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(printed)
