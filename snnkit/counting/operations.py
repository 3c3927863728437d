"""Operations of any torch model, as operations of a plan: windows of any shape, in one to three dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from snnkit.architecture.plan import Axis, Conv, Pool, Shape


@dataclass(frozen=True)
class AnyConv(Conv):
    """A convolution, a transposed convolution or a linear layer. A linear layer has no axes."""

    windows: tuple[Axis, ...] = ()
    runs_once: bool = False  # it sees a still image, and is counted once for all time steps

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.windows

    @property
    def taps(self) -> int:
        return prod(axis.kernel for axis in self.windows)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense evaluation, with taps in the padding or outside of the output."""
        positions = prod(axis.size if axis.transposed else axis.outputs for axis in self.windows)
        return positions * self.weights


@dataclass(frozen=True)
class AnyPool(Pool):
    """A pooling with windows of any shape."""

    windows: tuple[Axis, ...] = ()

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.windows

    @property
    def taps(self) -> int:
        return prod(axis.kernel for axis in self.windows)


def as_shape(sizes: Sequence[int]) -> Shape:
    """Return ``sizes``, from (C,) to (C, D, H, W), as the three sizes of a plan."""
    channels, *space = (*sizes, *[1] * (3 - len(sizes)))
    return channels, prod(space[:-1]), space[-1]
