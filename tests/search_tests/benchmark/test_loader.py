"""Benchmark files: what they amount to, and what is said of broken ones."""

from pathlib import Path

import pytest
from helpers.small_benchmarks import TINY

from reports.storage.benchmarks import read_header
from search.benchmark.loader import load_benchmark
from search.errors import SpaceError
from search.space.loading.loader import load_space
from search.space.sections import DEVICES, Device

SPACES = Path(__file__).parents[3] / "spaces"
SHIPPED = sorted(SPACES.glob("benchmark*.yaml"))

# ruff: noqa: E501  one case a line
# name: (what is replaced, by what, the line and path that the message starts with, what else it says)
BROKEN: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "section misspelt": ("encoding:", "encodng:", "12: encodng: ", ("unknown key", "did you mean encoding?")),
    "no data": (TINY[TINY.index("data:\n"):TINY.index("published:")], "", "1: data: ", ("missing", "cifar10")),
    "no networks": (TINY[TINY.index("networks:"):TINY.index("encoding:")], "networks: {}\n", "5: networks: ", ("given {}", "SqueezeNet")),
    "65 networks": (
        TINY[TINY.index("networks:"):TINY.index("encoding:")],
        "networks: {" + ", ".join(f"n{at}: {{family: squeezenet}}" for at in range(65)) + "}\n", "5: networks: ", ("64 are the most",),
    ),
    "unknown family": ("family: squeezenet", "family: squeezent", "7: networks.One.family: ", ("did you mean squeezenet?",)),
    "no family": ("family: squeezenet, ", "", "6: networks.One.family: ", ("is missing", "squeezenet")),
    "unknown data set": ("  digits: {", "  digit: {", "15: data.digit: ", ("did you mean digits?",)),
    "data set without content": ("{subset: 200, validation: 0.2, test: 50, train: {epochs: 2}}", "", "15: data.digits: ", ("given null", "subset")),
    "leaf misspelt": ("stem: {width: 8}", "stem: {wdth: 8}", "7: networks.One.stem.wdth: ", ("did you mean width?",)),
    "leaf of the wrong type": ("stem: {width: 8}", "stem: {width: wide}", "7: networks.One.stem.width: ", ("'wide'", "whole number")),
    "dial": ("timesteps: 2", "timesteps: {choices: [1, 2]}", "12: encoding.timesteps: ", ("no dials", "one value")),
    "dial in a network": ("width: 8", "width: {low: 8, high: 16}", "7: networks.One.stem.width: ", ("no dials",)),
    "images for an event camera": ("timesteps: 2", "timesteps: 2, kind: frames", "15: data.digits.encoding: ", ("holds still images", "kind: direct")),
    "epochs of a data set": ("train: {epochs: 2}", "train: {epochs: 0}", "15: data.digits.train.epochs: ", ("not below 1",)),
    "weights of another training": ("train: {epochs: 2}", "train: {epochs: 2, start: inherit}", "15: data.digits.train.start: ", ("no nearest relative", "scratch, cnn", "weights: OTHER")),
    "subset too large": ("subset: 200", "subset: 20_000", "15: data.digits: ", ("1,437",)),
    "network too deep for the images": ("after: [stem, fire2]", "after: [stem, fire2, fire3, fire4, fire5]", "6: networks.One: ", ("does not build on digits", "pool")),
    "equal networks": ("fire3: {keep: false}", "fire3: {squeeze: 4, expand1x1: 8, expand3x3: 8}", "9: networks.Two: ", ("equal to One",)),
    "label with a dot": ("  Two:", "  Two.1:", "9: networks.Two.1: ", ("cannot be a label",)),
    "label that shadows": ("  Two:", "  copy:", "9: networks.copy: ", ("cannot be a label",)),
    "no seeds": ("[0, 1]", "[]", "3: benchmark.seeds: ", ("write [0, 1, 2]",)),
    "seed twice": ("[0, 1]", "[1, 1]", "3: benchmark.seeds: ", ("each seed once",)),
    "bad name": ("name: tiny", "name: Tiny One", "2: benchmark.name: ", ("write tiny-one",)),
    "budget without unit": ("20m", "20", "4: benchmark.budget.time: ", ("20m",)),
    "trials as a budget": ("{time: 20m}", "{trials: 3}", "4: benchmark.budget.trials: ", ("unknown key",)),
    "published of no network": ("network: One, kind: snn", "network: Onee, kind: snn", "17: published[0].network: ", ("did you mean One?",)),
    "published of no data set": ("data: digits, network: One, kind: snn", "data: cifar10, network: One, kind: snn", "17: published[0].data: ", ("digits",)),
    "published of no kind": ("kind: cnn", "kind: ann", "18: published[1].kind: ", ("snn, cnn",)),
    "published twice": ("kind: cnn", "kind: snn", "18: published[1]: ", ("published[0]",)),
    "published in percent": ("accuracy: 0.9, params", "accuracy: 90, params", "17: published[0].accuracy: ", ("not above 1",)),
    "published by an unknown price": ("source: nowhere", "price: horowitz", "17: published[0].price: ", ("did you mean horowitz45/exact?",)),
    "profile with an unknown path": ("published:", "profiles: {cuda: {networks.One.stm.width: 8}}\npublished:", "16: profiles.cuda.networks.One.stm.width: ", ("stem.width?",)),
    "profile with a bad value": ("published:", "profiles: {cuda: {train.epochs: 0}}\npublished:", "16: train.epochs: ", ("not below 1",)),
    "own leaves that do not go with the rest": ("train: {epochs: 1,", "overrides: {Two: {train: {epochs: 2}}}\ntrain: {epochs: 5, short_epochs: 3,", "13: overrides.Two.train: ", ("short_epochs 3 of 2",)),
    "a data set's leaves that do not go with the rest": ("train: {epochs: 2}", "train: {epochs: 2, rungs: [3]}", "15: data.digits.train: ", ("rungs [3]",)),
    "weights of nothing here": ("published:", "overrides: {Two: {weights: Onee}}\npublished:", "16: overrides.Two.weights: ", ("allowed are One", "did you mean One?")),
    "weights of its own": ("published:", "overrides: {Two: {weights: Two}}\npublished:", "16: overrides.Two.weights: ", ("is not listed above it",)),
    "weights of another network": ("published:", "overrides: {Two: {weights: One}}\npublished:", "16: overrides.Two.weights: ", ("networks.One",)),
    "mean of one": ("published:", "overrides: {Two: {mean_of: [One]}}\npublished:", "16: overrides.Two.mean_of: ", ("at least 2",)),
    "mean of one twice": (
        "published:", "overrides: {Two: {mean_of: [One, One]}}\npublished:", "16: overrides.Two.mean_of: ", ("given One, One", "once"),
    ),
    "mean of nothing here": ("published:", "overrides: {Two: {mean_of: [One, Onee]}}\npublished:", "16: overrides.Two.mean_of: ", ("did you mean One?",)),
    "mean beside weights": (
        "published:", "overrides: {Two: {mean_of: [One, Three], weights: One}}\npublished:", "16: overrides.Two.mean_of: ", ("keep one",),
    ),
    "mean that is trained": (
        "published:", "overrides: {Two: {mean_of: [One, Three], train: {lr: 0.1, recalibrate: 9}}}\npublished:", "16: overrides.Two.train: ",
        ("given lr,", "may have recalibrate"),
    ),
    "weights of what is trained later": ("published:", "overrides: {One: {weights: Two}}\npublished:", "16: overrides.One.weights: ", ("given Two", "move it there")),
}  # fmt: skip


