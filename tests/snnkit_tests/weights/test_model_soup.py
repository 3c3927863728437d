"""The mean of trained networks."""

import pytest
import torch

from snnkit.weights.model_soup import average_weights


def test_mean_of_three_by_hand() -> None:
    states = [{"w": torch.tensor([each, 2 * each]), "batches": torch.tensor(int(each))} for each in (1.0, 2.0, 6.0)]
    averaged = average_weights(states)
    assert averaged["w"].tolist() == [3.0, 6.0]
    assert averaged["w"].dtype == torch.float32
    assert averaged["batches"].item() == 1  # the first one's
    assert averaged["batches"] is not states[0]["batches"]


@pytest.mark.parametrize("other", [{}, {"w": torch.zeros(3)}], ids=["a tensor less", "another shape"])
def test_networks_that_differ_have_no_mean(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises((KeyError, RuntimeError)):
        average_weights([{"w": torch.zeros(2)}, other])
