"""What of a plan is run in one go: neurons with the BatchNorm before them and the concatenation and pooling behind."""

from dataclasses import dataclass

from snnkit.plan import Concat, Conv, Op, Plan, Pool, sources


@dataclass(frozen=True)
class Firing:
    """Convolutions with neurons, whose spikes lie side by side and are pooled where ``pool`` says so."""

    name: str  # of the plan's operation that gives the same
    convs: tuple[Conv, ...]
    pool: Pool | None = None

    @property
    def window(self) -> int:
        return self.pool.kernel if self.pool else 1


Step = Op | Firing


def schedule(plan: Plan, *, spiking: bool) -> tuple[Step, ...]:
    """The plan's operations in order, with Firings in place of what each of them does; those only if ``spiking``."""
    if not spiking:
        return plan.ops
    readers: dict[str, int] = {}
    for op in plan.ops:
        for name in sources(op):
            readers[name] = readers.get(name, 0) + 1
    done: dict[str, Step] = {}
    for op in plan.ops:
        step = _joined(op, done, readers)
        if isinstance(step, Firing):
            for name in sources(op) if not isinstance(op, Conv) else ():
                del done[name]
        done[op.name] = step
    return tuple(done.values())


def reads(step: Step) -> tuple[str, ...]:
    """The names of what a step reads."""
    return tuple(conv.source for conv in step.convs) if isinstance(step, Firing) else sources(step)


def last_readers(steps: tuple[Step, ...]) -> tuple[tuple[str, ...], ...]:
    """For each step the values that none after it reads."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        last |= dict.fromkeys(reads(step), index)
    return tuple(tuple(name for name, at in last.items() if at == index) for index in range(len(steps)))


def _joined(op: Op, done: dict[str, Step], readers: dict[str, int]) -> Step:
    """``op``, or a Firing that does it too, where nothing else reads what lies between."""
    if isinstance(op, Conv):
        return Firing(op.name, (op,)) if op.fires else op
    if isinstance(op, Concat | Pool):
        before = [done.get(name) for name in sources(op)]
        firings = [step for step in before if isinstance(step, Firing) and not step.pool and readers[step.name] == 1]
        if len(firings) == len(before) and (isinstance(op, Concat) or _tiles(op)):
            convs = tuple(conv for firing in firings for conv in firing.convs)
            return Firing(op.name, convs, op if isinstance(op, Pool) else None)
    return op


def _tiles(pool: Pool) -> bool:
    """Whether its windows lie side by side and cover the input exactly."""
    height, width = pool.in_shape[1:]
    whole = pool.out_shape[1] * pool.kernel == height and pool.out_shape[2] * pool.kernel == width
    return pool.kind == "max" and pool.kernel == pool.stride and not pool.padding and whole