def error_of(text: str, **changes) -> str:
    with pytest.raises(SpaceError) as caught:
        load_benchmark(text, **changes)
    return str(caught.value)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_with_its_line_and_remedy(name: str) -> None:
    old, new, place, says = BROKEN[name]
    assert old in TINY
    message = error_of(TINY.replace(old, new, 1))
    lines = [line for line in message.splitlines() if line.startswith(f"<text>:{place}")]
    assert any(all(word in line for word in says) for line in lines), message


def test_space_and_benchmark_are_told_apart() -> None:
    space = (SPACES / "smoke.yaml").read_text()
    assert "snnsearch launch" in error_of(space)
    with pytest.raises(SpaceError, match="snnsearch bench"):
        load_space(TINY)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_benchmark_loads_and_its_dump_too(file: Path, device: Device) -> None:
    benchmark = load_benchmark(file, device=device)
    again = load_benchmark(benchmark.dump(), device=device)
    assert (again.fingerprint, again.cells, again.candidates) == (
        benchmark.fingerprint,
        benchmark.cells,
        benchmark.candidates,
    )
    assert len(benchmark.networks) == 5
    assert {point.network for point in benchmark.published} == set(benchmark.networks)


def test_own_leaves_may_need_what_all_networks_have() -> None:
    text = TINY.replace("published:", "overrides: {Two: {train: {distill: 0.5}}}\npublished:").replace(
        "lr: 0.01", "start: cnn"
    )
    candidates = load_benchmark(text).candidates["digits"]
    assert [candidates[network].train.distill for network in ("One", "Two")] == [0.0, 0.5]


