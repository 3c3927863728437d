"""The project as a whole: imports go one way, and installed names belong to this distribution alone."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
OURS = {"search", "snnkit", "reports"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_imports_keep_the_contracts_of_pyproject():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout


def test_helpers_of_tests_import_each_other_in_no_circle(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests"))
    graph = grimp.build_graph("helpers", cache_dir=None)
    direct = graph.find_modules_directly_imported_by
    circles = {a for a in graph.modules for b in direct(a) if a in graph.find_upstream_modules(b)}
    assert not circles


def test_only_the_ray_executor_imports_ray():
    importing = {p.name for p in (ROOT / "search").rglob("*.py") if "ray" in imported(p)}
    assert importing == {"ray_cluster.py", "ray_private.py", "ray_tune.py", "ray_worker.py"}


@pytest.mark.parametrize("package", sorted(OURS))
def test_installed_names_belong_to_this_distribution_alone(package):
    assert set(packages_distributions()[package]) == {"snnsearch"}


@pytest.mark.parametrize("command", ["status", "report", "validate"])
def test_light_command_loads_neither_torch_nor_ray(command, tmp_path):
    code = (
        "import sys, contextlib\n"
        "from search.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "assert not {'torch', 'ray'} & set(sys.modules), 'heavy import'\n"
    )
    words = [command, str(ROOT / "spaces/smoke.yaml")] if command == "validate" else [command, "nothing"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_spaces_folder_holds_no_code():
    assert not list((ROOT / "spaces").rglob("*.py"))
