"""Plots of accuracy against energy as plain SVG: one for each energy model, with a line from each SNN to its twin."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from reports.benchmark.groups import Group, accuracy, energy
from reports.document.wording import number, ratio
from reports.records.benchmark import KINDS, Kind

WIDTH, HEIGHT = 400, 270
LEFT, RIGHT, TOP, BOTTOM = 42, WIDTH - 10, 10, HEIGHT - 36
LETTER_WIDTH = 6.2  # pixels, at a font size of 11.5
Positions = Mapping[int, tuple[float, float]]  # id of a dot -> x, y


@dataclass(frozen=True)
class Dot:
    """One network as an SNN or CNN, trained by us or published."""

    network: str
    kind: Kind
    published: bool
    energy_mj: float
    accuracy: float
    low: float  # lowest and highest accuracy over the seeds
    high: float


Lines = Callable[[Sequence[Dot], Positions], list[str]]  # draws lines between dots


def figure(members: Sequence[Group], model: str) -> Markup:
    """Return the plot for one data set and energy model; empty if there is nothing to draw."""
    dots = [dot for group in members for dot in _dots(group, model)]
    if not dots:
        return Markup()
    title = f"Test accuracy against energy in mJ by {model}: {len(dots)} points"
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{drawing(dots, _twins)}</svg>'
    return Markup(svg)


def drawing(dots: Sequence[Dot], lines: Lines) -> str:
    """Return the content of an svg element: axes, lines, dots above the lines, and names."""
    x = _scale([math.log10(dot.energy_mj) for dot in dots], LEFT + 14, RIGHT - 14)
    y = _scale([value for dot in dots for value in (dot.low, dot.high)], BOTTOM - 10, TOP + 24)
    positions = {id(dot): (x(math.log10(dot.energy_mj)), y(dot.accuracy)) for dot in dots}
    parts = [_axes(dots, x, y), *lines(dots, positions)]
    parts += [_mark(dot, *positions[id(dot)], y) for dot in dots]
    parts += _labels(dots, positions)
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">energy per inference, mJ</text>')
    return "".join(parts)


def _dots(group: Group, model: str) -> list[Dot]:
    own, point = own_dot(group, model), group.published
    found = [] if own is None else [own]
    if point is not None and point.price == model and point.energy_mj:
        accurate = point.accuracy
        found.append(Dot(group.network, group.kind, True, point.energy_mj, accurate, accurate, accurate))
    return found


def own_dot(group: Group, model: str) -> Dot | None:
    """Return the dot of our trainings; None if none is finished or has energy by that model."""
    own, mj = group.spread(accuracy), group.mean(energy(model))
    if own is None or not mj:
        return None
    return Dot(group.network, group.kind, False, mj, own.mean, min(own.values), max(own.values))


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = min(values), max(values)
    if high == low:
        low, high = low - 0.05, high + 0.05
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axes(dots: Sequence[Dot], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    low, high = min(dot.low for dot in dots), max(dot.high for dot in dots)
    parts = []
    accuracies = _linear(low, high)
    for value, text in zip(accuracies, _labelled(accuracies, ".{}f", 2), strict=True):
        at = y(value)
        if TOP < at < BOTTOM:
            parts.append(f'<line class="gridline" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(f'<text x="{LEFT - 5}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    energies = [dot.energy_mj for dot in dots]
    ticks = _logarithmic(min(energies), max(energies))
    for value, text in zip(ticks, _labelled(ticks, ".{}g", 6), strict=True):
        at = x(math.log10(value))
        if LEFT < at < RIGHT:
            parts.append(f'<line class="gridline" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{BOTTOM}"/>')
            parts.append(f'<text x="{at:.1f}" y="{BOTTOM + 14}" text-anchor="middle">{text}</text>')
    frame = f'x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
    return "".join(parts) + f'<rect class="frame" {frame}/>'


def _labelled(values: Sequence[float], form: str, digits: int) -> list[str]:
    """Format values with as few digits as keep them apart, ``digits`` at least."""
    for more in range(digits, 13):
        texts = [format(value, form.format(more)) for value in values]
        if len(set(texts)) == len(values):
            break
    return texts


def _linear(low: float, high: float) -> list[float]:
    """Return round values from below ``low`` to above ``high``, at most six of them between the two."""
    span = high - low or 0.1 * abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 6))
    step = next(s * power for s in (1, 2, 5, 10) if span / (s * power) <= 6)
    return [float(f"{i * step:.10g}") for i in range(math.floor(low / step) - 1, math.ceil(high / step) + 2)]


def _logarithmic(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    for steps in ((1, 1.5, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in decades for step in steps]
        inside = sum(low <= tick <= high for tick in ticks)
        if inside < 2:  # the values lie so close together that a linear axis differs little
            return [tick for tick in _linear(low, high) if tick > 0]
        if inside <= 5 or steps == (1,):
            break
    return [tick for tick in ticks if low / 1.5 <= tick <= high * 1.5]


def _twins(dots: Sequence[Dot], positions: Positions) -> list[str]:
    """Draw a line from each SNN to its twin, both ours or both published."""
    lines = []
    for dot in dots:
        twin = next((d for d in dots if (d.network, d.published, d.kind) == (dot.network, dot.published, "cnn")), None)
        if dot.kind == "snn" and twin is not None:
            (x1, y1), (x2, y2) = positions[id(dot)], positions[id(twin)]
            kind = "ref-stair" if dot.published else "twins"
            lines.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    return lines


def _mark(dot: Dot, x: float, y: float, scale: Callable[[float], float]) -> str:
    whose = "published" if dot.published else "ours"
    tooltip = f"{dot.network}, {KINDS[dot.kind]}, {whose}: {ratio(dot.accuracy)}, {number(dot.energy_mj)} mJ"
    title = f"<title>{escape(tooltip)}</title>"
    if dot.published:
        kind = "ref full" if dot.kind == "snn" else "ref"
        return f'<path class="{kind}" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5Z">{title}</path>'
    bar = f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{scale(dot.low):.1f}" y2="{scale(dot.high):.1f}"/>'
    kind = "dot front" if dot.kind == "snn" else "dot twin"
    return f'{bar}<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">{title}</circle>'


def _labels(dots: Sequence[Dot], positions: Positions) -> list[str]:
    """Write each network's name next to its SNN unless it would overlap something; ours first, then by accuracy."""
    taken: list[tuple[float, float, float, float]] = []
    for x, y in positions.values():
        taken.append((x - 6, y - 6, x + 6, y + 6))
    texts = []
    for dot in sorted(dots, key=lambda d: (d.published, -d.accuracy)):
        if dot.kind != "snn":
            continue
        x, y = positions[id(dot)]
        width = LETTER_WIDTH * len(dot.network)
        spots = [(x + 8, y - 5), (x - 8 - width, y - 5), (x + 8, y + 13), (x - 8 - width, y + 13)]
        middle = min(max(x - width / 2, LEFT + 2), RIGHT - 6 - width)
        spots += [(middle, y - 11), (middle, y + 19)]
        for left, base in spots:
            box = (left, base - 9, left + width, base + 2)
            inside = box[0] > LEFT and box[2] < RIGHT and box[1] > TOP and box[3] < BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                kind = "ref-name" if dot.published else "name"
                texts.append(f'<text class="{kind}" x="{left:.1f}" y="{base:.1f}">{escape(dot.network)}</text>')
                break
    return texts


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
