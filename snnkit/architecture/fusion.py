"""What of a plan is run in one go: neurons with the BatchNorm before them and the concatenation and pooling behind; all
slices of one source."""

from dataclasses import dataclass

from snnkit.architecture.plan import Concat, Conv, Neurons, Op, Plan, Pool, Shuffle, Slice, Sum, sources


@dataclass(frozen=True)
class FusedLIF:
    """Convolutions with neurons, whose spikes lie side by side and are pooled where ``pool`` says so; or convolutions
    whose currents, side by side and pooled, drive ``neurons``."""

    name: str  # of the plan's operation that gives the same
    convs: tuple[Conv, ...]
    pool: Pool | None = None
    neurons: Neurons | None = None

    @property
    def window(self) -> int:
        return self.pool.kernel if self.pool else 1


@dataclass(frozen=True)
class Split:
    """Slices that take all channels of their source in turn: together their gradient is one concatenation, while that
    of each by itself would be filled up with zeros."""

    slices: tuple[Slice, ...]

    @property
    def name(self) -> str:
        return self.slices[0].name


Step = Op | FusedLIF | Split


def schedule(plan: Plan, *, spiking: bool) -> tuple[Step, ...]:
    """The plan's operations in order, with Splits and, if ``spiking``, Firings in place of what they do together."""
    return _split(plan, _firing(plan) if spiking else plan.ops)


def _firing(plan: Plan) -> tuple[Step, ...]:
    readers: dict[str, int] = {}
    for op in plan.ops:
        for name in sources(op):
            readers[name] = readers.get(name, 0) + 1
    done: dict[str, Step] = {}
    for op in plan.ops:
        step = _joined(op, done, readers)
        if isinstance(step, FusedLIF):
            for name in _joins(step, op, done):
                del done[name]
        done[op.name] = step
    return tuple(done.values())


def reads(step: Step) -> tuple[str, ...]:
    """The names of what a step reads."""
    match step:
        case FusedLIF():
            return tuple(conv.source for conv in step.convs)
        case Split():
            return (step.slices[0].source,)
        case _:
            return sources(step)


def last_readers(steps: tuple[Step, ...]) -> tuple[tuple[str, ...], ...]:
    """For each step the values that none after it reads."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        last |= dict.fromkeys(reads(step), index)
    return tuple(tuple(name for name, at in last.items() if at == index) for index in range(len(steps)))


def _joined(op: Op, done: dict[str, Step], readers: dict[str, int]) -> Step:
    """``op``, or a FusedLIF that does it too, where nothing else reads what lies between."""
    if isinstance(op, Conv):
        return FusedLIF(op.name, (op,)) if op.fires else op
    if isinstance(op, Concat | Pool):
        before = [done.get(name) for name in sources(op)]
        firings = [step for step in before if isinstance(step, FusedLIF) and not step.pool and readers[step.name] == 1]
        if len(firings) == len(before) and (isinstance(op, Concat) or _tiles(op)):
            convs = tuple(conv for firing in firings for conv in firing.convs)
            return FusedLIF(op.name, convs, op if isinstance(op, Pool) else None)
    if isinstance(op, Neurons):
        pool = done.get(op.source)
        driving = _driving(pool.source, done, readers) if isinstance(pool, Pool) and readers[pool.name] == 1 else ()
        if isinstance(pool, Pool) and driving and _tiles(pool):
            return FusedLIF(op.name, driving, pool, op)
    return op


def _driving(name: str, done: dict[str, Step], readers: dict[str, int]) -> tuple[Conv, ...]:
    """The convolutions whose currents are the value ``name``, if that is all it is and nothing else reads them."""
    value = done.get(name)
    parts = [done.get(part) for part in value.sources] if isinstance(value, Concat) else [value]
    convs = tuple(part for part in parts if isinstance(part, Conv) and readers[part.name] == 1)
    return convs if len(convs) == len(parts) and readers[name] == 1 else ()


def _joins(step: FusedLIF, op: Op, done: dict[str, Step]) -> tuple[str, ...]:
    """The steps before ``op`` that ``step``, which stands for it, does too."""
    if step.neurons is None or step.pool is None:
        return () if isinstance(op, Conv) else sources(op)
    value = done[step.pool.source]
    return (step.pool.name, value.name, *(value.sources if isinstance(value, Concat) else ()))


def _split(plan: Plan, steps: tuple[Step, ...]) -> tuple[Step, ...]:
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


def _tiles(pool: Pool) -> bool:
    """Whether its windows lie side by side and cover the input exactly."""
    height, width = pool.in_shape[1:]
    whole = pool.out_shape[1] * pool.kernel == height and pool.out_shape[2] * pool.kernel == width
    return pool.kind == "max" and pool.kernel == pool.stride and not pool.padding and whole
