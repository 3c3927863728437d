"""Read studies for a comparison: their records, the identity of their candidates and the settings of their spaces."""

from collections.abc import Iterator, Mapping, Sequence

from reports.comparison.comparison import Entry
from reports.records.study import StudyRecord
from search.errors import InputError, format_value
from search.space import document
from search.space.loading.loader import load_space
from search.space.space import ParamsError

NO_SETTINGS = ("study.name", "candidates", "reference")  # named candidates and points are no settings
DIAL_KEYS = ({"choices"}, {"low", "high"})  # of a mapping that is a dial
VERSIONS = ("snnsearch", "torch")  # that may change figures


def entry_of(study: StudyRecord) -> Entry:
    """Return ``study`` with the identity of each candidate; without it if this version cannot load its space."""
    keys: dict[int, str] = {}
    networks: dict[int, str] = {}
    try:
        space = load_space(study.header.space_yaml)
        for trial in study.trials:
            if trial.status == "complete":
                candidate = space.candidate(trial.params)
                keys[trial.number], networks[trial.number] = candidate.fingerprint, candidate.network_key
    except (InputError, ParamsError):
        keys, networks = {}, {}
    return Entry(study, keys, networks, dict(_settings(study)))


def _settings(study: StudyRecord) -> Iterator[tuple[str, str]]:
    yield from _leaves(document.parse(study.header.space_yaml).tree, ())
    for package in VERSIONS:
        if package in study.header.versions:
            yield f"version of {package}", study.header.versions[package]


def _leaves(tree: Mapping[str, document.Tree], above: Sequence[str]) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = ".".join((*above, key))
        if path in NO_SETTINGS:
            continue
        if isinstance(value, dict) and value and not any(keys <= value.keys() for keys in DIAL_KEYS):
            yield from _leaves(value, (*above, key))
        else:
            yield path, value if isinstance(value, str) else format_value(value)
