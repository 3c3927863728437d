"""benchmark.html: one file that holds its styles and drawings, runs no script and asks no network for anything."""

from html import escape
from string import Template

from reports.benchmark.figure import figure
from reports.benchmark.groups import groups, prices_of
from reports.benchmark.sentences import SPREAD_NOTE, circumstances, findings, summary
from reports.benchmark.tables import failures_table, networks_table, twins_table
from reports.document.html import asset, table
from reports.document.prices import describe
from reports.records.benchmark import BenchmarkRecord

NETWORKS_NOTE = (
    "Published figures stand below ours; their operations and energy are by the rule that they were published with. "
    "AC: accumulates, MAC: multiply-accumulates, as each rule counts them; k: thousands."
)
TWINS_NOTE = (
    "The CNN twin is the same network with ReLU in place of spiking neurons and one pass in place of T time steps, "
    "trained alike. Published ratios are worked out from the published energies."
)
LEGEND = (
    ('<circle class="dot front" cx="7" cy="7" r="4.5"/>', "SNN"),
    ('<circle class="dot twin" cx="7" cy="7" r="4.5"/>', "its CNN twin"),
    ('<path class="ref full" d="M7 2l5 5l-5 5l-5 -5Z"/>', "published SNN"),
    ('<path class="ref" d="M7 2l5 5l-5 5l-5 -5Z"/>', "published CNN"),
    ('<line class="whisker" x1="7" x2="7" y1="1" y2="13"/>', "least to greatest accuracy over the seeds"),
)


def page(record: BenchmarkRecord) -> str:
    """The whole page. Every text of the benchmark is escaped."""
    return Template(asset("benchmark.html")).substitute(
        title=escape(record.header.name),
        css=asset("page.css") + asset("benchmark.css"),
        summary=escape(summary(record)),
        note=escape(SPREAD_NOTE),
        facts=_facts(circumstances(record)),
        content="\n".join(filter(None, _sections(record))),
    )


def _sections(record: BenchmarkRecord) -> list[str]:
    if not prices_of(record):
        empty = '<section><p class="empty">No training is finished yet.</p></section>'
        return [empty, _failures(record), _yaml(record)]
    return [
        _findings(record),
        _networks(record),
        _twins(record),
        _failures(record),
        _prices(record),
        _yaml(record),
    ]


def _facts(facts: list[tuple[str, str]]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(told)}</dd>" for name, told in facts)


def _findings(record: BenchmarkRecord) -> str:
    parts = []
    for data, lines in findings(record).items():
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        parts.append(f'<h3 class="data">{escape(data)}</h3><ul class="findings">{items}</ul>')
    return f"<section><h2>Findings</h2>{''.join(parts)}</section>" if parts else ""


def _networks(record: BenchmarkRecord) -> str:
    parts = [f'<h2>Spiking networks</h2><p class="note">{escape(NETWORKS_NOTE)}</p>', _legend()]
    for setup in record.header.setups:
        shown = table(networks_table(record, setup.data), f"Spiking networks on {setup.data}")
        parts.append(f'<h3 class="data">{escape(setup.data)}</h3>{_drawings(record, setup.data)}{shown}')
    return f"<section>{''.join(parts)}</section>"


def _legend() -> str:
    keys = (
        f'<span><svg width="14" height="14" aria-hidden="true">{mark}</svg>{escape(told)}</span>'
        for mark, told in LEGEND
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def _drawings(record: BenchmarkRecord, data: str) -> str:
    members = [group for group in groups(record) if group.data == data]
    panels = [
        f'<div class="panel"><p class="title"><b>{escape(price)}</b></p>{drawn}</div>'
        for price in prices_of(record)
        if (drawn := figure(members, price))
    ]
    return f'<div class="drawings">{"".join(panels)}</div>' if panels else ""


def _twins(record: BenchmarkRecord) -> str:
    tables = [
        f'<h3 class="data">{escape(setup.data)}</h3>{table(found, f"CNN against SNN on {setup.data}")}'
        for setup in record.header.setups
        if (found := twins_table(record, setup.data))
    ]
    note = f'<p class="note">{escape(TWINS_NOTE)}</p>'
    return f"<section><h2>CNN against SNN</h2>{note}{''.join(tables)}</section>" if tables else ""


def _failures(record: BenchmarkRecord) -> str:
    failed = failures_table(record)
    if not failed.rows:
        return ""
    traces = "".join(
        f"<details><summary>trial {trial.number}, traceback</summary><pre tabindex=0>{escape(trial.traceback)}</pre>"
        "</details>"
        for trial in record.trials
        if trial.traceback
    )
    shown = table(failed, "Trainings without a result")
    return f"<section><h2>Trainings without a result</h2>{shown}{traces}</section>"


def _prices(record: BenchmarkRecord) -> str:
    rules = _facts([(price, describe(price)) for price in prices_of(record)])
    return f'<section><h2>How energies are computed</h2><dl class="rules">{rules}</dl></section>'


def _yaml(record: BenchmarkRecord) -> str:
    return (
        "<section><h2>The benchmark</h2><details><summary>As resolved, which snnsearch bench takes as it is"
        f"</summary><pre tabindex=0>{escape(record.header.benchmark_yaml)}</pre></details></section>"
    )
