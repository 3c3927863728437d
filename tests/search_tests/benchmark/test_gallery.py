"""Trained networks in the gallery are what their records say, as far as that can be seen without their data sets."""

from pathlib import Path

import pytest

from reports.records.study import Metrics
from reports.storage.benchmarks import HEADER
from search.benchmark.trained import network_of, trained
from search.space.candidate import Candidate
from snnkit.export import pytorch

GALLERY = Path(__file__).parents[3] / "reports" / "gallery"
RUNS = sorted(path.parent.name for path in GALLERY.glob(f"*/{HEADER}"))


def test_there_are_trained_networks() -> None:
    assert RUNS


@pytest.mark.parametrize("name", RUNS)
def test_weights_build_the_networks_on_record(name: str) -> None:
    for found in trained(name, (), GALLERY, None):
        network = network_of(found)
        assert found.record.metrics is not None
        assert sum(tensor.numel() for tensor in network.parameters()) == found.record.metrics.params


@pytest.mark.parametrize("name", RUNS)
def test_weights_carry_the_figures_and_the_commit(name: str) -> None:
    for found in trained(name, (), GALLERY, None):
        _, metadata = pytorch.read(found.weights)
        assert Metrics.model_validate_json(metadata["metrics"]) == found.record.metrics
        assert Candidate.model_validate_json(metadata["candidate"]) == found.candidate
        assert metadata["commit"]
        assert "dirty" not in metadata["commit"]
