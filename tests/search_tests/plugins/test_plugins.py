"""Parts of the user's own in a space: loaded, refused at their line, stored with the study, and used by trials."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.untrained import SPACES, options_for
from typer.testing import CliRunner

from search.benchmark.loader import load_benchmark
from search.cli.app import app
from search.errors import InputError, SpaceError
from search.plugins.sources import PluginError, load
from search.runner.launch import launch, resume
from search.runner.observer import SilentObserver
from search.space.loading.loader import load_space
from search.study.pruners import make_pruner
from search.trial.job import FromScratch, Job
from snnkit.export import pytorch

pytestmark = pytest.mark.usefixtures("own_parts")

PARTS = """
import optuna
import numpy as np
from search.plugins.objective import objective
from search.study.pruners.median import MedianPruner
from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import ModuleView
from snnkit.base.config import Config
from snnkit.energy import Energy, EnergyModel
from snnkit.families import Family


@objective(direction="minimize", unit="channels", low=1, high=64, label="widest layer")
def width(trained):
    assert not trained.network.training
    assert trained.images(2).shape[0] == 2
    return max(conv.out_shape[0] for conv in trained.counts.plan.convs)


@objective(direction="minimize", low=1, high=64)
def broken(trained):
    return float("nan")


def sampler(space, seed):
    return optuna.samplers.RandomSampler(seed=seed)


class Rule(MedianPruner):
    pass


def data():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (120, 1, 16, 16), dtype=np.uint8)
    y = np.arange(120) % 3
    return {"x_train": x[:90], "y_train": y[:90], "x_test": x[90:], "y_test": y[90:], "classes": ["a", "b", "c"]}


def estimate(counts, config):
    return Energy.from_pj({layer.name: {"acs": 2.0 * layer.acs} for layer in counts.layers}, {})


chip = EnergyModel(estimate, {"exact": "2 pJ per AC"}, ())


class Design(Config):
    width: int = 4


def plan(design, classes, in_shape):
    build = PlanBuilder(in_shape)
    at = build.conv("stem", "input", design.width, kernel=3, stride=4, padding=1, bias=False)
    return build.scores("scores", build.conv("head", at, classes, batchnorm=False, activation=None))


net = Family(Design, plan, lambda design: (ModuleView("stem", "kept", str(design.width)),))
"""
SPACE = """
study:
  name: own
  sampler: ./parts.py:sampler
  budget: {trials: 2}
  objectives: {accuracy: maximize, "./parts.py:width": minimize}
  constraints: {"./parts.py:width": {max: 600}}
