"""`TerminalObserver`: messages, a line for each finished trial of this run, and a live panel on a terminal."""

import io

import pytest
from helpers.small_benchmarks import build_benchmark
from helpers.small_studies import build_study, complete_trial

from reports.records.study import TrialRecord
from search.cli.console import Terminal
from search.cli.progress import TerminalObserver, panel
from search.runner.progress import RunningTrial, RunProgress


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def observed(header, earlier, now, *, terminal: bool = False) -> str:
    """What a console shows of a run with the trials ``now``, after those of ``earlier`` runs."""
    file = Screen(terminal)
    observer = TerminalObserver(Terminal(file=file, width=120))
    observer.opened(header, earlier)
    observer.message("on        cpu, 1 at once")
    progress = RunProgress.of(earlier)
    with observer.running():
        for record in now:
            observer.progressed(progress.started(RunningTrial(record.number, record.name, 0.0, 2)))
            progress = progress.ended(record)
            observer.trial_ended(record)
            observer.progressed(progress)
    return file.getvalue()


def test_study_shows_messages_and_the_trials_of_this_run() -> None:
    study = build_study(4, others=False, epochs=2)
    shown = observed(study.header, study.trials[:2], study.trials[2:]).splitlines()
    assert shown[0] == "on        cpu, 1 at once"
    assert [line.split()[:2] for line in shown[1:]] == [["trial", "2"], ["trial", "3"]]


def test_benchmark_counts_the_trainings_of_earlier_runs() -> None:
    benchmark = build_benchmark()
    done = [trial for trial in benchmark.trials if trial.status == "complete"]
    shown = observed(benchmark.header, done[:-1], done[-1:]).splitlines()
    assert shown[1].split()[:3] == [str(len(done)), "of", str(len(benchmark.header.cells))]


def test_terminal_shows_a_panel_while_trials_run() -> None:
    study = build_study(2, others=False, epochs=2)
    assert "running" in observed(study.header, (), study.trials, terminal=True)


@pytest.mark.parametrize(
    ("environment", "terminal"), [({"FORCE_COLOR": "1"}, False), ({"CI": "true"}, True), ({"TERM": "dumb"}, True)]
)
def test_log_has_one_line_an_event_even_with_colours(environment, terminal, monkeypatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    study = build_study(2, others=False, epochs=2)
    shown = observed(study.header, (), study.trials, terminal=terminal)
    assert "running" not in shown
    assert shown.count("\n") == 1 + len(study.trials)


def refused_trial(number: int, kind: str | None = "params is above the limit of 9") -> TrialRecord:
    reason = f"params {number + 10} is above the limit of 9 by {number + 1}"
    return TrialRecord(number=number, status="refused", name=f"c{number}", reason=reason, failure_kind=kind)


def shown_of(*trials: TrialRecord) -> list[str]:
    """Return the lines of ``trials`` in a run; trials that were refused never ran."""
    study, file = build_study(0, others=False), Screen(False)
    observer, progress = TerminalObserver(Terminal(file=file, width=120)), RunProgress()
    observer.opened(study.header, ())
    with observer.running():
        for record in trials:
            if record.status == "complete":
                progress = progress.started(RunningTrial(record.number, record.name, 0.0, 2))
                observer.progressed(progress)
                file.write("(trains)\n")
            progress = progress.ended(record)
            observer.trial_ended(record)
            observer.progressed(progress)
    return file.getvalue().splitlines()


def test_trials_that_one_cause_refuses_are_one_line_before_the_next_trial_trains() -> None:
    shown = shown_of(*map(refused_trial, range(9)), complete_trial(9))
    assert shown[:2] == ["  trials 0 to 8  9 refused: params is above the limit of 9", "(trains)"]
    assert len(shown) == 3


def test_refused_trials_with_other_causes_or_from_an_older_version_have_lines_of_their_own() -> None:
    shown = shown_of(refused_trial(0), refused_trial(1, "does not build: x"), *(refused_trial(n, None) for n in (2, 3)))
    assert [line.split()[:4] for line in shown] == [["trial", str(n), f"c{n}", "refused:"] for n in range(4)]


def test_panel_shows_trials_and_the_time_left() -> None:
    study = build_study(2, others=False, epochs=2)
    progress = RunProgress.of(study.trials).started(RunningTrial(2, "head-1", 90.0, 6))
    file = io.StringIO()
    rows = [("front", "2 candidates")]
    Terminal(file=file, width=100).print(panel(("study", "mine"), progress, rows, now=100.0))
    shown = file.getvalue()
    assert "2 done · 1 running" in shown
    assert "trial 2 head-1: epoch 1 of 6, 10 s" in shown
    assert "2 candidates" in shown