def test_null_among_own_leaves_is_written_out_as_such() -> None:
    text = TINY.replace("lr: 0.01", "lr: 0.01, ema: 0.9")
    benchmark = load_benchmark(text.replace("published:", "overrides: {Two: {train: {ema: null}}}\npublished:"))
    again = load_benchmark(benchmark.dump())
    assert again.candidates == benchmark.candidates
    assert again.candidates["digits"]["Two"].train.ema is None
    assert benchmark.fingerprint != load_benchmark(text).fingerprint


def test_former_keys_are_accepted_with_a_hint(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    text = TINY.replace("published:", "overrides: {Two: {train: {lr: 0.1}}}\npublished:")
    text = text.replace("{time: 20m}", "{time: 20m}\n  limits: {stall_timeout: 5m}")
    file = tmp_path / "old.yaml"
    file.write_text(text.replace("overrides:", "own:").replace("stall_timeout:", "silence:"))
    former = load_benchmark(file)
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}:17: own is now called overrides; please write that instead",
        f"{file}:5: benchmark.limits.silence is now called stall_timeout; please write that instead",
    ]
    load_benchmark(file.read_text())  # stored text, which nobody can edit
    assert len(caplog.records) == 2
    now = load_benchmark(text)
    assert (former.tree, former.fingerprint, former.dump()) == (now.tree, now.fingerprint, now.dump())
    assert now.tree["benchmark"]["limits"]["stall_timeout"] == "5m"


def test_former_keys_are_accepted_in_profiles_and_overrides() -> None:
    text = TINY.replace("published:", "overrides: {Two: {train: {lr: 0.1}}}\npublished:")
    profile = text + "profiles: {cpu: {own.Two.train.lr: 0.2}}\n"
    assert load_benchmark(profile).candidates["digits"]["Two"].train.lr == 0.2
    there = load_benchmark(text, overrides={"own.Two.train.lr": 0.3, "benchmark.limits": "{silence: 5m}"})
    assert there.candidates["digits"]["Two"].train.lr == 0.3
    assert there.section.limits.stall_timeout == "5m"


def test_file_with_a_former_key_and_the_new_one_is_refused() -> None:
    text = TINY.replace("published:", "overrides: {}\nown: {}\npublished:")
    assert ":17: own: unknown key" in error_of(text)


def test_stored_fingerprint_is_that_of_the_file_as_read_now() -> None:
    stored = Path(__file__).parents[2] / "golden" / "stored" / "old-benchmark"
    assert load_benchmark(stored / "benchmark.yaml").fingerprint == read_header(stored).benchmark_hash


