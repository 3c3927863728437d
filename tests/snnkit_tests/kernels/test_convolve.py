"""Convolutions on a CPU stay within their memory, and compute what torch computes."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from snnkit.kernels import convolve

TRAIN = """
import torch
from torch import nn
from snnkit.kernels import convolve
for _ in range(200):  # until the allocator notices what was overwritten
    x = torch.ones(8, {channels}, 16, 16).contiguous(memory_format=torch.channels_last)
    conv = nn.Conv2d({channels}, 8, 1, stride=2, bias=False).to(memory_format=torch.channels_last)
    others = [torch.empty(size) for size in range(1, 200, 7)]
    convolve(conv, x).sum().backward()
"""


@pytest.mark.parametrize("channels", [2, 7])
def test_strided_convolution_stays_within_its_memory(channels: int) -> None:
    subprocess.run([sys.executable, "-c", TRAIN.format(channels=channels)], check=True)


@pytest.mark.parametrize(("stride", "side"), [(2, 16), (2, 7), (3, 8)])
@pytest.mark.parametrize("channels", [3, 7, 8])
def test_strided_convolution_equals_torchs(channels: int, stride: int, side: int) -> None:
    conv = nn.Conv2d(channels, 5, 1, stride=stride)
    x = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(convolve(conv, x), nn.functional.conv2d(x, conv.weight, conv.bias, stride))
