"""benchmark.svg: accuracy against energy of our spiking networks and published ones, for a README or a paper.

The file has its styles inside and a white background, so it can be shown on light and dark pages.
"""

import textwrap
import time
from collections.abc import Sequence
from html import escape

from reports.benchmark.figure import HEIGHT, WIDTH, Dot, Lines, Positions, drawing, own_dot
from reports.benchmark.groups import groups
from reports.document.energy_models import caveat
from reports.document.wording import listing
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import ReferencePoint

LINE_HEIGHT, LETTER_WIDTH = 16, 6  # pixels
STYLE = """
svg { font-family: system-ui, sans-serif; background: #ffffff }
text { fill: #586470; font-size: 11px }
.title { fill: #1a2027; font-size: 13px; font-weight: 600 }
.name { fill: #0b6a8c; font-size: 11.5px }
.ref-name { fill: #8c2d77; font-size: 11.5px }
.gridline { stroke: #eceff1 }
.frame { fill: none; stroke: #dde2e6 }
.dot { fill: #0b6a8c; stroke: #ffffff; stroke-width: 0.75 }
.ref { fill: #8c2d77; stroke: #ffffff; stroke-width: 0.75 }
.whisker { stroke: #0b6a8c; stroke-width: 1.5 }
.stair { fill: none; stroke: #0b6a8c; stroke-width: 1.5 }
.ref-stair { fill: none; stroke: #8c2d77; stroke-width: 1.1; stroke-dasharray: 4 3 }
"""


def picture(record: BenchmarkRecord) -> str:
    """Return a panel for each data set with finished trainings, and a caption on how they were measured."""
    found = [
        (f"{setup.data}: test accuracy", dots) for setup in record.header.setups if (dots := _dots(record, setup.data))
    ]
    return panels(record.header.name, found, _caption(record), fronts)


def panels(name: str, found: Sequence[tuple[str, Sequence[Dot]]], lines: Sequence[str], between: Lines) -> str:
    """Return a picture of panels side by side, each with its title and dots, above a caption of several lines."""
    width = max(1, len(found)) * WIDTH
    caption = [part for line in lines for part in textwrap.wrap(line, (width - 24) // LETTER_WIDTH)]
    height = LINE_HEIGHT + HEIGHT + LINE_HEIGHT * len(caption) + 10
    parts = []
    for index, (title, dots) in enumerate(found):
        heading = f'<text class="title" x="{index * WIDTH + 12}" y="{LINE_HEIGHT}">{escape(title)}</text>'
        parts.append(f'{heading}<g transform="translate({index * WIDTH} {LINE_HEIGHT})">{drawing(dots, between)}</g>')
    for index, line in enumerate(caption):
        parts.append(f'<text x="12" y="{LINE_HEIGHT + HEIGHT + LINE_HEIGHT * (index + 1)}">{escape(line)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(name)}</title><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _dots(record: BenchmarkRecord, data: str) -> list[Dot]:
    """Return our networks by the benchmark's energy model, and the published ones by their own."""
    ours = [group for group in groups(record) if group.data == data and group.kind == "snn"]
    found = [dot for group in ours if (dot := own_dot(group, record.header.price)) is not None]
    return [*found, *map(published_dot, record.header.references)] if found else []


def published_dot(point: ReferencePoint) -> Dot:
    """Return the dot of a published point."""
    return Dot(point.label, "snn", True, point.energy_mj, point.accuracy, point.accuracy, point.accuracy)


def fronts(dots: Sequence[Dot], positions: Positions) -> list[str]:
    """Draw the fronts of our networks and of the published ones as staircases."""
    lines = []
    for published, kind in ((True, "ref-stair"), (False, "stair")):
        path, best = "", 0.0
        for dot in sorted((d for d in dots if d.published == published), key=lambda d: (d.energy_mj, -d.accuracy)):
            if dot.accuracy > best:
                x, y = positions[id(dot)]
                path += f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {y:.1f}"
                best = dot.accuracy
        if "V" in path:
            lines.append(f'<path class="{kind}" d="{path}"/>')
    return lines


def _caption(record: BenchmarkRecord) -> list[str]:
    """Say what is ours and what is published, how often it was trained, where and when."""
    header = record.header
    counts = sorted({group.n for group in groups(record) if group.kind == "snn" and group.n})
    bars = ", bars from lowest to highest" if counts and counts[-1] > 1 else ""
    trainings = f"n = {' or '.join(map(str, counts))}{bars}" if counts else "nothing yet"
    lines = [f"Blue: ours, energy by {header.price}; {trainings}."]
    if header.references:
        models = " and ".join(dict.fromkeys(point.price + caveat(point.price) for point in header.references))
        sources = "; ".join(dict.fromkeys(point.source for point in header.references if point.source))
        lines.append(f"Purple: published{f' ({sources})' if sources else ''}, energy by {models}.")
    if header.sittings:
        last = header.sittings[-1]
        day = time.strftime("%Y-%m-%d", time.gmtime(last.started_at))
        hardware = dict.fromkeys(sitting.hardware or sitting.machine for sitting in header.sittings)
        lines.append(f"{listing(list(hardware))}; {day}" + (f", commit {last.commit}" if last.commit else ""))
    return lines
