"""Private names of Optuna are used in one module, and all of them exist in the installed version."""

import ast
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from pathlib import Path

import optuna
import pytest

import search
from search.storage import optuna_compat

ROOT = Path(search.__file__).parents[1]
FILES = [file for package in ("search", "reports", "snnkit", "benchmarks") for file in (ROOT / package).rglob("*.py")]
PRIVATE_ATTRIBUTES = {"_get_trials", "_trial_id", "_study_id", "_storage", "_backend", "_create_new_trial"}


def resolve(name: str) -> object:
    """Return what a dotted name refers to: a module, then its attributes, then an attribute of an instance."""
    module, rest = name, []
    while True:
        try:
            found: object = import_module(module)
            break
        except ModuleNotFoundError:
            module, _, attribute = module.rpartition(".")
            rest.insert(0, attribute)
    if rest and rest[0] == "FrozenTrial":
        found, rest = optuna.trial.create_trial(value=0.0), rest[1:]
    return reduce(getattr, rest, found)


@pytest.mark.parametrize("name", optuna_compat.PRIVATE_NAMES)
def test_private_name_exists_in_the_installed_optuna(name):
    try:
        resolve(name)
    except AttributeError:
        pytest.fail(
            f"Optuna {optuna.__version__} has no {name}, which {optuna_compat.PRIVATE_NAMES[name]}. Versions tried: "
            f"{', '.join(optuna_compat.VERSIONS_TRIED)}. Adapt search/storage/optuna_compat.py, run the tests of "
            "search/storage and search/samplers, and add the version to VERSIONS_TRIED"
        )


def test_installed_optuna_was_tried():
    assert optuna.__version__ in optuna_compat.VERSIONS_TRIED


def private_uses(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "optuna":
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (f"{node.module}: {name}" for name in names if name.startswith("_"))
        elif isinstance(node, ast.Attribute) and node.attr in PRIVATE_ATTRIBUTES and not is_self(node.value):
            yield node.attr


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_no_other_module_uses_private_names_of_optuna():
    uses = {str(file.relative_to(ROOT)): list(private_uses(file)) for file in FILES}
    assert {file for file, found in uses.items() if found} == {"search/storage/optuna_compat.py"}
