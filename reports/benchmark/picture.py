"""benchmark.svg: our spiking networks and the published ones in accuracy and energy, for a README or a paper.

One file that needs no page around it: styles inside, colours that a light and a dark page can bear.
"""

import re
import textwrap
import time
from collections.abc import Sequence
from html import escape

from reports.benchmark.figure import HEIGHT, WIDTH, Dot, Places, drawing, own_dot
from reports.benchmark.groups import groups
from reports.document.prices import in_short
from reports.document.wording import listing
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import ReferencePoint

LINE, LETTER = 16, 6  # pixels of a line of text, and of a letter in it
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
    """A panel for each data set that has something to show, and below them what was measured how."""
    panels = [(setup.data, dots) for setup in record.header.setups if (dots := _dots(record, setup.data))]
    width = max(1, len(panels)) * WIDTH
    caption = [part for line in _caption(record) for part in textwrap.wrap(line, (width - 24) // LETTER)]
    height = LINE + HEIGHT + LINE * len(caption) + 10
    parts = []
    for index, (data, dots) in enumerate(panels):
        title = f'<text class="title" x="{index * WIDTH + 12}" y="{LINE}">{escape(data)}: test accuracy</text>'
        parts.append(f'{title}<g transform="translate({index * WIDTH} {LINE})">{drawing(dots, _fronts)}</g>')
    for index, line in enumerate(caption):
        parts.append(f'<text x="12" y="{LINE + HEIGHT + LINE * (index + 1)}">{escape(line)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(record.header.name)}</title><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _dots(record: BenchmarkRecord, data: str) -> list[Dot]:
    """Ours by the price of the benchmark, the published by their own."""
    ours = [group for group in groups(record) if group.data == data and group.kind == "snn"]
    found = [dot for group in ours if (dot := own_dot(group, record.header.price)) is not None]
    return [*found, *map(_published, record.header.references)] if found else []


def _published(point: ReferencePoint) -> Dot:
    return Dot(point.label, "snn", True, point.energy_mj, point.accuracy, point.accuracy, point.accuracy)


def _fronts(dots: Sequence[Dot], place: Places) -> list[str]:
    """Steps along those that no other of the same origin beats in accuracy and energy."""
    lines = []
    for published, kind in ((True, "ref-stair"), (False, "stair")):
        path, best = "", 0.0
        for dot in sorted((d for d in dots if d.published == published), key=lambda d: (d.energy_mj, -d.accuracy)):
            if dot.accuracy > best:
                x, y = place[id(dot)]
                path += f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {y:.1f}"
                best = dot.accuracy
        if "V" in path:
            lines.append(f'<path class="{kind}" d="{path}"/>')
    return lines


def _caption(record: BenchmarkRecord) -> list[str]:
    """What is ours and what is published, how many trainings, where and when."""
    header = record.header
    counts = sorted({group.n for group in groups(record) if group.kind == "snn" and group.n})
    bars = ", bars from least to greatest" if counts and counts[-1] > 1 else ""
    told = f"n = {' or '.join(map(str, counts))}{bars}" if counts else "nothing yet"
    lines = [f"Blue: ours, energy by {header.price}; {told}."]
    if header.references:
        prices = " and ".join(dict.fromkeys(point.price + in_short(point.price) for point in header.references))
        sources = ", ".join(dict.fromkeys(p.source.partition(",")[0] for p in header.references if p.source))
        lines.append(f"Purple: published{f' ({sources})' if sources else ''}, energy by {prices}.")
    if header.sittings:
        last = header.sittings[-1]
        day = time.strftime("%Y-%m-%d", time.gmtime(last.started_at))
        machines = dict.fromkeys(re.split("[,;] ", sitting.machine)[0] for sitting in header.sittings)
        lines.append(f"{listing(list(machines))}; {day}" + (f", commit {last.commit}" if last.commit else ""))
    return lines
