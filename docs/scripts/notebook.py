"""Run every cell of the notebooks and store the outputs in them: python docs/scripts/notebook.py [NAME ...]"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def execute(path: Path) -> nbformat.NotebookNode:
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
    for name in sys.argv[1:] or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(execute(NOTEBOOKS / f"{name}.ipynb"), NOTEBOOKS / f"{name}.ipynb")
