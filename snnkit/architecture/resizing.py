"""The plan of the same network on larger or smaller images. Its weights fit both, because every network ends in a mean
over space."""

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import (
    Concat,
    Conv,
    Dropout,
    Gate,
    GlobalAverage,
    Neurons,
    Op,
    Plan,
    Pool,
    Shuffle,
    Slice,
    Sum,
)


def resized(plan: Plan, side: int) -> Plan:
    """Return ``plan`` for images of ``side`` x ``side`` pixels. Raises PlanError if they are too small for it."""
    if side == plan.in_shape[1]:
        return plan
    build = PlanBuilder((plan.in_shape[0], side, side))
    *body, scores = plan.ops
    assert isinstance(scores, GlobalAverage)
    for op in body:
        _append(build, op)
    return build.scores(scores.name, scores.source)


def _append(build: PlanBuilder, op: Op) -> None:
    """Append ``op`` with the shapes that follow from the operations before it."""
    match op:
        case Conv():
            build.conv(
                op.name, op.source, op.out_shape[0], kernel=op.kernel, stride=op.stride, padding=op.padding,
                groups=op.groups, bias=op.bias, batchnorm=op.batchnorm, activation=op.activation, spiking=op.spiking,
                means=op.reads == "means",
            )  # fmt: skip
        case Pool() if op.kind == "avg" and (op.kernel, op.kernel) == op.in_shape[1:]:
            build.mean(op.name, op.source)
        case Pool():
            build.pool(
                op.name, op.source, op.kind, kernel=op.kernel, stride=op.stride, padding=op.padding, ceil=op.ceil
            )
        case Slice():
            build.slice(op.name, op.source, op.start, op.out_shape[0])
        case Concat():
            build.concat(op.name, op.sources)
        case Shuffle():
            build.shuffle(op.name, op.source, op.groups)
        case Sum():
            build.sum(op.name, op.sources)
        case Neurons():
            build.neurons(op.name, op.source, op.activation)
        case Gate():
            build.gate(op.name, op.source, op.gate)
        case Dropout():
            build.dropout(op.name, op.source, op.rate)
        case GlobalAverage():
            raise AssertionError(f"{op.name} is not the last operation")
