"""Old records have no energy with neurons: the commands compute it from the stored counts, and reports show it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from reports.benchmark.report import markdown as benchmark_markdown
from reports.benchmark.tables import benchmark_csv
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import StudyRecord
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import load_study_folder
from reports.study.payload import payload
from reports.study.report import markdown as study_markdown
from reports.study.tables import front_csv
from search.benchmark import evaluate as reevaluation
from search.benchmark.alternatives import complete_benchmark, complete_study
from search.benchmark.trained import trained
from search.cli import main

GOLDEN = Path(__file__).parents[2] / "golden" / "stored"
NAMES = ("with_neurons", "with_neurons_and_stem_every_step")
RULE = "horowitz45/exact"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "runs"))


@pytest.fixture
def study(runs: Path) -> StudyRecord:
    return load_study_folder(runs / "old-study")


@pytest.fixture
def benchmark(runs: Path) -> BenchmarkRecord:
    return read_benchmark(runs / "old-benchmark")


@pytest.mark.parametrize("name", ["old-study", "old-benchmark"])
def test_stored_counts_give_what_is_measured_from_the_weights(name: str, runs: Path) -> None:
    found = [each for each in trained(name, [], runs, None) if not each.twin][:1]
    (evaluated,) = reevaluation.evaluate(found, None, "cpu")
    if name == "old-study":
        complete = complete_study(load_study_folder(runs / name)).trials
    else:
        complete = complete_benchmark(read_benchmark(runs / name)).trials
    metrics = complete[found[0].record.number].metrics
    assert metrics is not None
    for alternative in NAMES:
        now = evaluated.now.alternative_mj(RULE, alternative)
        assert now is not None
        assert now > evaluated.now.energy_mj[RULE]
        assert metrics.alternative_mj(RULE, alternative) == pytest.approx(now, rel=1e-6)


def test_evaluate_shows_and_exports_the_alternatives(runs: Path) -> None:
    evaluated = reevaluation.evaluate(trained("old-benchmark", [], runs, None)[:2], None, "cpu")
    heads = [str(column.header) for column in reevaluation.figures(evaluated).columns]
    assert [head.replace("\n", " ") for head in heads][8:10] == ["mJ with neurons", "mJ with neurons, stem every step"]
    spiking, _ = sorted(reevaluation.to_json(evaluated), key=lambda found: found["kind"] == "cnn")
    assert set(NAMES) == set(json.loads(json.dumps(spiking))["measured"]["energy_alternatives_mj"][RULE])


def test_reports_of_old_records_have_no_further_columns(study: StudyRecord, benchmark: BenchmarkRecord) -> None:
    texts = (study_markdown(study), benchmark_markdown(benchmark), front_csv(study), benchmark_csv(benchmark))
    assert not any("with neurons" in text or "with_neurons" in text for text in texts)


def test_reports_of_completed_records_show_the_alternatives(study: StudyRecord, benchmark: BenchmarkRecord) -> None:
    study, benchmark = complete_study(study), complete_benchmark(benchmark)
    for text in (study_markdown(study), benchmark_markdown(benchmark)):
        assert "with neurons" in text
        assert "stem every step" in text
        assert "The alternative 'with neurons' adds" in text
    for table in (front_csv(study), benchmark_csv(benchmark)):
        head, row, *_ = (line.split(",") for line in table.splitlines())
        assert float(row[head.index(f"energy_mj {RULE} with_neurons")]) > float(row[head.index(f"energy_mj {RULE}")])
    shown = json.loads(payload(study))["trials"][0]["alternatives"][RULE]
    assert [name for name, _ in shown] == ["with neurons", "with neurons, stem every step"]


def test_a_record_without_its_alternatives_has_a_dash(benchmark: BenchmarkRecord) -> None:
    first, *others = complete_benchmark(benchmark).trials
    assert first.metrics is not None
    bare = first.model_copy(update={"metrics": first.metrics.model_copy(update={"energy_alternatives_mj": {}})})
    others = [trial.model_copy(update={"metrics": first.metrics}) for trial in others]
    (row,) = [
        line
        for line in benchmark_markdown(benchmark.model_copy(update={"trials": (bare, *others)})).splitlines()
        if line.startswith(f"| {benchmark.header.cells[0].network} |") and "| - | - |" in line
    ]
    assert row.count("| - ") == 2


def test_counts_that_contradict_the_stored_energy_give_no_alternative(benchmark: BenchmarkRecord) -> None:
    spoilt = tuple(
        trial.model_copy(
            update={"layers": tuple(layer.model_copy(update={"acs": layer.acs + 1000}) for layer in trial.layers)}
        )
        for trial in benchmark.trials
    )
    complete = complete_benchmark(benchmark.model_copy(update={"trials": spoilt}))
    assert not any(trial.metrics and trial.metrics.energy_alternatives_mj for trial in complete.trials)


def test_a_space_that_no_longer_loads_leaves_the_study_as_it_is(study: StudyRecord) -> None:
    header = study.header.model_copy(update={"space_yaml": "network: {family: forgotten}\n"})
    old = study.model_copy(update={"header": header})
    assert complete_study(old) == old


def test_show_prints_the_alternatives_of_an_old_trial(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["snnsearch", "show", "old-study", "0", "--runs", str(runs)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.endswith(" mJ with neurons") for line in lines)
    assert any(line.endswith(" mJ with neurons, stem every step") for line in lines)
