"""A space describes its own data: paths, options and figures are completed, stored and checked."""

from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import npz_file, picture, picture_folder, recording

from search.benchmark.finalists import Finalist, benchmark_text
from search.benchmark.loader import load_benchmark
from search.errors import SpaceError
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.data import DataSource, load_dataset, split_dataset

SPACE = """
study:
  name: own
  budget: {trials: 2}
  objectives: {accuracy: maximize, params: minimize}
network:
  family: squeezenet
  fire5: {keep: {choices: [true, false]}}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "cache"))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return picture_folder(tmp_path / "pets", {"train": 6, "val": 2, "test": 2}, size=(32, 32))


def load(tmp_path: Path, data: str, **overrides: str) -> Space:
    path = tmp_path / "own.yaml"
    path.write_text(f"{SPACE}data: {data}\n")
    return load_space(path, overrides={name.replace("__", "."): value for name, value in overrides.items()})


def problems_of(tmp_path: Path, data: str, **overrides: str) -> str:
    with pytest.raises(SpaceError) as error:
        load(tmp_path, data, **overrides)
    return str(error.value)


def test_path_is_relative_to_the_file_and_figures_are_filled_in(tmp_path: Path, pets: Path) -> None:
    data = load(tmp_path, "{folder: pets}").base.data
    assert (data.name, data.folder, data.outputs, data.shape) == ("pets", str(pets), 3, (3, 32, 32))
    assert (data.validation, data.train_images, data.info.test) == ("own", 18, 6)
    assert isinstance(data.source, DataSource)


def test_path_of_the_home_folder_and_of_the_command_line(
    tmp_path: Path, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(tmp_path, "{folder: ~/pets}").base.data.folder == str(pets)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = load(tmp_path, "{folder: nowhere}", data__folder="../pets").base.data
    assert found.folder == str(pets)


def test_stored_space_loads_without_the_files(tmp_path: Path, pets: Path) -> None:
    space = load(tmp_path, "{folder: pets, resolution: {choices: [16, 32]}, validation: 0.2}")
    pets.rename(tmp_path / "moved")
    again = load_space(space.dump())
    assert (again, again.fingerprint, again.base.data) == (space, space.fingerprint, space.base.data)


def test_place_does_not_make_another_space_but_content_does(tmp_path: Path, pets: Path) -> None:
    first = load(tmp_path, "{folder: pets}")
    pets.rename(tmp_path / "moved")
    moved = load(tmp_path, "{folder: moved}")
    assert (moved.fingerprint, moved.base.fingerprint) == (first.fingerprint, first.base.fingerprint)
    picture(tmp_path / "moved" / "train" / "cat" / "new.png", size=(32, 32), seed=99)
    other = load(tmp_path, "{folder: moved}")
    assert other.fingerprint != first.fingerprint
    assert other.base.fingerprint != first.base.fingerprint


def test_largest_resolution_is_the_size_that_pictures_are_read_at(tmp_path: Path, pets: Path) -> None:
    picture(pets / "train" / "cat" / "odd.png", size=(50, 40), seed=5)
    assert "2 sizes" in problems_of(tmp_path, "{folder: pets}")
    data = load(tmp_path, "{folder: pets, resolution: {choices: [16, 24]}}").base.data
    assert (data.size, data.info.shape) == (24, (3, 24, 24))
    assert load_dataset(data.source, side=16).train.shape == (3, 16, 16)
    data = load(tmp_path, "{folder: pets, resolution: 16}\nretrain: {data.resolution: 32}").base.data
    assert (data.size, data.shape) == (32, (3, 16, 16))
    small = "{folder: pets, size: 16, resolution: 24}"
    assert "resolution is 24, but pictures are read at 16 pixels; write size: 24" in problems_of(tmp_path, small)


def test_own_validation_pictures_are_validated_on(tmp_path: Path, pets: Path) -> None:
    choice = load(tmp_path, "{folder: pets, subset: 9, classes: [fox, cat]}").base.data
    whole = load_dataset(choice.source)
    parts = split_dataset(whole, choice, seed=0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [9, 4, 4]
    assert (parts.validation.rows() == whole.validation.array[[0, 1, 4, 5]]).all()
    assert parts.validation.labels.tolist() == [1, 1, 0, 0]
    cut = load(tmp_path, "{folder: pets, validation: 3}").base.data
    parts = split_dataset(load_dataset(cut.source), cut, seed=0)
    assert (len(parts.train), len(parts.validation)) == (15, 3)


def test_notes_are_part_of_the_description(tmp_path: Path, pets: Path) -> None:
    picture(pets / "train" / "cat" / "grey.png", size=(32, 32), mode="L")
    choice = load(tmp_path, "{folder: pets}").base.data
    assert "1 grey picture was turned into colour ones" in split_dataset(load_dataset(choice.source), choice, 0).gaps


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{folder: pets, npz: a.npz}", "given folder and npz; write one of them"),
        ("{name: cifar10, folder: pets}", "data.folder: given name: cifar10 and folder; write one of them"),
        ("{folder: nowhere}", "own.yaml:9: data.folder: "),
        ("{folder: nowhere}", "nowhere does not exist"),
        ("{folder: pets, classes: 5}", "classes asks for 5; pets has 3 classes"),
        ("{folder: pets, window: count, layout: nchw}", "layout is for npz, not for data.folder; leave it out"),
        ("{name: digits, window: count}", "window is for folder and tonic, not for a data set by name"),
        ("{folder: pets, subset: 100}", "subset is 100; pets has 18 training images"),
        ("{npz: own.npz, validation: own}", "own has no validation images of its own"),
        ("{folder: {choices: [a, b]}}", "this cannot be a dial"),
        ("{foldr: pets}", "describe your own data with folder, npz, torchvision, tonic; did you mean folder?"),
        ("{folder: pets, window: count}", "window is for recordings of events, and pets holds images"),
        ("{folder: 3}", "given 3; write text"),
        ("{folder: pets, foldr: 3}", "unknown key"),
        ("{folder: pets, size: 0}", "data.size: given 0; write a number not below 1"),
        ("{npz: own.npz, resolution: 4}", "data.resolution: given 4; write a number not below 8"),
    ],
)
def test_wrong_descriptions_are_explained(tmp_path: Path, pets: Path, data: str, words: str) -> None:
    npz_file(tmp_path / "own.npz")
    assert words in problems_of(tmp_path, data)


def test_all_problems_of_the_files_are_reported_with_the_line(tmp_path: Path, pets: Path) -> None:
    for row in range(2):
        (pets / "train" / "cat" / f"00{row}.png").write_text("none")
    picture(pets / "test" / "dog" / "odd.png", size=(5, 5))
    lines = problems_of(tmp_path, "{folder: pets}").splitlines()
    assert len(lines) == 2
    assert all("own.yaml:9: data.folder: " in line for line in lines)


def test_events_need_frames_and_take_any_size(tmp_path: Path) -> None:
    for row, label in enumerate(["a", "a", "a", "b", "b", "b"]):
        recording(tmp_path / "events" / label / f"{row}.npy", size=(40, 30), seed=row)
    assert "write encoding: {kind: frames}" in problems_of(tmp_path, "{folder: events, resolution: 16}")
    text = "{folder: events, resolution: 16, window: count, values: counts}\nencoding: {kind: frames, timesteps: 3}"
    space = load(tmp_path, text)
    choice = space.base.data
    assert (choice.shape, choice.info.events, choice.size) == ((2, 16, 16), True, 16)
    parts = split_dataset(load_dataset(choice.source, side=16), choice, 0, frames=3)
    frames = parts.train.rows()
    assert (frames.shape[1:], parts.mean) == ((3, 2, 16, 16), ())
    assert (np.abs(frames.sum((2, 3, 4)).astype(int) - 200 / 3) <= 7).all()


def test_benchmark_of_described_data(tmp_path: Path, pets: Path) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(
        "benchmark: {name: b, seeds: [0]}\nnetworks: {SqueezeNet: {family: squeezenet}}\n"
        "data: {pets: {folder: pets, train: {epochs: 2}}, digits: {}}\n"
    )
    benchmark = load_benchmark(path)
    assert benchmark.candidates["pets"]["SqueezeNet"].data.folder == str(pets)
    again = load_benchmark(benchmark.dump())
    assert again.candidates == benchmark.candidates
    text = path.read_text()
    for label, words in (("cifar10", "another label, such as own"), ("a.b", "cannot be a label")):
        path.write_text(text.replace("{pets:", f"{{{label}:"))
        with pytest.raises(SpaceError, match=words):
            load_benchmark(path)
    path.write_text(text.replace("folder: pets,", "folder: nowhere,"))
    with pytest.raises(SpaceError, match=r"bench.yaml:3: data.pets.folder: .*does not exist"):
        load_benchmark(path)


@pytest.mark.parametrize(
    ("given", "name"), [("pets", "pets"), ("pets, name: My pets!", "My-pets"), ("../cifar10", "cifar10-folder")]
)
def test_finalists_are_trained_on_the_same_data(tmp_path: Path, pets: Path, given: str, name: str) -> None:
    (tmp_path / "cifar10").symlink_to(pets)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "pets").symlink_to(pets)
    space = load(tmp_path / "spaces", f"{{folder: {given}}}")
    text = benchmark_text("finals", [Finalist("one", space.base)], space, [0], base=space.base)
    entry = load_benchmark(text).candidates[name]["one"].data
    assert entry == space.base.data
