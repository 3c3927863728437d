"""The report of a comparison: which sections it has, and in what order."""

import json
from collections.abc import Callable
from typing import Any

from reports.analysis.front import finished, status_summary
from reports.comparison.comparison import Comparison
from reports.comparison.payload import payload
from reports.comparison.sections import (
    common_section,
    dominance_section,
    energy_section,
    fronts_section,
    hypervolume_section,
    settings_section,
    studies_section,
    warnings_section,
)
from reports.comparison.warnings import warnings
from reports.document.html import render_html
from reports.document.markdown import render_markdown
from reports.document.model import Document, Section
from reports.document.wording import count, listing
from reports.records.objectives import objective_label

SECTIONS: tuple[Callable[[Comparison], Section | None], ...] = (
    warnings_section,
    studies_section,
    fronts_section,
    dominance_section,
    hypervolume_section,
    common_section,
    settings_section,
    energy_section,
)
SCRIPTS = tuple(f"scripts/{name}.js" for name in ("times", "dom", "axes", "plot", "charts", "comparison"))


def page(comparison: Comparison) -> str:
    """Return comparison.html."""
    return render_html(comparison_document(comparison))


def markdown(comparison: Comparison) -> str:
    """Return comparison.md."""
    return render_markdown(comparison_document(comparison))


def comparison_json(comparison: Comparison) -> str:
    """Return the comparison as JSON: each study with its front, its hypervolume and its cost, and what differs."""
    macs, seconds = comparison.at_equal_macs(), comparison.at_equal_time()
    found: dict[str, Any] = {
        "objectives": [each.model_dump() for each in comparison.objectives],
        "price": comparison.price,
        "warnings": list(warnings(comparison)),
        "studies": [
            {
                "study": entry.name,
                "finished": len(finished(entry.study)),
                "training_macs": status_summary(entry.study).training_macs,
                "training_s": status_summary(entry.study).training_s,
                "hypervolume": entry.curve.steps[-1].value if entry.curve else None,
                "front": [{"number": t.number, "name": t.name, "values": t.values} for t in entry.front],
            }
            for entry in comparison.entries
        ],
        "joint_front": [{"study": entry.name, "number": trial.number} for entry, trial in comparison.joint_front()],
        "dominated": [
            {"by": winner.name, "of": loser.name, "numbers": [t.number for t, _ in comparison.dominated(winner, loser)]}
            for winner in comparison.entries
            for loser in comparison.entries
            if winner is not loser
        ],
        "hypervolume_at_equal_macs": None if macs is None else {"macs": macs[0], "values": macs[1]},
        "hypervolume_at_equal_time": None if seconds is None else {"seconds": seconds[0], "values": seconds[1]},
        "common": [[None if trial is None else trial.number for trial in row] for row in comparison.common()],
        "settings": dict(comparison.differing_settings()),
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def comparison_document(comparison: Comparison) -> Document:
    """Return the comparison, ready to be rendered."""
    return Document(
        kind="snnsearch comparison",
        title=listing(comparison.names),
        summary=_summary(comparison),
        note="Fronts and hypervolume use validation accuracy. Test accuracy was measured once for each candidate.",
        sections=tuple(section for build in SECTIONS if (section := build(comparison)) is not None),
        data=payload(comparison),
        scripts=SCRIPTS,
        styles=("page.css", "comparison.css"),
    )


def _summary(comparison: Comparison) -> str:
    """Say what is compared, and which studies hold the joint front."""
    joint = [entry.name for entry, _ in comparison.joint_front()]
    labels = listing([objective_label(each.name) for each in comparison.objectives])
    text = f"{count(len(comparison.entries), 'study', 'studies')} compared in {labels}."
    if not joint:
        return f"{text} No trial is complete yet."
    shares = [f"{joint.count(name)} from {name}" for name in comparison.names]
    text += f" The joint front has {count(len(joint), 'candidate')}: {listing(shares)}."
    if (equal := comparison.at_equal_macs()) is not None:
        values = [f"{name} {value:.3f}" for name, value in zip(comparison.names, equal[1], strict=True)]
        text += f" Hypervolume after equal compute ({equal[0]:.3g} MACs): {listing(values)}."
    return text
