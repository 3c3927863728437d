"""Survey a space without training: its dials and size, the share of feasible candidates, and the named candidates."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.records.study import Leaf
from search.cli.tables import legend, module_bar
from search.space.candidate import Candidate
from search.space.constraints import ENERGY, Refusal, refused_together
from search.space.dials import Dial
from search.space.space import Space

if TYPE_CHECKING:  # it needs torch, without which `validate` starts sooner
    from snnkit.export import Obstacle

N = TypeVar("N", int, float)

BUILD = "build"  # the cause of a refusal that is no constraint
N_EXAMPLES = 3  # random candidates that are listed


@dataclass(frozen=True)
class DialRow:
    path: str
    kind: str  # "choice", "int", "float, log"
    values: str
    default: Leaf | None
    only_with: tuple[str, ...]  # conditions under which it counts: "network.fire5.keep", "network.family = mixnet"


@dataclass(frozen=True)
class CandidateRow:
    """A candidate with its static figures, None if it does not build."""

    name: str
    params: int | None
    dense_macs: int | None
    strip: tuple[tuple[str, str], ...]  # (module, kept | removed | resized); a key of validate --json
    dials: dict[str, Leaf]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class ExportRow:
    name: str
    obstacles: tuple[str, ...]


@dataclass(frozen=True)
class Exports:
    """Which candidates a file format can express.

    ``share`` (0..1) counts the random candidates that build and that the format can express. ``obstacles`` counts the
    others by reason; a candidate with two obstacles counts twice.
    """

    format: str
    missing: tuple[str, ...]  # libraries that are not installed here
    share: float | None  # None: no random candidate builds
    obstacles: dict[str, int]
    candidates: tuple[ExportRow, ...]  # the default one and the named ones that build


@dataclass(frozen=True)
class Survey:
    """Figures of ``samples`` random candidates, with their ranges as (smallest, largest).

    ``feasible`` is the share (0..1) that would be trained: those that build and may meet the constraints. ``refused``
    counts the others by the constraint that they exceed, or "build"; one that exceeds two constraints counts twice.
    """

    name: str
    size: int | None  # None: a dial is continuous
    samples: int
    seed: int
    feasible: float
    refused: dict[str, int]
    params: tuple[int, int] | None
    dense_macs: tuple[int, int] | None
    least_energy_mj: tuple[float, float] | None  # energy if no neuron fires
    dials: tuple[DialRow, ...]
    examples: tuple[CandidateRow, ...]
    candidates: tuple[CandidateRow, ...]
    exports: Exports | None = None  # if a format was asked for

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON. A refusal is its sentence."""
        tree = asdict(self)
        for rows, found in ((self.examples, tree["examples"]), (self.candidates, tree["candidates"])):
            for row, each in zip(rows, found, strict=True):
                each["refusals"] = tuple(map(str, row.refusals))
        return tree


def survey(space: Space, samples: int = 1000, seed: int = 0, export_format: str | None = None) -> Survey:
    """Return the survey of ``samples`` random candidates of ``space`` and of all named ones.

    With ``export_format``, it also tells which of them can be exported.
    """
    rng = random.Random(seed)
    drawn = [space.sample(rng) for _ in range(samples)]
    candidates = [space.candidate(params) for params in drawn]
    refusals = [space.refusals(candidate) for candidate in candidates]
    built = [candidate for candidate in candidates if candidate.static()]
    figures = [candidate.static() for candidate in built]
    return Survey(
        name=space.study.name,
        size=space.size,
        samples=samples,
        seed=seed,
        feasible=sum(not reasons for reasons in refusals) / samples,
        refused=dict(Counter(_cause(refusal) for reasons in refusals for refusal in reasons)),
        params=_range(found["params"] for found in figures),
        dense_macs=_range(found["dense_macs"] for found in figures),
        least_energy_mj=_range(candidate.least_energy_mj() for candidate in built),
        dials=tuple(DialRow(d.path, d.values.kind, str(d.values), d.default, _needs(d)) for d in space.dials),
        examples=tuple(
            _row(f"sample {at + 1}", space, params, candidate)
            for at, (params, candidate) in enumerate(zip(drawn[:N_EXAMPLES], candidates, strict=False))
        ),
        candidates=tuple(
            _row(name, space, params, space.candidate(params)) for name, params in space.candidates.items()
        ),
        exports=None if export_format is None else _exports(export_format, space, built),
    )


