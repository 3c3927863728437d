"""How to reproduce a candidate: the commands, and the circumstances that must be equal."""

import json

from reports.document.commands import command, run_file
from reports.document.wording import parent_phrase, trials_phrase
from reports.records.study import StudyHeader, StudyRecord, TrialRecord
from reports.storage.names import as_folder_name


def train_again(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the command that trains only this candidate, in the study's space."""
    name, number = study.header.name, trial.number
    dials = ", ".join(f"{path}: {json.dumps(value)}" for path, value in trial.params.items())
    candidates = f"candidates={{trial-{number}: {{{dials}}}}}"
    space, trainings = run_file(name, "space.yaml"), len(trial.fidelities) + (trial.status != "paused")
    again = as_folder_name(f"{name}-{number}")
    in_full = ("--set", f"study.promote=[trial-{number}]") if trial.fidelities else ()
    return command("launch", space, "--name", again, "--trials", trainings, "--set", candidates, *in_full)


def show(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the command that prints this candidate."""
    return command("show", study.header.name, trial.number)


def circumstances(header: StudyHeader, trial: TrialRecord | None = None) -> str:
    """List the seed, commit, versions and device that a second run must share to give the same numbers."""
    parts = [f"seed {header.seed if trial is None else trial.seed}"]
    if header.commit:
        parts.append(f"commit {header.commit[:12]}")
    parts += [f"{package} {version}" for package, version in header.versions.items()]
    if trial and trial.start and trial.start.kind == "inherit" and trial.start.fidelity is None:
        parts.append(f"the weights of {parent_phrase(trial.start)} (without them it starts from scratch)")
    if trial and trial.start and trial.start.kind == "mean":
        parts.append(f"the weights of {trials_phrase(trial.start.parents)}")
    place = (trial.device if trial else None) or header.machine
    return ", ".join([*parts, place] if place else parts)
