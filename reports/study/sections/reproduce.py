"""The study's settings, its space, and the commands that reproduce each candidate of the front."""

from reports.analysis.front import front_trials
from reports.document.commands import command, run_file
from reports.document.model import Block, Code, Definitions, Section
from reports.document.wording import candidate_name, count
from reports.records.objectives import objective_label
from reports.records.study import StudyRecord
from reports.storage.names import as_folder_name
from reports.study.reproduce import circumstances, show, train_again


def reproduce_section(study: StudyRecord) -> Section:
    """Return what is needed to continue the study, launch it again or train one candidate again."""
    header = study.header
    space = run_file(header.name, "space.yaml")
    blocks: list[Block] = [
        Definitions(
            (
                ("objectives", ", ".join(f"{o.direction} {objective_label(o.name)}" for o in header.objectives)),
                ("energy objective", f"by {header.price}"),
                ("named candidates", ", ".join(header.candidates) or "none"),
                ("run with", circumstances(header)),
                ("continue", command("resume", header.name, "--time", "1h")),
                (
                    "launch again",
                    command("launch", space, "--name", as_folder_name(f"{header.name}-again")),
                ),
            )
        ),
        Code(header.space_yaml, "yaml", summary=f"The space as launched, space.yaml, {_dials(study)}"),
    ]
    if front := front_trials(study):
        commands = [
            f"# {' '.join(candidate_name(t).split())}\n{show(study, t)}\n{train_again(study, t)}" for t in front
        ]
        summary = "Commands that print each candidate of the front and train it again"
        blocks.append(Code("\n".join(commands), "sh", summary=summary))
    return Section("How to reproduce", tuple(blocks))


def _dials(study: StudyRecord) -> str:
    return count(len(study.header.dials), "dial")
