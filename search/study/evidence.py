"""Evidence from an older study with another space: what its trials tell the sampler of a new one.

A trial of the older study counts if the new space contains its network, with the same neurons, time steps and images.
It is never a result of the new study: it has no trial, is on no front and keeps no candidate from being trained. What
counts is stored with the new study, so the older one may be deleted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from reports.analysis.front import finished
from reports.document.wording import count, listing
from reports.records.objectives import objective_values
from reports.records.study import Leaf, StudyRecord, TrialRecord
from reports.storage.files import replace_text
from search.errors import InputError
from search.samplers import DEFAULT_SAMPLER
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.space import ParamsError, Space
from search.trial.folder import RunFolder
from snnkit.base.config import Config

OTHER_NETWORK, OTHER_DATA, NO_ENERGY = "another network", "other data", "no energy by this model"


class EvidenceTrial(Config):
    """A trial of the older study: its dials in the new space, and the values of the new study's objectives."""

    number: int
    params: dict[str, Leaf]
    values: tuple[float, ...]


class Evidence(Config):
    """What a new study learns from ``study``. ``skipped`` counts its other finished trials by the reason."""

    study: str
    trials: tuple[EvidenceTrial, ...]
    skipped: dict[str, int]

    def describe(self) -> str:
        """Return one sentence on what counts and what does not."""
        total = len(self.trials) + sum(self.skipped.values())
        text = f"{len(self.trials)} of {count(total, 'finished trial')} of {self.study} are evidence for the sampler"
        reasons = [f"{reason} ({n})" for reason, n in sorted(self.skipped.items(), key=lambda each: -each[1])]
        return f"{text}; skipped: {listing(reasons)}" if reasons else text


def evidence_from(old: StudyRecord, space: Space) -> Evidence:
    """Return what the finished trials of ``old`` tell a study of ``space``.

    Raises InputError if no trial counts, if the space has another sampler than the default, which learns from its own
    trials only, or if the space of ``old`` cannot be loaded.
    """
    if space.study.sampler not in ("auto", DEFAULT_SAMPLER):
        raise InputError(
            f"--from {old.header.name}: only the sampler {DEFAULT_SAMPLER} learns from another study. "
            "Leave --from out, or change study.sampler"
        )
    old_space = load_space(old.header.space_yaml)
    found, skipped = [], Counter[str]()
    for trial in finished(old):
        result = _translated(trial, old_space.candidate(trial.params), space)
        if isinstance(result, str):
            skipped[result] += 1
        else:
            found.append(result)
    evidence = Evidence(study=old.header.name, trials=tuple(found), skipped=dict(skipped))
    if not found:
        raise InputError(f"--from {old.header.name}: {evidence.describe()}. Leave --from out, or choose another study")
    return evidence


def _translated(trial: TrialRecord, candidate: Candidate, space: Space) -> EvidenceTrial | str:
    """Return the trial in terms of ``space``, or the reason why it does not count."""
    tree = candidate.model_dump(mode="json")
    chosen: dict[str, Leaf] = {}
    for dial in space.dials:
        if dial.counts(chosen):
            try:
                chosen[dial.path] = dial.canonical(_value_at(tree, dial.path))
            except (ValueError, TypeError, KeyError):
                return f"a value of {dial.path} that the space lacks"
    try:
        translated = space.candidate(chosen)
    except ParamsError:
        return OTHER_NETWORK
    if translated.network_key != candidate.network_key:
        return OTHER_NETWORK
    if (translated.data.name, translated.data.shape) != (candidate.data.name, candidate.data.shape):
        return OTHER_DATA
    assert trial.metrics is not None  # it is finished
    try:
        values = objective_values(trial.metrics, space.study.objectives, space.base.energy.key)
    except KeyError:
        return NO_ENERGY
    return EvidenceTrial(number=trial.number, params=chosen, values=tuple(values.values()))


def _value_at(tree: Mapping[str, Any], path: str) -> Any:
    """Return the leaf at ``network.fire5.keep``. Raises KeyError, TypeError if there is none."""
    found: Any = tree
    for key in path.split("."):
        found = found[key]
    return found


def read_evidence(folder: RunFolder) -> Evidence | None:
    """Return the evidence stored with a study; None if it has none."""
    try:
        return Evidence.model_validate_json(folder.evidence.read_bytes())
    except (OSError, ValidationError):
        return None


def write_evidence(folder: RunFolder, evidence: Evidence) -> None:
    """Store the evidence with a study. Raises OSError."""
    replace_text(folder.evidence, evidence.model_dump_json(indent=1))


def attribute_of(evidence: Evidence) -> list[dict[str, Any]]:
    """Return what `search.samplers.history` reads from the study's attribute."""
    return [{"params": trial.params, "values": list(trial.values)} for trial in evidence.trials]
