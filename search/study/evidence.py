"""Evidence from an older study with another space: what its trials tell the sampler of a new one.

A trial of the older study counts if the new space contains its network, with the same neurons, time steps and images.
It is never a result of the new study: it has no trial, is on no front and keeps no candidate from being trained. If the
new space inherits weights, its trials may also inherit weights of the older study. What counts is stored with the new
study, so the older one may be deleted.
"""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

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
from search.trial.job import Parent
from snnkit.base.config import Config
from snnkit.base.files import atomic_write

OTHER_NETWORK, OTHER_DATA, NO_ENERGY = "another network", "other data", "no energy by this model"


class EvidenceTrial(Config):
    """A trial of the older study: its dials in the new space, and the values of the new study's objectives."""

    number: int
    params: dict[str, Leaf]
    values: tuple[float, ...]
    images: int | None = None  # that its weights were trained on, if trials of the new study may inherit them
    macs: float = 0.0


class Evidence(Config):
    """What a new study learns from ``study``. ``skipped`` counts its other finished trials by the reason.

    ``folder`` is the folder of the older study, from which `write_evidence` copies weights.
    """

    study: str
    trials: tuple[EvidenceTrial, ...]
    skipped: dict[str, int]
    folder: Path | None = Field(None, exclude=True)

    def describe(self) -> str:
        """Return one sentence on what counts and what does not."""
        total = len(self.trials) + sum(self.skipped.values())
        text = f"{len(self.trials)} of {count(total, 'finished trial')} of {self.study} are evidence for the sampler"
        if with_weights := sum(trial.images is not None for trial in self.trials):
            text += f", and the weights of {with_weights} may be inherited"
        reasons = [f"{reason} ({n})" for reason, n in sorted(self.skipped.items(), key=lambda each: -each[1])]
        return f"{text}; skipped: {listing(reasons)}" if reasons else text


def evidence_from(old: StudyRecord, space: Space, folder: Path | None = None) -> Evidence:
    """Return what the finished trials of ``old`` tell a study of ``space``.

    ``folder`` has the files of ``old``; without it, no weights can be inherited.

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
        result = _translated(trial, old_space.candidate(trial.params), space, folder)
        if isinstance(result, str):
            skipped[result] += 1
        else:
            found.append(result)
    evidence = Evidence(study=old.header.name, trials=tuple(found), skipped=dict(skipped), folder=folder)
    if not found:
        raise InputError(f"--from {old.header.name}: {evidence.describe()}. Leave --from out, or choose another study")
    return evidence


def _translated(trial: TrialRecord, candidate: Candidate, space: Space, folder: Path | None) -> EvidenceTrial | str:
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
    found = EvidenceTrial(number=trial.number, params=chosen, values=tuple(values.values()))
    if folder is None or not _inherits(space) or translated.data != candidate.data:
        return found
    weights = RunFolder(folder).trial(trial.number).weights
    if not weights.is_file():
        return found
    parent = Parent(number=trial.number, candidate=candidate, weights=weights).trained(trial)
    return found.model_copy(update={"images": parent.images, "macs": parent.macs})


def _inherits(space: Space) -> bool:
    return space.base.train.start == "inherit" or any(dial.path == "train.start" for dial in space.dials)


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
    """Store the evidence with a study, and the weights that its trials may inherit. Raises OSError."""
    for trial in evidence.trials:
        if trial.images is not None and evidence.folder is not None:
            weights = folder.older_weights(trial.number)
            weights.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(weights) as partial:
                shutil.copyfile(RunFolder(evidence.folder).trial(trial.number).weights, partial)
    replace_text(folder.evidence, evidence.model_dump_json(indent=1))


def attribute_of(evidence: Evidence) -> list[dict[str, Any]]:
    """Return what `search.samplers.history` reads from the study's attribute."""
    return [{"params": trial.params, "values": list(trial.values)} for trial in evidence.trials]