network: {family: squeezenet, stem: {width: {choices: [8, 16]}}, fire2: {keep: false}}
encoding: {timesteps: 1}
train: {epochs: 1, chance_patience: 0}
data: {name: ./parts.py:data}
energy: {model: ./parts.py:chip}
"""


class Messages(SilentObserver):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def test_resolved_space_holds_the_code_and_loads_without_the_files(folder: Path) -> None:
    space = load_space(folder / "space.yaml")
    (folder / "parts.py").unlink()
    again = load_space(space.dump())
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert [part.name for part in space.plugins.parts] == [
        f"./parts.py:{name}" for name in ("data", "chip", "sampler", "width")
    ]
    assert space.plugins.sources["./parts.py"].files == {"parts.py": PARTS}


def test_other_code_is_another_space(folder: Path) -> None:
    before = load_space(folder / "space.yaml")
    (folder / "parts.py").write_text(PARTS + "\nNEW = 1\n")
    assert load_space(folder / "space.yaml").fingerprint != before.fingerprint


def test_study_runs_and_resumes_with_the_code_it_was_launched_with(folder: Path, messages: Messages) -> None:
    options = options_for(folder / "runs")
    launch(load_space(folder / "space.yaml"), options)
    (folder / "parts.py").write_text("raise RuntimeError('edited')\n")
    record = resume("own", options_for(folder / "runs", trials=1), messages)
    assert "note      ./parts.py has changed since the launch; the study continues with the code that it stores" in (
        messages.texts
    )
    trained = [trial for trial in record.trials if trial.metrics is not None]
    assert {trial.status for trial in trained} == {"complete"}
    for trial in trained:
        assert trial.metrics is not None
        assert trial.metrics.own == {"./parts.py:width": trial.values["./parts.py:width"]}
        assert trial.metrics.energy_mj["./parts.py:chip/exact"] == pytest.approx(2e-9 * trial.metrics.acs)


def test_report_needs_no_plugin(folder: Path) -> None:
    launch(load_space(folder / "space.yaml"), options_for(folder / "runs"))
    code = (
        "import sys; from pathlib import Path; from reports.storage.studies import find_study;"
        "from reports.study.write import write_report; runs = Path(sys.argv[1]);"
        "write_report(find_study('own', runs, None), runs / 'own');"
        "print([name for name in sys.modules if name.startswith(('search', 'snnsearch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code, folder / "runs"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    page = (folder / "runs" / "own" / "report.md").read_text()
    assert "widest layer" in page
    assert "2 pJ per AC" in page


def test_job_brings_its_plugins_to_another_process(folder: Path) -> None:
    space = load_space(folder / "space.yaml", overrides={"network": "{family: './parts.py:net', width: 8}"})
    candidate = space.candidate({})
    job = Job(
        number=0, name=None, params={}, candidate=candidate, modules=(), static={}, folder=folder, seed=0,
        initialization=FromScratch(), plugins=space.plugins, own_figures=space.own_figures,
    )  # fmt: skip
    (folder / "parts.py").unlink()
    code = (
        "import sys; from search.trial.job import Job; job = Job.model_validate_json(sys.stdin.read());"
        "print(job.candidate.fingerprint, job.own_figures)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=job.model_dump_json(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{candidate.fingerprint} ('./parts.py:width',)"


def test_family_of_the_user_is_searched_and_reloaded(folder: Path) -> None:
    network = "{family: './parts.py:net', width: {choices: [4, 8]}}"
    space = load_space(folder / "space.yaml", overrides={"network": network})
    eight = space.candidate({"network.width": 8})
    assert eight.static()["params"] == 8 * 9 + 2 * 8 + 8 * 3 + 3
    assert [module.detail for module in eight.modules()] == ["8"]
    assert type(eight).model_validate_json(eight.model_dump_json()) == eight
    (folder / "parts.py").write_text(PARTS.replace("stride=4", "stride=2"))
    other = load_space(folder / "space.yaml", overrides={"network": network}).candidate({"network.width": 8})
    assert other.plan() != eight.plan()  # both families are alive


def test_stopping_rule_of_the_user_decides(folder: Path) -> None:
    overrides = {"study.stopping": "{rule: './parts.py:Rule'}", "train.epochs": 3, "train.rungs": "[1]"}
    space = load_space(folder / "space.yaml", overrides=overrides)
    assert type(make_pruner(space.study.stopping, space.study.objectives)).__name__ == "Rule"


FAILING = """
import optuna
from search.study.pruners.median import MedianPruner


class Failing(optuna.samplers.RandomSampler):
    def sample_independent(self, *given):
        raise KeyError("mine")


def sampler(space, seed):
    return Failing()


def list_of_dials(space, seed):
    return list(space.dials)


class Rule(MedianPruner):
    def prune_reason(self, epoch, trial):
        return trial.name
"""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"study.stopping": "{rule: './bad.py:Rule'}", "train.epochs": 2, "train.rungs": "[1]"},
            r"the stopping rule ./bad.py:Rule raised AttributeError: .*'name' \(bad.py, line 21\)\. .*--name NAME",
        ),
        (
            {"study.sampler": "./bad.py:sampler"},
            r"the sampler ./bad.py:sampler raised KeyError: 'mine' \(bad.py, line 8\)",
        ),
        ({"study.sampler": "./bad.py:list_of_dials"}, r"raised TypeError: it returned a list; a sampler is a function"),
    ],
    ids=["rule", "sampler", "no sampler"],
)
def test_run_stops_where_a_part_of_the_user_fails_and_names_its_line(
    changes: dict[str, object], says: str, folder: Path
) -> None:
    (folder / "bad.py").write_text(FAILING)
    quick = {"data.subset": 200, "data.test": 50, "train.epochs": 1, "train.chance_patience": 0, "candidates": "{}"}
    (folder / "space.yaml").write_text((SPACES / "smoke.yaml").read_text())
    space = load_space(folder / "space.yaml", overrides=quick | changes)
    with pytest.raises(PluginError, match=says):
        launch(space, options_for(folder / "runs", trials=2))


def test_benchmark_of_the_user_s_parts(folder: Path) -> None:
    text = """
