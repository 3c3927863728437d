"""The data that the scripts of a comparison draw: the finished candidates of all studies as compact JSON."""

from dataclasses import asdict
from typing import Any

from reports.analysis.front import finished, trial_ranks
from reports.comparison.comparison import Comparison
from reports.document.wording import candidate_phrase
from reports.study.payload import candidate_data, json_for_script, objective_data


def payload(comparison: Comparison) -> str:
    """Return JSON that is safe inside a script element.

    Candidates are numbered through all studies; ``group`` is the index of the study.
    """
    joint = {(entry.name, trial.number) for entry, trial in comparison.joint_front()}
    trials: list[dict[str, Any]] = []
    for group, entry in enumerate(comparison.entries):
        ranks = trial_ranks(entry.study)
        for trial in finished(entry.study):
            own = {
                "number": len(trials),
                "group": group,
                "title": f"{candidate_phrase(trial)} of {entry.name}",
                "joint": (entry.name, trial.number) in joint,
            }
            trials.append(candidate_data(entry.study, trial, ranks[trial.number]) | own)
    curves = [entry.curve for entry in comparison.entries]
    return json_for_script(
        {
            "objectives": [objective_data(each) for each in comparison.objectives],
            "energy_model": comparison.price,
            "energy_models": [comparison.price],
            "references": [],
            "groups": comparison.names,
            "trials": trials,
            "selected": None,
            "hypervolume": [[asdict(step) for step in curve.steps] if curve else [] for curve in curves],
        }
    )
