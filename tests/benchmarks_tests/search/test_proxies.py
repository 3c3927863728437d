"""Zero-cost proxies match the definitions of their papers, and depend on weights and images as they should."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import pearsonr, rankdata
from torch import Tensor

from benchmarks.search.masks.proxies import (
    PROXIES,
    RIDGE,
    Score,
    Subject,
    distances,
    known,
    left_out_accuracy,
    log_determinant,
    naswot,
    partial_correlation,
    sahd,
    spike_kernel,
    spikes,
    store,
    stored,
    synflow,
    worth,
)
from benchmarks.search.masks.replay import Table
from benchmarks.search.masks.train import DATA, Row, plan
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import SqueezeNet

IMAGELESS = {"synflow"}


def images(count: int, seed: int) -> Tensor:
    return torch.randn(count, *DATA.shape, generator=torch.Generator().manual_seed(seed))


def subject(mask: str = "00100001", *, seed: int = 0, shown: Tensor | None = None) -> Subject:
    """Return a network, by default of two Fire modules, with 64 random images and unrelated labels."""
    shown = images(64, 1) if shown is None else shown
    return Subject(plan(mask), seed, shown, torch.arange(len(shown)) % 10)


def codes(rate: float, width: int, *, seed: int) -> Tensor:
    return (torch.rand(2, width, generator=torch.Generator().manual_seed(seed)) < rate).float()


@pytest.mark.parametrize("name", PROXIES)
def test_score_depends_on_weights_and_images_alone(name: str) -> None:
    proxy = PROXIES[name]
    first = proxy(subject())
    assert math.isfinite(first)
    assert proxy(subject()) == first
    assert proxy(subject(seed=1)) != first
    assert (proxy(subject(shown=images(64, 2))) != first) == (name not in IMAGELESS)


@pytest.mark.parametrize("proxy", [sahd, naswot])
def test_images_with_the_same_code_score_lowest(proxy) -> None:
    different = images(16, 1)
    alike = different.clone()
    alike[1] = alike[0]
    assert proxy(subject(shown=alike)) < proxy(subject(shown=different)) - 10


def test_two_equal_images_have_no_distance() -> None:
    code = codes(0.2, 400, seed=0)
    kernel = spike_kernel(torch.stack([code[0], code[0]]))
    assert kernel.diagonal().tolist() == [400, 400]
    assert log_determinant(kernel) == -math.inf
    assert log_determinant(spike_kernel(code)) > 0


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_independent_codes_are_half_their_width_apart_at_any_rate(rate: float) -> None:
    width = 100_000
    kernel = spike_kernel(codes(rate, width, seed=3))
    assert float(kernel[0, 1]) == pytest.approx(width / 2, rel=0.03)


def test_distances_are_hamming_distances() -> None:
    code = codes(0.3, 50, seed=1)
    assert distances(code).tolist() == [[0, (apart := int((code[0] != code[1]).sum()))], [apart, 0]]


def test_synflow_grows_with_width() -> None:
    def of_width(width: int) -> float:
        design = SqueezeNet.model_validate({"stem": {"width": width}})
        return synflow(replace(subject(), plan=FAMILIES["squeezenet"].plan(design, DATA.outputs, DATA.shape)))

    scores = [of_width(width) for width in (16, 32, 64)]
    assert scores == sorted(scores)
    assert scores[0] > 0


def test_synflow_counts_the_whole_flow_once_per_layer() -> None:
    given = subject("00000000")  # a stem and a classifier, one behind the other
    layers = [given.twin().layer(conv).conv for conv in given.plan.convs]
    assert len(layers) == 2
    flow = torch.ones(1, *given.plan.in_shape, dtype=torch.float64)
    for layer, conv in zip(layers, given.plan.convs, strict=True):
        flow = torch.nn.functional.conv2d(flow, layer.weight.double().abs(), None, conv.stride, conv.padding)
        flow = _pooled(flow, given, conv.name)
    assert synflow(given) == pytest.approx(math.log(2 * float(flow.detach().mean(dim=(2, 3)).sum())))


def _pooled(flow: Tensor, given: Subject, name: str) -> Tensor:
    for op in given.plan.ops:
        if getattr(op, "kind", None) == "max" and getattr(op, "source", None) == name:
            flow = torch.nn.functional.max_pool2d(flow, op.kernel, op.stride, op.padding, ceil_mode=op.ceil)
            name = op.name
    return flow


def test_spikes_of_every_layer_are_returned() -> None:
    given = subject()
    layers = spikes(given)
    assert [layer[0, 0].numel() for layer in layers] == [conv.outputs for conv in given.plan.convs if conv.emits_spikes]
    assert all(set(layer.unique().tolist()) == {0, 1} for layer in layers)


@pytest.mark.parametrize("width", [5, 50])
def test_left_out_accuracy_equals_refitting_without_each_row(width: int) -> None:
    labels = torch.arange(30) % 3
    features = torch.randn(30, width, generator=torch.Generator().manual_seed(0)).double()
    features[:, 0] += labels
    x, y = features / features.std(dim=0), torch.nn.functional.one_hot(labels).double()
    ridge = RIDGE * 29 * x.shape[1] / 30 * torch.eye(x.shape[1]).double()
    hits = 0
    for left_out in range(30):
        others = [row for row in range(30) if row != left_out]
        mean, centred = x[others].mean(dim=0), x[others] - x[others].mean(dim=0)
        weights = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (y[others] - y[others].mean(dim=0)))
        hits += int(((x[left_out] - mean) @ weights + y[others].mean(dim=0)).argmax() == labels[left_out])
    assert left_out_accuracy(features, labels) == pytest.approx(hits / 30)


def test_left_out_accuracy_of_unrelated_labels_is_chance() -> None:
    features = torch.randn(200, 400, generator=torch.Generator().manual_seed(0)).double()
    assert left_out_accuracy(features, torch.arange(200) % 10) < 0.2


def test_partial_correlation_equals_the_correlation_of_residuals() -> None:
    given, b, a = torch.randn(3, 40, generator=torch.Generator().manual_seed(2)).double()
    a, b = a + given, b - 2 * given
    ranks = [torch.tensor(rankdata(values)) for values in (a, b, given)]
    centred = [rank - rank.mean() for rank in ranks]
    rests = [rank - (rank @ centred[2]) / (centred[2] @ centred[2]) * centred[2] for rank in centred[:2]]
    expected = float(pearsonr(*rests).statistic)
    assert partial_correlation(a.tolist(), b.tolist(), given.tolist()) == pytest.approx(expected)
    assert partial_correlation(given.tolist(), b.tolist(), given.tolist()) is None


def test_worth_is_high_for_accuracy_itself_and_undefined_for_params_given_params() -> None:
    rows = {
        f"{number:08b}": Row(
            mask=f"{number:08b}", seed=0, epoch=4, accuracy=(number * 37 % 101) / 101, energy_mj=1.0,
            params=1000 + number, dense_macs=number, images=1, wall_s=1,
        )
        for number in range(40)
    }  # fmt: skip
    table = Table({mask: [row] for mask, row in rows.items()})
    told = worth({mask: row.accuracy**3 for mask, row in rows.items()}, table)
    assert (told.spearman, told.kendall, told.given_params) == pytest.approx((1, 1, 1))
    figures = {name: worth(values, table) for name, values in known(table)}
    assert figures["params"].given_params is None
    assert figures["modules kept (depth)"].given_modules is None


def test_scores_are_read_as_they_were_stored(tmp_path: Path) -> None:
    scores = [Score("00101011", 1, "sahd", -math.inf, 0.5), Score("00101011", 1, "snip", 0.1 + 0.2, 0.25)]
    for score in scores:
        store(tmp_path / "scores.csv", [score])
    assert stored(tmp_path / "scores.csv") == scores
    assert stored(tmp_path / "none.csv") == []
