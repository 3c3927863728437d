"""Documentation is executed: YAML blocks load, commands parse, excerpts are in their files, links lead somewhere."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from helpers.own_data import npz_file, picture_folder, recording

from search import load_space
from search.benchmark.loader import load_benchmark
from search.cli.app import app
from search.space import document
from search.space.sections import DEVICES, Device
from snnkit.families import FAMILIES

ROOT = Path(__file__).parents[1]
SITE = sorted((ROOT / "docs").rglob("*.md"))
TOP = [*sorted(ROOT.glob("*.md")), ROOT / "spaces/README.md", ROOT / "reports/gallery/README.md"]
PAGES = [*TOP, *SITE, ROOT / "benchmarks/README.md"]
SPACES = sorted((ROOT / "spaces").glob("*.yaml"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


WRITTEN = [block for page in SITE for block in blocks(page, "yaml")]
FIRST = blocks(ROOT / "docs/space/index.md", "yaml")[0]
BENCHMARKS = [block for block in WRITTEN if block.startswith("benchmark:")]
BLOCKS = [block for block in WRITTEN if block not in BENCHMARKS]


def test_documentation_has_blocks() -> None:
    assert len(BLOCKS) >= 15


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data that blocks describe, and with the Python code of the page about plug-ins."""
    root = tmp_path_factory.mktemp("own")
    picture_folder(root / "pictures", {"train": 10, "test": 2}, size=(20, 16))
    npz_file(root / "own.npz")
    for row, label in enumerate(["left", "right"] * 5):
        recording(root / "events" / label / f"{row}.npy", size=(40, 30), seed=row)
    (root / "parts.py").write_text("\n".join(blocks(ROOT / "docs/plugins.md", "python")))
    return root


@pytest.fixture(autouse=True)
def _beside_own_data(own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_data)
    monkeypatch.setenv("SNNSEARCH_DATA", str(own_data / "cache"))


@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_documented_block_is_a_space(block: str, device: Device) -> None:
    missing = {key: tree for key, tree in document.parse(FIRST).tree.items() if not re.search(f"(?m)^{key}:", block)}
    assert load_space(block + (document.dump(missing) if missing else ""), device=device).study.name


@pytest.mark.parametrize("device", DEVICES)
def test_documented_block_is_a_benchmark(device: Device) -> None:
    (block,) = BENCHMARKS
    benchmark = load_benchmark(block, device=device)
    assert (len(benchmark.cells), set(benchmark.entries)) == (2 * 2 * 2 * 3, {"cifar10", "tiny-imagenet"})
    small = benchmark.candidates["tiny-imagenet"]["SqueezeNet"]
    assert (small.train.epochs, small.encoding.timesteps) == (60 if device == "cpu" else 100, 2)


def test_space_in_the_readme_loads() -> None:
    (block,) = blocks(ROOT / "README.md", "yaml")
    space = load_space(block)
    assert space.size == 3 * 2 * (1 + 4)
    assert list(space.candidates) == ["without-fire5"]
    assert len(block.splitlines()) <= 16


def test_space_of_the_example_family_loads() -> None:
    (block,) = blocks(ROOT / "docs/developing/family.md", "yaml")
    space = load_space(block)
    assert space.size == 2 * (2 * 2)
    assert space.base.network.model_dump()["family"] == "mobilenetv2"


def documented_commands() -> list[str]:
    found = []
    for page in (*PAGES, *SPACES):
        text = page.read_text(encoding="utf-8")
        indented = re.findall(r"^(?: {4}|#   )(.+)$", text, re.MULTILINE)
        fenced = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        found += [line.split("  ")[0].split("&& ")[-1] for line in (*indented, *fenced)]
    return sorted({line for line in found if line.startswith("snnsearch ")})


@pytest.mark.parametrize("line", documented_commands())
def test_documented_command_is_one(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("snnsearch", words)
    while hasattr(command, "resolve_command"):  # a group of commands
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


EXCERPTS = [block for page in SITE for block in blocks(page, "python") if block.startswith("# ")]


@pytest.mark.parametrize("block", EXCERPTS)
def test_excerpt_is_in_its_file(block: str) -> None:
    place, _, excerpt = block.partition("\n")
    assert excerpt in (ROOT / place.removeprefix("# ")).read_text()


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    missing = [link for link in links(page) if not (page.parent / link.partition("#")[0]).exists()]
    assert set(missing) <= {"reference.md", "space/reference.md"}  # that page is generated with the site


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub writes them."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_anchors(page: Path) -> None:
    parts = [(link, *link.partition("#")[::2]) for link in links(page)]
    targets = [(link, page.parent / file if file else page, anchor) for link, file, anchor in parts if anchor]
    missing = [link for link, file, anchor in targets if file.name != "reference.md" and anchor not in anchors(file)]
    assert missing == []


NAMED = r"\b(?:search|snnkit|reports|benchmarks|tests|spaces|docs)/[\w/.]+\.(?:py|yaml|md|csv)\b"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    named = set(re.findall(NAMED, page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []


FAMILY_TESTS = re.findall(r"^pytest (tests/.+)$", (ROOT / "docs/developing/family.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", FAMILY_TESTS)
def test_documented_tests_exist(line: str) -> None:
    folder, option, family = shlex.split(line)
    assert list((ROOT / folder).rglob("families/test_*.py"))
    assert option == "-k"
    assert family in FAMILIES


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_readme_of_the_spaces_names_every_file() -> None:
    text = (ROOT / "spaces/README.md").read_text(encoding="utf-8")
    assert [file.name for file in SPACES if f"({file.name})" not in text] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in SITE]
    assert [page for page in pages if f": {page}" not in navigation] == []


def test_architecture_picture_shows_the_import_contracts() -> None:
    script = runpy.run_path(str(ROOT / "docs/scripts/architecture.py"))
    assert script["PICTURE"].read_text() == script["draw"](), "run: python docs/scripts/architecture.py"


def test_space_reference_lists_every_key_with_its_default_and_bounds() -> None:
    script = runpy.run_path(str(ROOT / "docs/scripts/space_reference.py"))
    page = script["PAGE"].read_text()
    assert page == script["render"](), "run: python docs/scripts/space_reference.py"
    assert "| `timesteps` | whole number | `4` | ≥ 1, ≤ 64 |" in page
    assert "| `schedule` | `cosine`, `onecycle`, `constant` | `onecycle` |" in page
    assert all(f"## network: {family}\n" in page for family in FAMILIES)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == [], "describe these keys: Field(description=...)"


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if "name: own-" in block], ids=["pictures", "arrays", "events"]
)
def test_own_data_is_searched_to_a_report(block: str, own_data: Path) -> None:
    assert len(block.splitlines()) <= 15
    (own_data / "own.yaml").write_text(block)
    words = ["launch", "own.yaml", "--executor", "ray", "--workers", "1", "--trials", "2", "--device", "cpu"]
    words += ["--set", "train.chance_patience=0"]  # the pictures are noise
    done = subprocess.run([sys.executable, "-m", "search", *words], capture_output=True, text=True, cwd=own_data)
    assert done.returncode == 0, done.stdout + done.stderr
    name = load_space(own_data / "own.yaml").study.name
    assert "2 trials" in (own_data / "runs" / name / "report.md").read_text()
