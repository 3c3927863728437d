"""A small network as a list of blocks: the way to a ``traced`` network without Python."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from snnkit.architecture.graph import (
    INPUT,
    Activated,
    Added,
    Convolution,
    Depthwise,
    Dropped,
    Gated,
    Graph,
    Joined,
    Mean,
    Node,
    Pooling,
)
from snnkit.architecture.plan import Activation
from snnkit.base.config import Config

Width = Annotated[int, Field(ge=1, le=4096)]
_STRIDE = "Stride of the first of the blocks, in pixels."


class Block(Config):
    """The keys that all blocks share."""

    repeat: int = Field(1, ge=1, le=32, description="How often the block is repeated. Only the first one has a stride.")


class ConvBlock(Block):
    """A convolution, BatchNorm and ReLU."""

    kind: Literal["conv"] = Field(description="A convolution, BatchNorm and ReLU.")
    width: Width = Field(description="Channels that it puts out.")
    kernel: Literal[1, 3, 5, 7] = Field(3, description="Side of the kernel, in pixels.")
    stride: Literal[1, 2] = Field(1, description=_STRIDE)


class Fire(Block):
    """A Fire module of SqueezeNet."""

    kind: Literal["fire"] = Field(description="A Fire module (SqueezeNet; arXiv:1602.07360).")
    squeeze: Width = Field(description="Channels of the squeeze.")
    expand: Width = Field(description="Channels of each of the two expansions, 1x1 and 3x3.")


class Residual(Block):
    """A basic block of ResNet. A 1x1 convolution fits the shortcut if the shape changes."""

    kind: Literal["residual"] = Field(description="A basic block (ResNet; arXiv:1512.03385).")
    width: Width = Field(description="Channels that it puts out.")
    stride: Literal[1, 2] = Field(1, description=_STRIDE)


class InvertedResidual(Block):
    """An inverted residual of MobileNetV2, with squeeze-excite if wanted."""

    kind: Literal["inverted_residual"] = Field(description="An inverted residual (MobileNetV2; arXiv:1801.04381).")
    width: Width = Field(description="Channels that it puts out.")
    kernel: Literal[3, 5, 7] = Field(3, description="Side of the depthwise kernel, in pixels.")
    stride: Literal[1, 2] = Field(1, description=_STRIDE)
    expansion: int = Field(4, ge=1, le=16, description="Channels inside the block per channel that enters it.")
    squeeze_excite: bool = Field(False, description="Whether it has a squeeze-excite (arXiv:1709.01507).")


class PoolBlock(Block):
    """Pooling."""

    kind: Literal["pool"] = Field(description="Pooling.")
    of: Literal["max", "avg"] = Field("max", description="Maximum or average.")
    kernel: Literal[2, 3] = Field(2, description="Side of a window, in pixels. A kernel of 3 has a padding of 1.")


class DropoutBlock(Block):
    """Dropout."""

    kind: Literal["dropout"] = Field(description="Dropout.")
    rate: float = Field(0.5, ge=0, lt=1, description="Share of the values that it sets to 0 in training, 0..1.")


AnyBlock = Annotated[
    ConvBlock | Fire | Residual | InvertedResidual | PoolBlock | DropoutBlock, Field(discriminator="kind")
]


def block_lines(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return the text form of the graph of ``blocks``, followed by a mean over space and a classifier."""
    nodes: list[Node] = []
    at, channels = INPUT, 0
    for number, block in enumerate(blocks, start=1):
        for repeat in range(1, block.repeat + 1):
            name = f"block{number}" if block.repeat == 1 else f"block{number}.{repeat}"
            added = tuple(_layers(block, name, at, channels, first=repeat == 1))
            nodes += added
            at, channels = added[-1].name, _width(block, channels)
    mean = Mean("mean", (at,))
    return Graph((*nodes, mean, Convolution("classifier", ("mean",), channels=1, bias=True))).lines


def _width(block: Block, channels: int) -> int:
    match block:
        case Fire():
            return 2 * block.expand
        case ConvBlock() | Residual() | InvertedResidual():
            return block.width
        case _:
            return channels


def _layers(block: Block, name: str, at: str, channels: int, *, first: bool) -> Iterator[Node]:
    """Yield the layers of one block that reads ``at``, with so many channels; the last one is its output."""
    match block:
        case ConvBlock():
            yield _conv(name, at, block.width, block.kernel, block.stride if first else 1)
        case Fire():
            yield _conv(f"{name}.squeeze", at, block.squeeze, 1)
            yield _conv(f"{name}.expand1x1", f"{name}.squeeze", block.expand, 1)
            yield _conv(f"{name}.expand3x3", f"{name}.squeeze", block.expand, 3)
            yield Joined(f"{name}.concat", (f"{name}.expand1x1", f"{name}.expand3x3"))
        case Residual():
            yield from _residual(block, name, at, channels, block.stride if first else 1)
        case InvertedResidual():
            yield from _inverted_residual(block, name, at, channels, block.stride if first else 1)
        case PoolBlock():
            yield Pooling(name, (at,), kind=block.of, kernel=block.kernel, stride=2, padding=block.kernel // 3)
        case DropoutBlock():
            yield Dropped(name, (at,), rate=block.rate)


def _residual(block: Residual, name: str, at: str, channels: int, stride: int) -> Iterator[Node]:
    yield _conv(f"{name}.conv1", at, block.width, 3, stride)
    yield _conv(f"{name}.conv2", f"{name}.conv1", block.width, 3, activation=None)
    shortcut = at
    if stride > 1 or channels != block.width:
        shortcut = f"{name}.shortcut"
        yield _conv(shortcut, at, block.width, 1, stride, activation=None)
    yield Added(f"{name}.sum", (f"{name}.conv2", shortcut))
    yield Activated(f"{name}.relu", (f"{name}.sum",))


def _inverted_residual(block: InvertedResidual, name: str, at: str, channels: int, stride: int) -> Iterator[Node]:
    inside, entered = block.expansion * channels, at
    if block.expansion > 1:
        at = f"{name}.expand"
        yield _conv(at, entered, inside, 1, activation="relu6")
    yield Depthwise(
        f"{name}.depthwise", (at,), kernel=block.kernel, stride=stride, padding=block.kernel // 2, batchnorm=True,
        activation="relu6",
    )  # fmt: skip
    at = f"{name}.depthwise"
    if block.squeeze_excite:
        yield Mean(f"{name}.squeeze", (at,))
        reduced = max(1, channels // 4)
        yield Convolution(f"{name}.reduce", (f"{name}.squeeze",), channels=reduced, bias=True, activation="relu")
        yield Convolution(f"{name}.excite", (f"{name}.reduce",), channels=inside, bias=True, activation="sigmoid")
        yield Gated(f"{name}.gate", (at, f"{name}.excite"))
        at = f"{name}.gate"
    yield _conv(f"{name}.project", at, block.width, 1, activation=None)
    if stride == 1 and channels == block.width:
        yield Added(f"{name}.sum", (f"{name}.project", entered))


def _conv(
    name: str, at: str, channels: int, kernel: int, stride: int = 1, activation: Activation | None = "relu"
) -> Convolution:
    return Convolution(
        name, (at,), channels=channels, kernel=kernel, stride=stride, padding=kernel // 2, batchnorm=True,
        activation=activation,
    )  # fmt: skip
