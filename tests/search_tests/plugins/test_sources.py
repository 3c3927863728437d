"""The code of a plug-in: how it is found, stored and imported."""

import sys
import textwrap
from pathlib import Path

import pytest

from search.plugins import sources
from search.plugins.sources import PluginError, Source, find, load, split


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sources, "_loaded_digests", {})


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def package(folder: Path, value: int) -> None:
    write(folder / "parts_of_mine" / "__init__.py", "")
    write(
        folder / "parts_of_mine" / "deep" / "numbers.py", f"from parts_of_mine.base import ONE\nVALUE = {value} * ONE\n"
    )
    write(folder / "parts_of_mine" / "base.py", "ONE = 1\n")


@pytest.mark.parametrize(
    "reference", ["parts", ":x", "parts:", "a b:x", "parts.py", "./parts.py:a b", "parts..nets:x", "./parts:x"]
)
def test_reference_of_another_form_is_refused_with_the_form(reference: str) -> None:
    with pytest.raises(PluginError, match=r"write my_package.module:attribute|ends in .py"):
        split(reference)


def test_file_is_relative_to_the_folder_of_the_space(tmp_path: Path) -> None:
    write(tmp_path / "parts.py", "class Part:\n    value = 3\n")
    found = find("./parts.py", tmp_path)
    assert found.files == {"parts.py": "class Part:\n    value = 3\n"}
    assert load("./parts.py:Part.value", found) == 3


def test_equal_files_are_one_module_and_different_ones_live_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "parts.py", "class Part: pass\n")
    first = load("./parts.py:Part", find("./parts.py", tmp_path))
    assert load("./parts.py:Part", find("./parts.py", tmp_path)) is first
    write(tmp_path / "parts.py", "class Part: new = True\n")
    second = load("./parts.py:Part", find("./parts.py", tmp_path))
    assert second is not first
    assert second.new


def test_stored_file_is_loaded_where_there_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "parts.py", "VALUE = 7\n")
    stored = Source.model_validate_json(find("./parts.py", tmp_path).model_dump_json())
    (tmp_path / "parts.py").unlink()
    assert load("./parts.py:VALUE", stored) == 7


def test_package_beside_the_space_is_loaded_with_its_modules(tmp_path: Path) -> None:
    package(tmp_path, 5)
    found = find("parts_of_mine", tmp_path)
    assert set(found.files) == {f"parts_of_mine/{name}" for name in ("__init__.py", "base.py", "deep/numbers.py")}
    assert load("parts_of_mine.deep.numbers:VALUE", found) == 5


def test_stored_package_replaces_the_changed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, 5)
    monkeypatch.syspath_prepend(tmp_path)
    stored = find("parts_of_mine", tmp_path)
    package(tmp_path, 6)
    assert find("parts_of_mine", tmp_path).digest != stored.digest
    assert load("parts_of_mine.deep.numbers:VALUE", stored) == 5


def test_unchanged_package_is_the_one_that_python_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, 5)
    monkeypatch.syspath_prepend(tmp_path)
    import parts_of_mine.base  # type: ignore[import-not-found]

    assert load("parts_of_mine.base:ONE", find("parts_of_mine", tmp_path)) == 1
    assert sys.modules["parts_of_mine.base"] is parts_of_mine.base


def test_changed_package_is_refused_in_the_same_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, 5)
    monkeypatch.syspath_prepend(tmp_path)
    load("parts_of_mine.deep.numbers:VALUE", find("parts_of_mine", tmp_path))
    package(tmp_path, 6)
    with pytest.raises(PluginError, match="Start a new process"):
        load("parts_of_mine.deep.numbers:VALUE", find("parts_of_mine", tmp_path))


def test_installed_package_that_is_large_must_have_the_same_version_everywhere(tmp_path: Path) -> None:
    found = find("numpy", tmp_path)
    assert not found.is_stored
    assert (found.version or "").startswith("numpy ")
    assert load("numpy:pi", found) > 3
    other = found.model_copy(update={"digest": "0" * 16, "version": "numpy 0.1"})
    sources._loaded_digests.clear()
    with pytest.raises(PluginError, match=r"package numpy must be numpy 0.1; here numpy .* pip install 'numpy==0.1'"):
        load("numpy:pi", other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_that_name", r"ModuleNotFoundError: .* \(parts.py:1\). A file stands alone"),
        ("x = 1\ny = 1 / 0", r"ZeroDivisionError: division by zero \(parts.py:2\)"),
        ("def f(:", r"SyntaxError: .* \(parts.py:1\)"),
        ("other = 1", "parts.py has no attribute 'part'; it has other"),
    ],
)
def test_code_that_cannot_be_used_is_named_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    write(tmp_path / "parts.py", text)
    with pytest.raises(PluginError, match=says):
        load("./parts.py:part", find("./parts.py", tmp_path))


def test_missing_code_is_named_with_the_places_that_were_searched(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no such file: .*parts\.py"):
        find("./parts.py", tmp_path)
    with pytest.raises(PluginError, match="no module 'parts_of_mine'"):
        find("parts_of_mine", tmp_path)