benchmark: {name: mine, seeds: [0]}
networks: {net: {family: ./parts.py:net, width: 8}}
encoding: {timesteps: 1}
train: {epochs: 1}
data: {"./parts.py:data": {}}
"""
    (folder / "bench.yaml").write_text(text)
    benchmark = load_benchmark(folder / "bench.yaml")
    (folder / "parts.py").unlink()
    again = load_benchmark(benchmark.dump())
    assert again.fingerprint == benchmark.fingerprint
    assert [part.name for part in again.plugins.parts] == ["./parts.py:net", "./parts.py:data"]


def test_short_name_of_an_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "site" / "chips"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PARTS)
    declared = folder / "site" / "chips-1.0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: chips\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text("[snnsearch.energy_models]\nmy-chip = chips:chip\n")
    monkeypatch.syspath_prepend(folder / "site")
    space = load_space(folder / "space.yaml", overrides={"energy.model": "my-chip"})
    assert space.base.energy.key == "my-chip/exact"
    (part,) = [part for part in space.plugins.parts if part.kind == "energy_model"]
    assert (part.name, part.reference) == ("my-chip", "chips:chip")
    assert load_space(space.dump()) == space


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("energy.model", "./parts.py:plan", "--set: energy.model: ./parts.py:plan is the function plan; an energy"),
        ("energy.model", "./nothing.py:chip", "no such file"),
        ("energy.model", "chip", "--set: energy.model: given chip; allowed are horowitz45, lemaire2022"),
        ("study.sampler", "./parts.py:nothing", "./parts.py has no attribute 'nothing'"),
        ("study.sampler", "none_of_these.parts:sampler", "no module 'none_of_these'"),
        ("data.name", "./parts.py:chip", "a data set is a function"),
        ("data.name", "./parts.py:plan", "failed: TypeError"),
        ("network.family", "./parts.py:plan", "a family is a snnsearch.Family"),
        ("study.objectives", "{accuracy: maximize, './parts.py:plan': minimize}", "an objective is a function under"),
        ("study.stopping", "{rule: './parts.py:Design'}", "it lacks describe, add, prune_reason"),
    ],
)  # fmt: skip
def test_part_that_cannot_be_used_is_refused_at_its_place(path: str, value: str, says: str, folder: Path) -> None:
    with pytest.raises(SpaceError) as refused:
        load_space(folder / "space.yaml", overrides={path: value})
    assert says in str(refused.value)
    assert len(refused.value.problems) == 1


def test_objective_that_is_no_number_fails_the_trial_with_its_name(folder: Path) -> None:
    objectives = "{accuracy: maximize, './parts.py:broken': minimize}"
    space = load_space(folder / "space.yaml", overrides={"study.objectives": objectives, "study.constraints": "{}"})
    record = launch(space, options_for(folder / "runs", trials=1))
    assert record.trials[0].status == "failed"
    assert record.trials[0].reason == (
        "ValueError: objective ./parts.py:broken returned nan; it must return a finite number"
    )


def test_damaged_section_of_stored_code_is_refused(folder: Path) -> None:
    text = load_space(folder / "space.yaml").dump()
    with pytest.raises(SpaceError, match="plugins: snnsearch writes this section"):
        load_space(text[: text.index("\nplugins:")] + "\nplugins: {parts: 3}\n")


def test_figure_of_the_user_bounds_the_front(folder: Path) -> None:
    space = load_space(folder / "space.yaml", overrides={"study.constraints": "{'./parts.py:width': {max: 40}}"})
    trial = launch(space, options_for(folder / "runs", trials=1)).trials[0]
    assert trial.status == "infeasible"
    assert trial.reason is not None
    assert trial.reason.startswith("./parts.py:width")


def test_code_of_another_user_runs_only_when_it_is_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(load_space(folder / "space.yaml"), options_for(folder / "runs", trials=1))
    (folder / "parts.py").unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache of another user"))
    with pytest.raises(SpaceError, match="comes with this study, and this account has not run it before"):
        resume("own", options_for(folder / "runs"))
    shown = CliRunner().invoke(app, ["trust", "own", "--runs", str(folder / "runs")], input="n\n")
    assert "class Rule(MedianPruner):" in shown.output
    assert isinstance(shown.exception, InputError)
    with pytest.raises(SpaceError, match="snnsearch trust"):
        load_space((folder / "runs" / "own" / "space.yaml").read_text())
    assert CliRunner().invoke(app, ["trust", "own", "--runs", str(folder / "runs"), "--yes"]).exit_code == 0
    resume("own", options_for(folder / "runs"))


def test_allowed_digest_does_not_cover_other_code(folder: Path) -> None:
    text = load_space(folder / "space.yaml").dump()
    with pytest.raises(SpaceError, match="has not run it before"):
        load_space(text.replace("import optuna", "import optuna  # and more"))


def test_function_of_a_data_set_is_called_once_in_a_process(folder: Path) -> None:
    counting = PARTS.replace("def data():", "CALLS = []\n\n\ndef data():\n    CALLS.append(1)")
    (folder / "parts.py").write_text(counting)
    space = load_space(folder / "space.yaml")
    launch(space, options_for(folder / "runs", trials=1))
    resume("own", options_for(folder / "runs", trials=1))
    assert load("./parts.py:CALLS", space.plugins.sources["./parts.py"]) == [1]


BUILD, PRICE = "    build = PlanBuilder(in_shape)\n", "    return Energy.from_pj("
FAULTS = {  # name: (what is replaced, by what, what the error says)
    "plan raises": (
        BUILD,
        "    return {}['x']\n",
        r"parts.py:net raised KeyError: 'x' \(parts.py, line \d+\)",
    ),
    "no plan": (BUILD, "    return None\n", "net returned a NoneType; its function plan must return"),
    "wrong outputs": ("classes, batchnorm", "5, batchnorm", "net has 5 outputs for 3 classes; give its last layer 3"),
    "no modules": (
        '(ModuleView("stem", "kept", str(design.width)),)',
        "[1, 2]",
        r"net returned \[1, 2\] from",
    ),
    "no energy": (PRICE, "    return None and (", "the energy model ./parts.py:chip returned a NoneType"),
    "negative energy": ("2.0 * layer.acs", "-1.0 - layer.acs", "returned -.* mJ; an energy is a number from 0"),
    "energy raises": (PRICE, "    return 1 / 0 or (", "chip raised ZeroDivisionError"),
    "energy exits": (PRICE, "    raise SystemExit(3) or (", "chip raised SystemExit: 3"),
    "no argument": ("def width(trained)", "def width()", "width: .*; an objective takes one argument"),
    "no preset": ('{"exact": "2 pJ per AC"}', "{}", "./parts.py:chip has no preset"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_part_is_named_before_training(fault: str, folder: Path) -> None:
    before, after, says = FAULTS[fault]
    assert before in PARTS
    (folder / "parts.py").write_text(PARTS.replace(before, after))

    def use_the_parts() -> None:
        given = {"network": "{family: './parts.py:net'}", "study.sampler": "random"}
        candidate = load_space(folder / "space.yaml", overrides=given).base
        candidate.modules()
        candidate.least_energy_mj()

    with pytest.raises(InputError, match=says):
        use_the_parts()


MUTATING = """
from search.plugins.objective import objective

