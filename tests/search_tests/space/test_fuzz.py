"""Whatever a file holds, it loads or is refused with an error that says why: claims of `benchmarks.reliability.claims`.

SNNSEARCH_FUZZ=2000 draws so many inputs for each claim in place of 30; docs/reliability/fuzz.md says what that found.
"""

import io
import os
import random
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.reliability import claims
from benchmarks.reliability.fuzz import SMALL
from benchmarks.reliability.mutations import LETTERS, RAW, mutated
from search.errors import SpaceError
from search.space import document
from search.space.loading.loader import load_space

ROOT = Path(__file__).parents[3]
EXAMPLES = int(os.environ.get("SNNSEARCH_FUZZ", "30"))
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "spaces").glob("*.yaml"))}
SPACES = [SMALL["space"], *(text for text in FILES.values() if "\nbenchmark:" not in text)]
BENCHMARKS = [SMALL["benchmark"], *(text for text in FILES.values() if "\nbenchmark:" in text)]
pytestmark = [
    pytest.mark.timeout(1800 + 10 * EXAMPLES),
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),
]
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.dates().map(str),
    st.sampled_from(["choices", "low", "high", "squeezenet", "digits", "inherit", "cnn", "frames", "10m"]),
)  # fmt: skip
KEYS = st.one_of(
    st.text(max_size=8), st.sampled_from(["choices", "low", "high", "step", "log", "default", "keep", "max", "width"])
)
TREES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=4), max_leaves=8
)


@fuzzed
@given(st.text() | st.text(st.sampled_from(LETTERS + "abk123\n")) | st.lists(st.sampled_from(RAW)).map("\n".join))
def test_any_text_loads_or_is_refused(text: str) -> None:
    data = text.encode(errors="replace")
    claims.space(data)
    claims.benchmark(data)


@fuzzed
@given(st.sampled_from(SPACES), st.randoms(use_true_random=False))
def test_changed_space_loads_and_dumps_or_is_refused(text: str, rng: random.Random) -> None:
    claims.space(mutated(text, rng).encode(errors="replace"))


@fuzzed
@given(st.sampled_from(BENCHMARKS), st.randoms(use_true_random=False))
def test_changed_benchmark_loads_and_dumps_or_is_refused(text: str, rng: random.Random) -> None:
    claims.benchmark(mutated(text, rng).encode(errors="replace"))


@fuzzed
@given(st.data(), st.sampled_from(SPACES[:2]))
def test_space_with_any_leaf_loads_and_dumps_or_is_refused(data: st.DataObject, text: str) -> None:
    tree = document.parse(text).tree
    at = tree
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        below = at[key]
        if not isinstance(below, dict) or not below or data.draw(st.booleans()):
            break
        at = below
    at[key] = data.draw(TREES)
    claims.space(yaml.safe_dump(tree, allow_unicode=True).encode(errors="replace"))


@fuzzed
@given(
    st.sampled_from(["train.epochs", "study.name", "network", "candidates", "study.objectives.a", "network.fire2.keep"])
    | st.text(),
    st.text() | st.sampled_from(RAW),
)
def test_any_override_is_laid_over_or_refused(path: str, value: str) -> None:
    try:
        found = load_space(SMALL["space"], overrides={path: value})
    except SpaceError:
        return
    assert load_space(found.dump()) == found


@fuzzed
@given(TREES)
def test_any_tree_is_read_back_as_it_was_written(tree: object) -> None:
    try:
        written = document.dump({"tree": tree})
        read = document.parse(written).tree["tree"]
    except SpaceError:
        return  # a number too large, a character that no text has
    assert same(read, tree), written


def same(read: object, written: object) -> bool:
    """Ignore NaN and infinities, which our YAML reads as words, and numbers of more than 31 digits."""
    if isinstance(written, int | float) and not abs(written) < 1e30:
        return True
    if isinstance(written, dict):
        return (
            isinstance(read, dict) and list(read) == list(written) and all(same(read[k], v) for k, v in written.items())
        )
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(same, read, written))
    return read == written and (type(read) is type(written) or isinstance(written, int | float))


@fuzzed
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4), st.sampled_from(["archive", "older", "pickle"]))
def test_changed_checkpoint_is_read_or_refused(spot: int, put: bytes, layer: str) -> None:
    archive, older = claims.states()
    if layer == "pickle":
        claims.checkpoint(repickled(archive, spot, put))
    else:
        claims.checkpoint(exchanged(archive if layer == "archive" else older, spot, put))


def exchanged(content: bytes, spot: int, put: bytes) -> bytes:
    spot %= len(content)
    return content[:spot] + put + content[spot + len(put) :]


def repickled(body: bytes, spot: int, put: bytes) -> bytes:
    """The archive with its pickle changed, and whole as an archive."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            archive.writestr(name, exchanged(content, spot, put) if name.endswith("data.pkl") else content)
    return new.getvalue()


@pytest.mark.parametrize(
    "text", ["\x85", "a\u2028b", "\u2029", "\n", " \n a", "\x00", "\x1b[2J", "\t", "é\xa0", "\ufeff", "a: b"]
)
def test_text_of_any_letters_is_read_back_as_it_was_written(text: str) -> None:
    assert document.parse(document.dump({text: [text]})).tree == {text: [text]}
