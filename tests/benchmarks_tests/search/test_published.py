"""Documents quote the energies that the published networks would have by our rule."""

from pathlib import Path

import pytest

from benchmarks.search.published import PUBLISHED, Published, exact, main, plan_of

ROOT = Path(__file__).parents[3]


def span(point: Published, name: str | None = None) -> str:
    """The energy at T = 1 and at T = 4 as README.md prints it."""
    ends = (exact(point, timesteps) for timesteps in (1, 4))
    return " to ".join(f"{energy.alternatives[name] if name else energy.total_mj:.3f}" for energy in ends)


@pytest.mark.parametrize("document", ["README.md", "docs/results.md"])
@pytest.mark.parametrize("point", PUBLISHED[:2], ids=lambda point: point.label)
def test_documents_quote_these_estimates(point: Published, document: str) -> None:
    figures = (
        f"{span(point)} ({point.energy_mj})",
        span(point, "with_neurons"),
        span(point, "with_neurons_and_stem_every_step"),
    )
    text = (ROOT / document).read_text(encoding="utf-8")
    assert f"| {' | '.join(figures)} | | {plan_of(point).params:,} |" in text


def test_published_parameters_count_one_fire_that_never_runs() -> None:
    fire5 = sum(conv.params for conv in plan_of(PUBLISHED[2]).convs if conv.name.startswith("fire5."))
    small, large, _ = PUBLISHED
    assert small.params == pytest.approx(plan_of(small).params + fire5, abs=1)
    assert large.params == plan_of(large).params + fire5


def test_the_command_prints_what_the_energy_page_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.endswith("% |")]
    page = (ROOT / "docs/space/energy.md").read_text(encoding="utf-8")
    for line in printed:
        counted, more, share = (cell.strip() for cell in line.strip("|").split("|")[1:])
        assert f"| {counted} | {more} (+{share.replace('%', ' %')}) |" in page