@objective(direction="minimize", low=0.1, high=10)
def emptied(trained):
    trained.network.train()
    for weight in trained.network.parameters():
        weight.data.zero_()
    return 1.0

@objective(direction="minimize", low=0.1, high=10)
def exits(trained):
    raise SystemExit(3)
"""


def test_objective_cannot_change_or_end_the_trial(folder: Path) -> None:
    (folder / "bad.py").write_text(MUTATING)
    (folder / "space.yaml").write_text((SPACES / "smoke.yaml").read_text())
    quick = {"data.subset": 200, "data.test": 50, "train.epochs": 1, "train.chance_patience": 0, "candidates": "{}"}
    objectives = {"plain": "{accuracy: maximize, params: minimize}"}
    objectives |= {each: f"{{accuracy: maximize, './bad.py:{each}': minimize}}" for each in ("emptied", "exits")}
    first = {}
    for name, wanted in objectives.items():
        changes = quick | {"study.objectives": wanted, "study.sampler": "random"}
        space = load_space(folder / "space.yaml", overrides=changes)
        first[name] = launch(space, options_for(folder / name, trials=1)).trials[0]
    plain, emptied, exits = first["plain"].metrics, first["emptied"].metrics, first["exits"]
    assert plain is not None
    assert emptied is not None
    assert (plain.accuracy, plain.test_accuracy) == (emptied.accuracy, emptied.test_accuracy)
    state, _ = pytorch.read(folder / "emptied" / "smoke" / "trials" / "0" / "weights.pt")
    assert all(tensor.any() for name, tensor in state.items() if name.endswith("conv.weight"))
    assert exits.status == "failed"
    assert "SystemExit(3); it must return a number" in (exits.reason or "")
