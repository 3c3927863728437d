"""The published points of the space, and which candidates dominate them."""

from reports.document.model import Section, Text
from reports.records.study import StudyRecord
from reports.study.tables import published_table

NOTE = (
    "Published values are test accuracy, energy by the named energy model, and parameters. A candidate dominates a "
    "point if it is better in at least one of the three and worse in none, with its energy computed by the point's "
    "energy model."
)


def published_section(study: StudyRecord) -> Section | None:
    """Return a table of the published points; None if the space has none."""
    if not study.header.references:
        return None
    return Section("Published points", (Text(NOTE, style="note"), published_table(study)))
