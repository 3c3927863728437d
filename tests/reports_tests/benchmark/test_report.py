"""The report of a benchmark, made from synthetic records. The expected values are computed here."""

import base64
import csv
import hashlib
import io
import re
import statistics
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.html_page import Page
from helpers.small_benchmarks import NETWORKS, build_benchmark, metrics, published, setup

from reports.benchmark.figure import Dot, drawing
from reports.benchmark.groups import Spread, accuracy, energy, groups, pairs
from reports.benchmark.picture import picture
from reports.benchmark.report import markdown, page
from reports.benchmark.sections.findings import findings
from reports.benchmark.summary import circumstances, summary
from reports.benchmark.tables import benchmark_csv, networks_table, twins_table
from reports.benchmark.write import FILES, write_benchmark
from reports.document.html import asset
from reports.document.wording import number, ratio
from reports.records.benchmark import BenchmarkRecord, Published
from reports.records.study import ReferencePoint, TrialRecord

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>|a`b$title"


def shortened(value: float) -> str:
    return f"{value:.3f}"


def without(record: BenchmarkRecord, *numbers: int, status: str = "waiting") -> BenchmarkRecord:
    """These trainings have no result."""
    trials = tuple(
        TrialRecord(number=t.number, status=status, name=t.name, reason="OSError: disk full", traceback="Traceback ...")
        if t.number in numbers
        else t
        for t in record.trials
    )
    return record.model_copy(update={"trials": trials})


def said(record: BenchmarkRecord, data: str = "cifar10") -> str:
    return "\n".join(findings(record).get(data, []))


# -- figures over seeds ------------------------------------------------------------------------------------------------


def test_three_values_have_a_standard_deviation_two_a_range_one_neither() -> None:
    assert Spread((0.80, 0.81, 0.82)).text(shortened) == "0.810 ± 0.010"  # sqrt((0.01^2 + 0 + 0.01^2) / 2)
    assert Spread((0.80, 0.82)).text(shortened) == "0.810 (0.800 to 0.820)"
    assert Spread((0.80,)).text(shortened) == "0.800"


def test_spread_is_printed_with_the_decimals_of_its_mean() -> None:
    assert Spread((19_000.0, 20_000.0, 21_000.0)).over(1000).text(lambda v: f"{v:.1f}") == "20.0 ± 1.0"
    assert Spread((0.81, 0.81, 0.81 + 1e-6)).text(shortened) == "0.810"  # no digit of it would show


def test_group_is_the_mean_over_its_seeds() -> None:
    record = build_benchmark(seeds=(0, 1, 2))
    for group in groups(record):
        cells = [c for c in record.header.cells if (c.network, c.kind) == (group.network, group.kind)]
        assert group.mean(accuracy) == pytest.approx(statistics.fmean(metrics(c).test_accuracy for c in cells))
        assert group.n == group.n_seeds == 3


def test_missing_training_is_left_out_of_the_mean_and_counted() -> None:
    record = without(build_benchmark(seeds=(0, 1, 2)), 0)
    first = groups(record)[0]
    assert (first.n, first.n_seeds, set(first.by_seed)) == (2, 3, {1, 2})
    assert networks_table(record, "cifar10").rows[0][1] == "2 of 3"


def test_energy_ratio_is_computed_for_each_seed() -> None:
    record = without(build_benchmark(seeds=(0, 1)), 0)  # the first SNN of seed 0: its twin stands alone
    pair = pairs(groups(record))[0]
    price = "horowitz45/exact"
    assert pair.energy_ratio(price).values == (
        pair.cnn.by_seed[1].energy_mj[price] / pair.snn.by_seed[1].energy_mj[price],
    )
    assert pair.published_ratio == pytest.approx(7.0)


# -- tables ------------------------------------------------------------------------------------------------------------


def test_published_row_is_below_ours_and_fills_the_columns_of_its_energy_model() -> None:
    table = networks_table(build_benchmark(), "cifar10")
    assert table.published == {1, 3}
    own, there = table.rows[0], table.rows[1]
    heads = [group for group, span in table.groups for _ in range(span)]
    columns = list(zip(heads, table.columns, strict=True))
    by_rule = columns.index(("horowitz45/paper2602", "energy, mJ"))
    assert (own[0], there[0], there[by_rule]) == ("SqueezeNet", "published", "0.0355")
    assert there[columns.index(("horowitz45/paper2602", "AC, k"))] == "16,610"
    assert there[columns.index(("horowitz45/exact", "energy, mJ"))] == ""
    assert own[columns.index(("horowitz45/paper2602", "MAC, k"))] == "4,467"
    assert own[columns.index(("", "parameters, k"))] == "736.5"


def test_table_of_twins_has_both_accuracies_energies_and_their_ratio() -> None:
    record = build_benchmark(seeds=(0,))
    table = twins_table(record, "cifar10")
    assert table is not None
    row = dict(zip(table.columns[:6], table.rows[0][:6], strict=True))
    pair = pairs(groups(record))[0]
    assert row["CNN / SNN"] == f"{pair.energy_ratio('horowitz45/exact').mean:.1f}"
    assert table.rows[1][0] == "published"
    assert "7.0" in table.rows[1]
    assert twins_table(build_benchmark(kinds=("snn",)), "cifar10") is None


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_every_row_has_every_column(seeds: tuple[int, ...]) -> None:
    record = build_benchmark(tuple(NETWORKS), ("cifar10", "cifar100"), seeds)
    for data in ("cifar10", "cifar100"):
        for table in (networks_table(record, data), twins_table(record, data)):
            assert table is not None
            assert {len(row) for row in table.rows} == {len(table.columns)} == {len(table.numeric)}
            assert sum(span for _, span in table.groups) == len(table.columns)


def test_csv_has_every_training_that_ended_with_all_figures() -> None:
    record = without(without(build_benchmark(seeds=(0, 1)), 7), 6, status="failed")
    rows = list(csv.DictReader(io.StringIO(benchmark_csv(record))))
    assert [int(row["trial"]) for row in rows] == list(range(7))
    measured = record.trials[0].metrics
    assert measured is not None
    assert float(rows[0]["test_accuracy"]) == measured.test_accuracy
    assert {float(rows[0][f"energy_mj {price}"]) for price in measured.energy_mj} == set(measured.energy_mj.values())
    assert float(rows[0]["acs paper2602"]) == measured.operations["paper2602"].acs
    assert (rows[6]["status"], rows[6]["test_accuracy"], rows[6]["reason"]) == ("failed", "", "OSError: disk full")


# -- sentences ---------------------------------------------------------------------------------------------------------


def test_accuracy_that_disagrees_is_reported_with_our_training_settings() -> None:
    setups = (setup("cifar10", train=900, epochs=2, test=500, side=16, classes=5),)
    text = said(build_benchmark(setups=setups, shift=-0.4))
    (line,) = [line for line in text.splitlines() if line.startswith("Test accuracy on cifar10, SNN")]
    assert "(published 0.75)" in line
    assert "below the published" in line
    for why in (
        "2 epochs on 900 of 50,000",
        "16 instead of 32 pixels",
        "5 of 10 classes",
        "T = 2",
        "500 of 10,000 test images",
    ):
        assert why in line


def test_accuracy_that_agrees_is_reported_as_equal() -> None:
    assert "equal to within 0.01" in said(build_benchmark())


def test_parameters_that_differ_are_reported_with_the_difference() -> None:
    text = said(build_benchmark())
    assert "Parameters are within 1% of the published on cifar10: SqueezeNet." in text
    share = 1 - 549_114 / 599_100
    assert f"SqueezeNet-P has 549,114 parameters on cifar10, {share:.1%} fewer than the published 599,100" in text


def test_energy_that_differs_by_the_same_rule_is_traced_to_macs_or_acs() -> None:
    (line,) = [x for x in said(build_benchmark(times=0.5)).splitlines() if x.startswith("Energy on cifar10, SNN")]
    assert "by horowitz45/paper2602" in line
    assert re.search(r"SqueezeNet 0\.0\d+ mJ \(published 0\.0355, \d+% less: MACs agree, ACs 0\.50\d times\)", line)


def test_published_energy_model_is_compared_with_the_exact_one() -> None:
    record = build_benchmark()
    factors = [
        g.mean(lambda m: m.energy_mj["horowitz45/exact"]) / g.mean(lambda m: m.energy_mj["horowitz45/paper2602"])
        for g in groups(record)
        if g.kind == "snn"
    ]
    text = said(record)
    assert "one time step, whatever T is" in text
    assert "over all T = 2 time steps" in text
    assert f"need {min(factors):.2f} to {max(factors):.2f} times as much" in text


def test_note_on_a_published_figure_is_reported() -> None:
    point = published()[0].model_copy(update={"note": "counts a module that is never executed"})
    text = said(build_benchmark(points=(point,)))
    assert "Note on the published SqueezeNet on cifar10: counts a module that is never executed." in text


def test_energy_models_that_disagree_on_an_order_are_named_with_a_pair() -> None:
    record = build_benchmark(tuple(NETWORKS))
    mean = {
        (g.network, price): g.mean(lambda m, price=price: m.energy_mj[price])
        for g in groups(record)
        for price in ("horowitz45/exact", "lemaire2022/exact")
        if g.kind == "snn"
    }
    assert mean["SqueezeNet", "horowitz45/exact"] < mean["MnasNet", "horowitz45/exact"]  # the table's, by its rule
    assert mean["SqueezeNet", "lemaire2022/exact"] > mean["MnasNet", "lemaire2022/exact"]
    text = said(record)
    assert "The energy model matters on cifar10: by lemaire2022/exact instead of horowitz45/exact" in text
    assert "SqueezeNet needs less than MnasNet by horowitz45/exact" in text


def test_snn_that_needs_more_energy_than_its_twin_is_named() -> None:
    record = build_benchmark(("SqueezeNet",), times=30.0)
    assert "SqueezeNet needs more energy as an SNN than as a CNN" in said(record)
    assert "needs more energy as an SNN" not in said(build_benchmark(("SqueezeNet",)))
    several = said(build_benchmark(("SqueezeNet", "SqueezeNet-P"), times=30.0))
    assert "SqueezeNet and SqueezeNet-P need more energy as SNNs than as CNNs" in several


def test_effect_of_skipping_zeros_in_the_twin_is_reported() -> None:
    record = build_benchmark(("SqueezeNet",), seeds=(0,))
    factor = pairs(groups(record))[0].energy_ratio("horowitz45/exact").mean
    assert f"{factor / 2:.1f} instead of {factor:.1f} (SqueezeNet)" in said(record)  # half of its MACs meet a zero


def test_facts_name_machine_commit_command_and_every_run() -> None:
    record = build_benchmark()
    later = record.header.sittings[0].model_copy(update={"commit": "fedcba", "machine": "NVIDIA H100"})
    header = record.header.model_copy(update={"sittings": (*record.header.sittings, later)})
    facts = dict(circumstances(record.model_copy(update={"header": header})))
    assert facts["machine"] == "2 cores, 24 GiB, Linux and NVIDIA H100"
    assert facts["commit"] == "0123456789ab and fedcba"
    assert facts["command"] == "snnsearch bench spaces/benchmark.yaml --device cpu"  # the same both times
    assert "12 trainings, 12 complete" in summary(record)
    assert "3 seeds (0, 1, 2)" in summary(record)


def test_nothing_published_gives_no_comparison() -> None:
    text = said(build_benchmark(points=()))
    assert "published" not in text
    assert "CNN twins" in text


# -- page and files ----------------------------------------------------------------------------------------------------


def hostile() -> BenchmarkRecord:
    """Markup in every text that a file or an exception can put there."""
    record = build_benchmark()
    cells = tuple(c.model_copy(update={"network": HOSTILE, "data": HOSTILE}) for c in record.header.cells[:2])
    point = Published(data=HOSTILE, network=HOSTILE, kind="snn", accuracy=0.5, source=HOSTILE, note=HOSTILE)
    sitting = record.header.sittings[0].model_copy(
        update={"command": HOSTILE, "machine": HOSTILE, "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    )
    header = record.header.model_copy(
        update={
            "name": HOSTILE, "cells": cells, "networks": (HOSTILE,), "published": (point,), "sittings": (sitting,),
            "benchmark_yaml": HOSTILE, "setups": (setup(HOSTILE, training=HOSTILE),),
        }
    )  # fmt: skip
    failed = TrialRecord(number=1, status="failed", name=HOSTILE, reason=HOSTILE, traceback=HOSTILE)
    return BenchmarkRecord(header=header, trials=(record.trials[0], failed))


def test_page_runs_one_script_and_requests_nothing() -> None:
    text = page(build_benchmark(tuple(NETWORKS)))
    parsed = Page(text)
    assert not {"img", "iframe", "object", "embed"} & {tag for tag, _ in parsed.elements}
    (script,) = parsed.raw["script"]
    assert asset("scripts/times.js") in script
    assert [link["href"] for link in parsed.of("link")] == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)
    (policy,) = [m["content"] for m in parsed.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_markup_stays_text_in_page_and_markdown() -> None:
    parsed = Page(page(hostile()))
    assert "img" not in {tag for tag, _ in parsed.elements}
    assert len(parsed.of("script")) == 1  # the page's own
    assert HOSTILE in parsed.text
    assert all(not name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    outside = re.sub(r"^```.*?^```", "", markdown(hostile()), flags=re.DOTALL | re.MULTILINE)
    assert "<script>" not in outside


def test_every_network_is_drawn_for_every_energy_model_and_published_ones_for_theirs() -> None:
    text = page(build_benchmark(seeds=(0,)))
    drawings = re.findall(r"<svg viewBox.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 3  # prices
    assert [drawing.count("<circle") for drawing in drawings] == [4, 4, 4]  # two networks, two kinds
    assert [drawing.count("<path") for drawing in drawings] == [0, 4, 0]
    assert "nan" not in "".join(drawings)


def pictured(record: BenchmarkRecord) -> ElementTree.Element:
    return ElementTree.fromstring(picture(record))


def test_picture_shows_our_networks_and_the_references_and_explains_both() -> None:
    record = build_benchmark(seeds=(0, 1))
    point = ReferencePoint(label="SNN-P (paper)", accuracy=0.81, energy_mj=0.03, params=600_000, source="arXiv:1, ref")
    root = pictured(record.model_copy(update={"header": record.header.model_copy(update={"references": (point,)})}))
    text = " ".join(root.itertext())
    snns = [group for group in groups(record) if group.kind == "snn"]
    assert len(root.findall(".//{*}circle")) == len(snns)
    for group in snns:
        assert f"{group.network}, SNN, ours: {ratio(group.mean(accuracy))}" in text
        assert f"{number(group.mean(energy(record.header.price)))} mJ" in text
    assert "SNN-P (paper), SNN, published: 0.810, 0.0300 mJ" in text or "0.03 mJ" in text
    assert "n = 2, bars from lowest to highest" in text
    assert "Linux" not in text
    assert f"{record.header.sittings[-1].hardware};" in text
    assert "arXiv:1" in text


@pytest.mark.parametrize("left_out", [range(0), range(99)])
def test_picture_of_every_stage_is_a_whole_file_that_loads_nothing(left_out: range) -> None:
    record = build_benchmark(seeds=(0,))
    svg = picture(without(record, *left_out))
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_name_of_the_most_accurate_network_is_placed_first() -> None:
    record = build_benchmark(["SqueezeNet"], points=())
    near = [("one-of-three", 0.895, 0.0259), ("the-best-of-three", 0.90, 0.0275), ("another-of-three", 0.895, 0.0293)]
    points = tuple(ReferencePoint(label=label, accuracy=acc, energy_mj=mj, params=1) for label, acc, mj in near)
    root = pictured(record.model_copy(update={"header": record.header.model_copy(update={"references": points})}))
    named = [element.text for element in root.iter() if element.get("class") == "ref-name"]
    assert named[0] == "the-best-of-three"


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3])
def test_axes_of_figures_that_lie_close_together_have_ticks(spread: float) -> None:
    figures = [(0.8 * (1 + spread * at), 0.0311 * (1 + spread * at)) for at in range(3)]
    dots = [Dot(f"n{at}", "snn", False, mj, acc, acc, acc) for at, (acc, mj) in enumerate(figures)]
    root = ElementTree.fromstring(f"<svg>{drawing(dots, lambda dots, positions: [])}</svg>")
    lines = [line for line in root.iter() if line.get("class") == "gridline"]
    across = {line.get("y1") for line in lines if line.get("y1") == line.get("y2")}
    upright = {line.get("x1") for line in lines if line.get("x1") == line.get("x2")}
    assert len(across) >= 2
    assert len(upright) >= 2
    labels = [text.text for text in root.iter() if text.tag.endswith("text") and text.get("class") is None]
    assert len(labels) == len(set(labels))


def test_markup_stays_text_in_the_picture() -> None:
    root = pictured(hostile())
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "g", "line", "circle", "path",
    }  # fmt: skip


def test_reason_and_traceback_of_a_failed_training_are_reported() -> None:
    text = Page(page(without(build_benchmark(), 3, status="failed"))).text
    assert "OSError: disk full" in text
    assert "Traceback ..." in text


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.parametrize("left_out", [0, 1, 3, 4])
def test_every_stage_of_a_benchmark_gives_a_report(seeds: tuple[int, ...], left_out: int) -> None:
    record = build_benchmark(seeds=seeds)
    total = len(record.trials)
    partial = without(record, *range(min(left_out, total) if left_out < 4 else 0, total) if left_out else ())
    parsed = Page(page(partial))
    done = sum(trial.status == "complete" for trial in partial.trials)
    assert ("No training is finished yet" in parsed.text) == (done == 0)
    for block in markdown(partial).split("\n\n"):
        if block.startswith("| "):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_page_can_be_used_without_a_mouse_and_in_the_dark() -> None:
    text = page(build_benchmark())
    assert "prefers-color-scheme: dark" in text
    assert all(
        node.get("aria-label") for tag, node in Page(text).elements if node.get("tabindex") == "0" and tag != "pre"
    )


def test_files_are_replaced_and_equal_for_equal_records(tmp_path: Path) -> None:
    first, second = (write_benchmark(build_benchmark(), tmp_path / name) for name in "ab")
    assert [path.name for path in first] == list(FILES)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
