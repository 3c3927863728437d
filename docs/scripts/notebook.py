"""Run every cell of docs/notebook.ipynb and store the outputs in it: python docs/scripts/notebook.py"""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebook.ipynb"


def execute(path: Path = NOTEBOOK) -> nbformat.NotebookNode:
    """Return the notebook with fresh outputs. Its runs folder is temporary. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the time of a run, different each time
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # logs and warnings
    return notebook


if __name__ == "__main__":
    nbformat.write(execute(), NOTEBOOK)
