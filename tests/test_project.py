"""The project as a whole: imports go one way, installed names are ours alone, and what is documented parses."""

import ast
import re
import shlex
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
import typer

from search.cli.main import app
from search.space.space import load_space
from snnkit.families import FAMILIES

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
    assert importing == {"ray_cluster.py", "ray_tune.py"}


@pytest.mark.parametrize("package", sorted(OURS))
def test_installed_names_belong_to_this_distribution_alone(package):
    assert set(packages_distributions()[package]) == {"snnsearch"}


@pytest.mark.parametrize("command", ["status", "report", "validate"])
def test_light_command_loads_neither_torch_nor_ray(command, tmp_path):
    code = (
        "import sys, contextlib\n"
        "from search.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "assert not {'torch', 'ray'} & set(sys.modules), 'heavy import'\n"
    )
    words = [command, str(ROOT / "spaces/smoke.yaml")] if command == "validate" else [command, "nothing"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def documented_commands() -> list[str]:
    found = []
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/postgresql.md",
        "spaces/README.md",
        "spaces/smoke.yaml",
        "spaces/squeezenet_prune.yaml",
        "spaces/benchmark.yaml",
        "spaces/benchmark_small.yaml",
    ):
        for line in (ROOT / name).read_text().splitlines():
            words = line.strip("#| ").split("  ")[0].split("&& ")[-1]
            if words.startswith("snnsearch "):
                found.append(words)
    return sorted(set(found))


@pytest.mark.parametrize("line", documented_commands())
def test_documented_command_is_one(line):
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("snnsearch", words)
    while getattr(command, "commands", None):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def test_space_in_the_readme_loads():
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    space = load_space(block)
    assert space.size == 3 * 2 * (1 + 4)
    assert list(space.candidates) == ["without-fire5"]


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL))
def test_excerpt_stands_in_its_file(block):
    place, _, excerpt = block.partition("\n")
    assert excerpt in (ROOT / place.removeprefix("# ")).read_text()


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", CONTRIBUTING))
def test_linked_file_is_there(link):
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("line", re.findall(r"^pytest (tests/.+)$", CONTRIBUTING, re.MULTILINE))
def test_documented_tests_are_there(line):
    folder, option, family = shlex.split(line)
    assert list((ROOT / folder).rglob("families/test_*.py"))
    assert option == "-k"
    assert family in FAMILIES


def test_space_of_the_example_family_loads():
    (block,) = re.findall(r"```yaml\n(.*?)```", CONTRIBUTING, re.DOTALL)
    space = load_space(block)
    assert space.size == 2 * (2 * 2)
    assert space.base.network.family == "mobilenetv2"


def test_spaces_folder_holds_no_code():
    assert not list((ROOT / "spaces").rglob("*.py"))
