"""Fuse operations of a plan that run faster together.

LIF neurons are fused with the BatchNorm before them and the concatenation and pooling after them, and all slices of one
source are fused into one split.
"""

from dataclasses import dataclass

from snnkit.architecture.plan import Concat, Conv, Neurons, Op, Plan, Pool, Shuffle, Slice, Sum, sources


@dataclass(frozen=True)
class FusedLIF:
    """Convolutions with LIF neurons, whose spikes are concatenated and pooled.

    With ``neurons``, their currents are concatenated and pooled instead, and drive these neurons.
    """

    name: str  # of the last operation that it replaces, which has the same output
    convs: tuple[Conv, ...]
    pool: Pool | None = None
    neurons: Neurons | None = None

    @property
    def window(self) -> int:
        return self.pool.kernel if self.pool else 1


@dataclass(frozen=True)
class Split:
    """Slices that together cover all channels of their source, in order.

    The gradient of the split is one concatenation; each slice alone would pad its gradient with zeros.
    """

    slices: tuple[Slice, ...]

    @property
    def name(self) -> str:
        return self.slices[0].name


Step = Op | FusedLIF | Split


def fuse(plan: Plan, *, spiking: bool) -> tuple[Step, ...]:
    """Return the plan's operations in order, fused into Splits and, if ``spiking``, into FusedLIFs."""
    return _fuse_slices(plan, _fuse_lif(plan) if spiking else plan.ops)


def _fuse_lif(plan: Plan) -> tuple[Step, ...]:
    readers: dict[str, int] = {}
    for op in plan.ops:
        for name in sources(op):
            readers[name] = readers.get(name, 0) + 1
    done: dict[str, Step] = {}
    for op in plan.ops:
        step = _fused(op, done, readers)
        if isinstance(step, FusedLIF):
            for name in _absorbed(step, op, done):
                del done[name]
        done[op.name] = step
    return tuple(done.values())


def step_sources(step: Step) -> tuple[str, ...]:
    """The names of the values that a step reads."""
    match step:
        case FusedLIF():
            return tuple(conv.source for conv in step.convs)
        case Split():
            return (step.slices[0].source,)
        case _:
            return sources(step)


def last_uses(steps: tuple[Step, ...]) -> tuple[tuple[str, ...], ...]:
    """Return, for each step, the values that no later step reads."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        last |= dict.fromkeys(step_sources(step), index)
    return tuple(tuple(name for name, at in last.items() if at == index) for index in range(len(steps)))


def _fused(op: Op, done: dict[str, Step], readers: dict[str, int]) -> Step:
    """Return ``op``, or a FusedLIF that includes it, if nothing else reads the values in between."""
    if isinstance(op, Conv):
        return FusedLIF(op.name, (op,)) if op.emits_spikes else op
    if isinstance(op, Concat | Pool):
        before = [done.get(name) for name in sources(op)]
        fusible = [step for step in before if isinstance(step, FusedLIF) and not step.pool and readers[step.name] == 1]
        if len(fusible) == len(before) and (isinstance(op, Concat) or _windows_tile_input(op)):
            convs = tuple(conv for step in fusible for conv in step.convs)
            return FusedLIF(op.name, convs, op if isinstance(op, Pool) else None)
    if isinstance(op, Neurons):
        pool = done.get(op.source)
        pooled = isinstance(pool, Pool) and readers[pool.name] == 1
        convs = _convs_of_current(pool.source, done, readers) if isinstance(pool, Pool) and pooled else ()
        if isinstance(pool, Pool) and convs and _windows_tile_input(pool):
            return FusedLIF(op.name, convs, pool, op)
    return op


def _convs_of_current(name: str, done: dict[str, Step], readers: dict[str, int]) -> tuple[Conv, ...]:
    """The convolutions whose currents make up the value ``name``; empty if it has other parts or other readers."""
    value = done.get(name)
    parts = [done.get(part) for part in value.sources] if isinstance(value, Concat) else [value]
    convs = tuple(part for part in parts if isinstance(part, Conv) and readers[part.name] == 1)
    return convs if len(convs) == len(parts) and readers[name] == 1 else ()


def _absorbed(step: FusedLIF, op: Op, done: dict[str, Step]) -> tuple[str, ...]:
    """The names of the earlier steps that ``step``, which replaces ``op``, includes."""
    if step.neurons is None or step.pool is None:
        return () if isinstance(op, Conv) else sources(op)
    value = done[step.pool.source]
    return (step.pool.name, value.name, *(value.sources if isinstance(value, Concat) else ()))


def _fuse_slices(plan: Plan, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    slices: dict[str, list[Slice]] = {}
    for op in plan.ops:
        if isinstance(op, Slice):
            slices.setdefault(op.source, []).append(op)
    channels = {op.name: op.out_shape[0] for op in plan.ops if isinstance(op, Conv | Concat | Pool | Shuffle | Sum)}
    splits = {
        source: Split(tuple(parts))
        for source, parts in slices.items()
        if [0, *(part.stop for part in parts)] == [*(part.start for part in parts), channels.get(source)]
    }
    done: list[Step] = []
    for step in steps:
        whole = splits.get(step.source) if isinstance(step, Slice) else None
        if whole is None or step is whole.slices[0]:
            done.append(whole or step)
    return tuple(done)


def _windows_tile_input(pool: Pool) -> bool:
    """Whether the windows of a max pooling cover the input exactly, without overlap."""
    height, width = pool.in_shape[1:]
    whole = pool.out_shape[1] * pool.kernel == height and pool.out_shape[2] * pool.kernel == width
    return pool.kind == "max" and pool.kernel == pool.stride and not pool.padding and whole
