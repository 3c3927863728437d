"""Graphs: their text form, and what is wrong with a line."""

import pytest

from snnkit.architecture.cuts import find_cuts, why_kept
from snnkit.architecture.graph import GraphError, parse
from snnkit.architecture.lowering import lower
from snnkit.architecture.plan import Conv, Neurons, PlanError

STEM = "stem = conv(input, channels=8, kernel=3, padding=1, batchnorm=true, activation=relu)"
HEAD = ("mean = mean({})", "head = conv(mean, channels=10, bias=true)")


def graph(*lines: str, last: str) -> tuple[str, ...]:
    return (STEM, *lines, HEAD[0].format(last), HEAD[1])


def test_text_form_is_read_back() -> None:
    lines = graph(
        "a = depthwise(stem, kernel=3, padding=1, batchnorm=true, activation=hardswish)",
        "b = slice(a, start=0, channels=4)",
        "c = slice(a, start=4, channels=4)",
        "d = concat(b, c)",
        "e = shuffle(d, groups=4)",
        "f = sum(e, stem)",
        "g = activation(f, kind=gelu)",
        "h = pool(g, kind=avg, kernel=3, padding=1)",
        "i = dropout(h, rate=0.25)",
        last="i",
    )
    assert parse(lines).lines == lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "is no layer; write NAME = OPERATION"),
        ("x = twirl(stem)", "x: unknown operation twirl; allowed are conv, depthwise"),
        ("x = conv(nowhere, channels=4)", "x: reads nowhere, which no earlier line defines"),
        ("x = sum(stem)", "x: sum reads 2 values"),
        ("x = conv(stem, mean, channels=4)", "x: conv reads 1 value;"),
        ("x = conv(stem, channels=four)", "x: given channels=four; write a whole number"),
        ("x = conv(stem, channels=4, bias=yes)", "x: given bias=yes; write true or false"),
        ("x = conv(stem, channels=4, activation=tanh)", "x: given activation=tanh; allowed are relu, relu6"),
        ("x = conv(stem, channels=4, width=3)", "x: conv has no width; allowed are activation, "),
        ("x = conv(stem)", "x: given channels=0; write 1 or more"),
        ("x = dropout(stem, rate=1)", "x: given rate=1.0; write a number from 0 to below 1"),
        ("x = pool(stem, kind=max, padding=1, ceil=true)", "x: given ceil with padding"),
        ("stem = mean(stem)", "stem: two layers have this name"),
        ("x = pool(input, kind=max)", "x: a pool reads the image; begin the network with a convolution"),
        ("x = conv(stem, channels=4)", "x: nothing reads it; remove the line"),
    ],
)
def test_wrong_line_is_refused_by_name(line: str, reason: str) -> None:
    with pytest.raises(GraphError, match=reason):
        parse(graph(line, last="stem"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "has no layer"),
        ((STEM,) * 1001, "has 1,001 layers; use a network of at most 1,000"),
        ((STEM, "end = sum(stem, stem)"), "end: a sum gives the class scores"),
        ((STEM,), "stem: is the only layer"),
        (graph("a.b = mean(stem)", "a_b = mean(a.b)", last="a_b"), "equals another one if dots become underscores"),
    ],
)
def test_wrong_graph_is_refused(lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(GraphError, match=reason):
        parse(lines)


def test_neurons_are_added_where_currents_would_be_read() -> None:
    lines = graph(
        "a = conv(stem, channels=8, batchnorm=true)",  # only a convolution reads it: neurons of its own
        "b = conv(a, channels=8, batchnorm=true)",
        "c = sum(b, stem)",
        "d = conv(c, channels=8, batchnorm=true)",
        "e = sum(d, c)",
        last="e",
    )
    plan = lower(parse(lines), 10, (3, 8, 8))
    assert {op.name: op.activation for op in plan.ops if isinstance(op, Conv)}["a"] == "identity"
    assert [op.name for op in plan.ops if isinstance(op, Neurons)] == ["c.neurons", "e.neurons"]
    assert all(conv.reads in ("input", "spikes") for conv in plan.convs)


def test_averages_meet_spikes_as_spikes() -> None:
    lines = graph("a = pool(stem, kind=avg, kernel=3, stride=1, padding=1)", "b = concat(a, stem)", last="b")
    plan = lower(parse(lines), 10, (3, 8, 8))
    assert [op.name for op in plan.ops if isinstance(op, Neurons)] == ["a.neurons"]


def test_sizes_that_do_not_meet_are_refused_by_name() -> None:
    lines = graph("a = conv(stem, channels=8, kernel=3)", "b = sum(a, stem)", last="b")
    with pytest.raises(PlanError, match="b: a sum of 6x6 and 8x8 pixels; use images of the size"):
        lower(parse(lines), 10, (3, 8, 8))


def test_module_is_kept_for_a_reason() -> None:
    lines = graph(
        "down = conv(stem, channels=8, kernel=3, stride=2, padding=1, activation=relu)",
        "wide.a = conv(down, channels=16, activation=relu)",
        "wide.b = depthwise(wide.a, kernel=3, padding=1, activation=relu)",
        "next.a = depthwise(wide.b, kernel=3, padding=1, activation=relu)",
        "pair.a = conv(next.a, channels=16, kernel=3, padding=1)",
        "pair.b = sum(pair.a, next.a)",
        last="pair.b",
    )
    cuts = find_cuts(lines)
    assert [unit.name for unit in cuts.units] == ["pair"]
    wanted = {
        "stem": "reads the image",
        "down": "changes the height and width",
        "wide": "changes the number of channels",
        "head": "gives the class scores",
    }
    assert all(text in why_kept(cuts.graph, name) for name, text in wanted.items())


def test_channels_that_meet_if_a_module_is_removed_are_one_group() -> None:
    """If ``a`` and ``b`` are removed, the sum reads the output of ``stem``."""
    lines = graph(
        "a.conv = conv(stem, channels=8, kernel=3, padding=1, activation=relu)",
        "b.conv1 = conv(a.conv, channels=12, activation=relu)",
        "b.conv2 = conv(b.conv1, channels=8, activation=relu)",
        "c.conv = conv(b.conv2, channels=8, activation=relu)",
        "c.sum = sum(c.conv, b.conv2)",
        last="c.sum",
    )
    cuts = find_cuts(lines)
    assert [unit.name for unit in cuts.units] == ["a", "b", "c"]
    assert [group.members for group in cuts.groups] == [("stem", "a.conv", "b.conv2", "c.conv"), ("b.conv1",)]
    stem, inner = cuts.groups
    without = cuts.apply({"a", "b"}, {stem: 6, inner: 12})
    assert [node.name for node in without.nodes] == ["stem", "c.conv", "c.sum", "mean", "head"]
    assert without.by_name["c.sum"].sources == ("c.conv", "stem")
    assert lower(without, 10, (3, 8, 8)).convs[1].in_shape == (6, 8, 8)