def test_shipped_benchmark_has_the_published_squeezenets() -> None:
    benchmark = load_benchmark(SPACES / "benchmark.yaml")
    figures = {
        (data, network): row[network].static()["params"]
        for data, row in benchmark.candidates.items()
        for network in ("SqueezeNet", "SqueezeNet-P")
    }
    assert figures == {  # as derived from the paper's network; it rounds them to hundreds
        ("cifar10", "SqueezeNet"): 736_458, ("cifar10", "SqueezeNet-P"): 549_114,
        ("cifar100", "SqueezeNet"): 782_628, ("cifar100", "SqueezeNet-P"): 595_284,
        ("tiny-imagenet", "SqueezeNet"): 833_928, ("tiny-imagenet", "SqueezeNet-P"): 646_584,
    }  # fmt: skip


def test_whole_benchmark_is_families_times_data_sets_times_kinds_times_seeds() -> None:
    benchmark = load_benchmark(SPACES / "benchmark.yaml")
    assert len(benchmark.cells) == 5 * 3 * 2 * 3
    assert len(load_benchmark(SPACES / "benchmark.yaml", overrides={"benchmark.twins": "false"}).cells) == 5 * 3 * 3


def test_every_table_is_whole_before_the_next_seed_begins() -> None:
    cells = load_benchmark(TINY).cells
    half = len(cells) // 2
    assert {cell.seed for cell in cells[:half]} == {0}
    assert {(c.data, c.network, c.kind) for c in cells[:half]} == {(c.data, c.network, c.kind) for c in cells}
    assert [cell.kind for cell in cells[:2]] == ["snn", "cnn"]


def test_data_set_has_its_own_training_and_the_rest_is_shared() -> None:
    text = TINY.replace("published:", "  fashion-mnist: {subset: 100, encoding: {timesteps: 5}}\npublished:")
    candidates = load_benchmark(text).candidates
    digits, fashion = candidates["digits"]["One"], candidates["fashion-mnist"]["One"]
    assert (digits.train.epochs, digits.encoding.timesteps) == (2, 2)
    assert (fashion.train.epochs, fashion.encoding.timesteps) == (1, 5)
    assert digits.train.lr == fashion.train.lr == 0.01


def test_hash_follows_the_trainings_alone() -> None:
    base = load_benchmark(TINY).fingerprint
    same = {"benchmark.name": "other", "benchmark.budget": "null", "published": "[]"}
    assert all(load_benchmark(TINY, overrides={path: value}).fingerprint == base for path, value in same.items())
    other = {
        "benchmark.seeds": "[0]",
        "train.lr": "0.02",
        "data.digits.train.epochs": "3",
        "networks.One.stem.width": "9",
    }
    assert all(load_benchmark(TINY, overrides={path: value}).fingerprint != base for path, value in other.items())


def test_profile_replaces_leaves_on_its_device() -> None:
    text = TINY + "profiles: {cuda: {train.batch: 128, data.digits.train.epochs: 30, networks.One.stem.width: 16}}\n"
    cpu, cuda = (load_benchmark(text, device=device).candidates["digits"]["One"] for device in DEVICES)
    assert (cpu.train.batch, cpu.train.epochs) == (40, 2)
    assert (cuda.train.batch, cuda.train.epochs) == (128, 30)
    assert cuda.static()["params"] > cpu.static()["params"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("train.epoch", "1", "did you mean train.epochs?"),
        ("networks.Too.stem.width", "9", "no such path"),
        ("data.digits.subset", "0", "--set: data.digits.subset: given 0"),
        ("candidates", "{}", "no such path"),
    ],
)
def test_bad_override_is_refused(path: str, value: str, says: str) -> None:
    assert says in error_of(TINY, overrides={path: value})


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_networks_have_the_published_sizes(file: Path) -> None:
    benchmark = load_benchmark(file)
    for point in benchmark.published:
        if point.params is not None and point.network != "SqueezeNet-P":  # whose published count is not its own
            own = benchmark.candidates[point.data][point.network].static()["params"]
            assert own == pytest.approx(point.params, rel=0.01)
