"""report.html: one file that holds its styles, scripts and data, and asks no network for anything.

Tables and sentences are written here; the figures, the sortable table and the detail of a candidate are drawn by the
scripts beside this file from the data of `payload`. A content security policy in the page forbids every request and
every script but this one.
"""

import base64
import hashlib
from html import escape
from itertools import groupby
from string import Template

from reports.analysis.front import finished, status_summary
from reports.analysis.hypervolume import hypervolume_over_time
from reports.document.html import asset, table
from reports.document.prices import describe
from reports.document.wording import COUNTS, amount, axis, count, duration, label
from reports.records.study import Status, StudyRecord, TrialRecord
from reports.study.payload import payload, prices_of
from reports.study.reproduce import circumstances
from reports.study.sentences import ACCURACY_NOTE, findings, summary
from reports.study.tables import published_table

SCRIPTS = ("dom.js", "axes.js", "plot.js", "table.js", "charts.js", "detail.js", "page.js")
ENDED = {
    "infeasible": "trained, and above a hard constraint by what was measured; on no front",
    "failed": "an exception, or a lost worker",
    "stopped": "training ended early: at chance, dead, not finite, or dominated at a rung",
    "refused": "breaks a hard constraint or does not build; never trained",
    "duplicate": "equal to an earlier trial; never trained",
    "running": "not over yet",
    "waiting": "not begun yet",
}
BOX_NOTE = (
    "The share of a fixed box of outcomes that the finished candidates dominate, from a reference point, its worst "
    "corner, to its best: {box}. The box is the same for every study, so the curve keeps its past when a trial is "
    "added, and studies with the same objectives can be compared. Training time is that of all trials, whatever became "
    "of them. Dots are the candidates that raised it."
)
COUNTS_NOTE = (
    "Counts are per inference, summed over time steps, the mean over the validation images; the detail of a candidate "
    "has them by layer under Counts by layer. The CNN twin is the same network with ReLU in place of spiking neurons."
)


def page(study: StudyRecord) -> str:
    """The whole page. Every text of the study is escaped."""
    script = "\n".join(["(() => {", '"use strict";', *map(asset, SCRIPTS), "})();"])
    return Template(asset("page.html")).substitute(
        title=escape(study.header.name),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        css=asset("page.css"),
        summary=escape(summary(study)),
        accuracy_note=escape(ACCURACY_NOTE),
        figures=_key_figures(study),
        content="\n".join(filter(None, _sections(study))),
        data=payload(study),
        script=script,
    )


def _sections(study: StudyRecord) -> list[str]:
    return [
        _findings(study),
        _workspace(study),
        _published(study),
        _without_result(study),
        _energy(study),
        _study(study),
    ]


def _key_figures(study: StudyRecord) -> str:
    state = status_summary(study)
    done = len(finished(study))
    items = [("finished candidates", f"{done:,}", f"of {count(state.total, 'trial')}")]
    if done:
        items.append(("on the front", str(len(state.front)), f"of {done:,} finished"))
    for best in state.best:
        least = "fewest" if best.objective in COUNTS else "lowest"
        kind = "best" if best.direction == "maximize" else least
        who = f"{best.name} ({best.trial})" if best.name else f"candidate {best.trial}"
        items.append((f"{kind} {axis(best.objective)}", amount(best.objective, best.value), who))
    if state.training_s:
        items.append(("training time", duration(state.training_s), "all trials together"))
    cells = (f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in items)
    return f'<dl class="key">{"".join(cells)}</dl>'


def _findings(study: StudyRecord) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in findings(study))
    return f'<section><h2>Findings</h2><ul class="findings">{lines}</ul></section>' if lines else ""


def _workspace(study: StudyRecord) -> str:
    if not finished(study):
        return '<section><p class="empty">No trial is complete yet, so there is no front to show.</p></section>'
    progress = hypervolume_over_time(study)
    note = f"Not drawn: {progress}." if isinstance(progress, str) else BOX_NOTE.format(box=progress.box)
    return Template(asset("workspace.html")).substitute(hypervolume_note=escape(note))


def _published(study: StudyRecord) -> str:
    if not study.header.references:
        return ""
    note = (
        "As published: test accuracy, energy priced as stated, parameters. A candidate dominates a point when it is "
        "nowhere worse and somewhere better: test accuracy, energy by the point's own price, parameters."
    )
    points = table(published_table(study), "Published points")
    return f'<section><h2>Published points</h2><p class="note">{note}</p>{points}</section>'


def _without_result(study: StudyRecord) -> str:
    order = list(ENDED)
    others = sorted((t for t in study.trials if t.status in ENDED), key=lambda t: (order.index(t.status), t.number))
    groups = [_group(status, list(group)) for status, group in groupby(others, key=lambda t: t.status)]
    return f"<section><h2>Trials left out</h2>{''.join(groups)}</section>" if groups else ""


def _group(status: Status, trials: list[TrialRecord]) -> str:
    rows = "".join(_reason_row(trial) for trial in trials)
    head = "".join(f'<th scope="col">{column}</th>' for column in ("trial", "name", "reason"))
    shown = " open" if status in ("infeasible", "failed", "stopped") and len(trials) <= 12 else ""
    return (
        f'<details{shown}><summary><span class="status {status}">{status}</span> '
        f'<span class="count">{len(trials):,}, {ENDED[status]}</span></summary>'
        f'<div class="box" tabindex="0" role="region" aria-label="{status} trials">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _reason_row(trial: TrialRecord) -> str:
    reason = escape(trial.reason or "")
    if trial.traceback:
        reason += f"<details><summary>traceback</summary><pre tabindex=0>{escape(trial.traceback)}</pre></details>"
    return f'<tr><td>{trial.number}</td><td>{escape(trial.name or "")}</td><td class="wrap">{reason}</td></tr>'


def _energy(study: StudyRecord) -> str:
    prices = prices_of(study)
    if not prices:
        return ""
    rules = "".join(f"<dt><code>{escape(p)}</code></dt><dd>{escape(describe(p))}</dd>" for p in prices)
    head = f'<h2>How energies are computed</h2><p class="note">{COUNTS_NOTE}</p>'
    return f'<section>{head}<dl class="rules">{rules}</dl></section>'


def _study(study: StudyRecord) -> str:
    header = study.header
    objectives = ", ".join(f"{o.direction} {label(o.name)}" for o in header.objectives)
    facts = [
        ("objectives", objectives),
        ("energy objective", f"by {header.price}"),
        ("named candidates", ", ".join(header.candidates) or "none"),
        ("run with", circumstances(header)),
        ("go on", f"snnsearch resume {header.name} --time 1h"),
        ("launch again", f"snnsearch launch runs/{header.name}/space.yaml --name {header.name}-again"),
    ]
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return (
        f'<section><h2>The study</h2><dl class="rules">{rows}</dl>'
        f"<details><summary>The space as launched: space.yaml, {count(len(header.dials), 'dial')}</summary>"
        f"<pre tabindex=0>{escape(header.space_yaml)}</pre></details></section>"
    )
