"""Inverted residuals: the blocks of MobileNetV2, MnasNet and MixNet, as spiking layers.

Sources: Sandler et al. 2018, arXiv:1801.04381; mixed kernels by Tan and Le 2019, arXiv:1907.09595; squeeze-excite by Hu
et al. 2018, arXiv:1709.01507. The spiking block differs from the CNN's in three ways:

- Every convolution reads spikes. LIF neurons replace ReLU, ReLU6 and swish. They also follow the projection, which has
  no activation in the CNN; without them the next expansion would read real numbers, and multiply.
- A residual sum adds either currents or spikes (``residual``). ``currents`` adds the currents of projections, and
  neurons fire on the sum (MS-ResNet; Hu et al. 2021, arXiv:2112.08954). The next block reads binary spikes, and the sum
  costs one addition per element and time step. ``spikes`` puts neurons after every projection and adds their spikes
  (SEW-ResNet; Fang et al. 2021, arXiv:2102.04159). The sum is free, but a value of 2 costs two accumulates per reader.
- Squeeze-excite takes the mean over space at every step as a real number, so its first layer multiplies. It ends in
  neurons or in a sigmoid (``gate``). With ``spikes``, a channel passes its spikes or blocks them, and the projection
  still accumulates. With ``real``, the CNN's sigmoid scales the channel, and the projection multiplies: one MAC per
  spike and weight.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Activation, ModuleView, PlanError
from snnkit.families.design import kept_view, removed_view

Residual = Literal["spikes", "currents"]
Gate = Literal["spikes", "real"]
RESIDUAL = (
    "What a residual sum adds. currents: the currents of two projections; neurons fire on the sum, at the cost of one "
    "addition per element and time step (MS-ResNet, arXiv:2112.08954). spikes: the spikes of two layers; the sum is "
    "free, but a value of 2 costs two accumulates per reader (SEW-ResNet, arXiv:2102.04159)."
)
GATE = (
    "Output of squeeze-excite. spikes: neurons that pass or block a channel, so that the projection accumulates. real: "
    "the CNN's sigmoid, so that the projection multiplies, one MAC per spike and weight."
)


@dataclass(frozen=True)
class MBConv:
    """One inverted residual: expand, depthwise, squeeze-excite, project. An expansion of 1 leaves out the first."""

    name: str
    width: int
    stride: int
    kernels: Mapping[int, int]  # side of a depthwise kernel -> its share of the channels
    expansion: int
    squeeze_excite: float = 0.0  # channels of its bottleneck per channel that enters the block; 0: none
    expand_groups: int = 1
    project_groups: int = 1
    activation: Activation = field(default="relu", compare=False)  # of the CNN twin; it does not change a size

    def adds(self, channels: int) -> bool:
        """Whether the block has a residual sum if ``channels`` enter it."""
        return self.stride == 1 and self.width == channels


def inverted_residuals(
    build: PlanBuilder, source: str, blocks: Sequence[MBConv], *, residual: Residual, gate: Gate
) -> str:
    """Append ``blocks`` after ``source`` and return the name of their output, which is spikes."""
    followers = [*(after for _, after in pairwise(blocks)), None]
    at = source
    for block, after in zip(blocks, followers, strict=False):
        channels = build.shape(at)[0]
        shared = block.adds(channels) or (after is not None and after.adds(block.width))
        spikes = _spikes(build, block.name, at)
        current = residual == "currents" and shared  # otherwise neurons follow the projection directly
        out = _block(build, spikes, block, channels, gate=gate, activation=None if current else "identity")
        at = build.sum(block.name, (at, out)) if block.adds(channels) else out
    return _spikes(build, "last", at)


def _spikes(build: PlanBuilder, name: str, source: str) -> str:
    """Append neurons if ``source`` is a current, because convolutions read spikes."""
    return build.neurons(f"{name}.neurons", source) if build.signals[source].kind == "currents" else source


def _block(
    build: PlanBuilder, source: str, block: MBConv, channels: int, *, gate: Gate, activation: Activation | None
) -> str:
    name, at = block.name, source
    if block.expansion > 1:
        at = build.conv(
            f"{name}.expand", at, channels * block.expansion, groups=block.expand_groups, bias=False,
            activation=block.activation,
        )  # fmt: skip
    at = _depthwise(build, at, block)
    if block.squeeze_excite:
        at = _squeeze_excite(build, at, block, max(1, round(channels * block.squeeze_excite)), gate)
    return build.conv(
        f"{name}.project", at, block.width, groups=block.project_groups, bias=False, activation=activation
    )


def _depthwise(build: PlanBuilder, source: str, block: MBConv) -> str:
    name, channels = f"{block.name}.depthwise", build.shape(source)[0]
    parts = dict(_shares(name, block.kernels, channels))
    if len(parts) == 1:
        return depthwise(build, name, source, next(iter(parts)), stride=block.stride, activation=block.activation)
    ends, start = [], 0
    for kernel, width in parts.items():
        part = build.slice(f"{name}.split{kernel}", source, start, width)
        at = f"{name}.k{kernel}"
        ends.append(depthwise(build, at, part, kernel, stride=block.stride, activation=block.activation))
        start += width
    return build.concat(name, tuple(ends))


def depthwise(
    build: PlanBuilder, name: str, source: str, kernel: int, *, stride: int, activation: Activation | None
) -> str:
    """Append a depthwise convolution, padded so that a stride of 1 keeps the size."""
    channels = build.shape(source)[0]
    return build.conv(
        name, source, channels, kernel=kernel, stride=stride, padding=kernel // 2, groups=channels, bias=False,
        activation=activation,
    )  # fmt: skip


def _shares(name: str, kernels: Mapping[int, int], channels: int) -> Iterator[tuple[int, int]]:
    """Yield (kernel, channels) for each kernel with a share. The first one gets the channels left by rounding."""
    used = {kernel: share for kernel, share in kernels.items() if share}
    total = sum(used.values())
    if not used:
        raise PlanError(f"{name}: no kernel has a share of the channels; give one of the mix's kernels 1 or more")
    if min(used.values()) * channels < total:
        raise PlanError(
            f"{name}: {channels} channels are too few for {len(used)} kernels with shares {list(used.values())}; use "
            "fewer kernels, a larger expansion or wider stages"
        )
    widths = {kernel: channels * share // total for kernel, share in used.items()}
    left = channels - sum(widths.values())
    for at, (kernel, width) in enumerate(widths.items()):
        yield kernel, width + (left if at == 0 else 0)


def _squeeze_excite(build: PlanBuilder, source: str, block: MBConv, squeezed: int, gate: Gate) -> str:
    name, channels = block.name, build.shape(source)[0]
    at = build.mean(f"{name}.squeeze", source)
    at = build.conv(f"{name}.reduce", at, squeezed, batchnorm=False, activation=block.activation, means=True)
    at = build.conv(
        f"{name}.excite", at, channels, batchnorm=False, activation="sigmoid", spiking=gate == "spikes"
    )  # fmt: skip
    return build.gate(f"{name}.gate", source, at)


def block_views(blocks: Iterable[MBConv], usual: Iterable[MBConv]) -> Iterator[ModuleView]:
    """Yield one cell per block of the geometry; blocks missing from ``blocks`` are shown as removed."""
    kept = {block.name: block for block in blocks}
    for default_block in usual:
        block = kept.get(default_block.name)
        if block is None:
            yield removed_view(default_block.name)
        else:
            yield kept_view(block.name, _detail(block), default=block == default_block)


def _detail(block: MBConv) -> str:
    kernels = ", ".join(f"{kernel}x{kernel}" for kernel in block.kernels)
    excite = f", se {block.squeeze_excite:g}" if block.squeeze_excite else ""
    return f"{block.width}, {kernels}, x{block.expansion}{excite}"