def _exports(name: str, space: Space, built: Sequence[Candidate]) -> Exports:
    from snnkit.export import find_missing_libraries, find_obstacles

    def obstacles(candidate: Candidate) -> tuple["Obstacle", ...]:
        return find_obstacles(name, candidate.plan(), candidate.neuron)

    found = [obstacles(candidate) for candidate in built]
    named = {"default": space.base} | {name: space.candidate(params) for name, params in space.candidates.items()}
    return Exports(
        format=name,
        missing=tuple(map(str, find_missing_libraries(name))),
        share=sum(not each for each in found) / len(found) if found else None,
        obstacles=dict(Counter(obstacle.reason for each in found for obstacle in each)),
        candidates=tuple(
            ExportRow(label, tuple(map(str, obstacles(candidate))))
            for label, candidate in named.items()
            if candidate.static()
        ),
    )


def _cause(refusal: Refusal) -> str:
    return BUILD if refusal.kind == "build" else refusal.name


def _needs(dial: Dial) -> tuple[str, ...]:
    return tuple(path if value is True else f"{path} = {value}" for path, value in dial.needs)


def _row(name: str, space: Space, params: Mapping[str, Leaf], candidate: Candidate) -> CandidateRow:
    figures = candidate.static()
    return CandidateRow(
        name=name,
        params=figures.get("params"),
        dense_macs=figures.get("dense_macs"),
        strip=tuple((module.name, module.state) for module in candidate.modules()),
        dials=dict(params),
        refusals=tuple(space.refusals(candidate)),
    )


def _range(figures: Iterable[N]) -> tuple[N, N] | None:
    values = list(figures)
    return (min(values), max(values)) if values else None


def render(found: Survey, console: Console) -> None:
    """Print the survey as tables."""
    size = "continuous: not countable" if found.size is None else f"{found.size:,} candidates"
    console.print(Text(found.name, style="bold").append(f"  {len(found.dials)} dials, {size}\n", style="not bold"))
    console.print(_dial_table(found))
    console.print(Text(_shares(found)))
    console.print(_candidate_table((*found.candidates, *found.examples)))
    for rows, kind in ((found.candidates, "named candidates"), (found.examples, "samples")):
        for names, reason in refused_together({row.name: row.refusals for row in rows}, kind):
            console.print(
                Text(names, style="yellow").append(f" would be refused: {reason}", style="default"), soft_wrap=True
            )
    console.print(Text(f"modules: {legend()}; MACs count one dense pass", style="dim"))
    if found.exports is not None:
        console.print(_exports_text(found.exports), soft_wrap=True)


def _dial_table(found: Survey) -> Table:
    table = Table("dial", "kind", "values", "default", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for dial in found.dials:
        path = Text("  " * len(dial.only_with) + dial.path)
        default = "" if dial.default is None else str(dial.default).lower()
        table.add_row(path, dial.kind, dial.values, default)
    return table


def _shares(found: Survey) -> str:
    lines = [f"\n{found.feasible:.1%} of {found.samples:,} random candidates build and can meet the constraints"]
    for cause, count in found.refused.items():
        fault = "do not build" if cause == BUILD else f"exceed the limit on {cause}"
        fault += " even if no neuron fires" if cause == ENERGY else ""
        lines.append(f"  {count / found.samples:.1%} {fault}")
    for name, figures in (("parameters", found.params), ("dense MACs", found.dense_macs)):
        if figures is not None:
            lines.append(f"{name} from {figures[0]:,} to {figures[1]:,}")
    if found.least_energy_mj is not None:
        low, high = found.least_energy_mj
        lines.append(f"energy if no neuron fires from {low:.3g} to {high:.3g} mJ")
    return "\n".join(lines) + "\n"


def _exports_text(found: Exports) -> Text:
    share = (
        "no random candidate builds" if found.share is None else f"possible for {found.share:.1%} of those that build"
    )
    lines = [Text(f"\nexport to {found.format}", style="bold").append(f"  {share}", style="not bold")]
    lines += [Text(f"  {count:,} cannot: {reason}") for reason, count in found.obstacles.items()]
    for obstacles, names in _by_obstacles(found.candidates).items():
        verdict = "cannot be exported:" if obstacles else "can be exported"
        lines.append(Text(", ".join(names), style="yellow" if obstacles else "").append(f" {verdict}", style="default"))
        lines += [Text(f"  - {obstacle}") for obstacle in obstacles]
    lines += [Text(f"not on this machine: {reason}", style="yellow") for reason in found.missing]
    return Text("\n").join(lines)


def _by_obstacles(rows: Iterable[ExportRow]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        found.setdefault(row.obstacles, []).append(row.name)
    return found


def _candidate_table(rows: Iterable[CandidateRow]) -> Table:
    table = Table("candidate", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("parameters", "MACs"):
        table.add_column(heading, justify="right")
    table.add_column("modules")
    for row in rows:
        figures = ("does not build" if n is None else f"{n:,}" for n in (row.params, row.dense_macs))
        table.add_row(Text(row.name), *figures, module_bar(state for _, state in row.strip))
    return table
