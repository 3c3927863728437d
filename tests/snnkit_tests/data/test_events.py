"""Recordings of an event camera: their files, their time bins and their frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.recordings import Event, bin_file, random_events
from pydantic import ValidationError

from snnkit.base.config import EVENT_BINS, EncodingConfig
from snnkit.data import DATASETS, DataChoice, DataError, DataSet, Splits, dataset_status, load_dataset, split_dataset
from snnkit.data.datasets.nmnist import NMnistFiles
from snnkit.data.events import Recordings, merge_blocks, to_frames
from snnkit.training.augment import flip_crop, normalise
from snnkit.training.evaluation import batches

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two recordings of 3 and one of 7 for training, one of 7 for the test."""
    for name in ("Train/3/00002.bin", "Train/3/00010.bin", "Train/7/00004.bin", "Test/7/00001.bin"):
        bin_file(tmp_path / "NMNIST" / name, random_events(RNG))
    return tmp_path


def one(tmp_path: Path, events: list[Event]) -> np.ndarray:
    """The bins of a recording with these events: (32, 2, 34, 34)."""
    for part in ("Train", "Test"):
        bin_file(tmp_path / "NMNIST" / part / "0" / "00001.bin", events)
    rows: np.ndarray = NMnistFiles().read(tmp_path).train.rows()[0]
    return rows


def test_event_is_in_its_bin_of_10_ms(tmp_path: Path) -> None:
    found = one(
        tmp_path, [(0, 33, 0, 0), (5, 2, 1, 9_999), (5, 2, 1, 10_000), (33, 0, 0, 319_999), (1, 1, 1, 8_000_000)]
    )
    expected = np.zeros((32, 2, 34, 34), np.uint8)
    expected[0, 0, 33, 0] = expected[0, 1, 2, 5] = expected[1, 1, 2, 5] = expected[31, 0, 0, 33] = 1
    expected[31, 1, 1, 1] = 1  # after the last bin's end
    assert np.array_equal(found, expected)


def test_overflow_mark_advances_the_clock_and_is_not_an_event(tmp_path: Path) -> None:
    found = one(tmp_path, [(1, 1, 0, 2_000), (7, 240, 0, 0), (2, 2, 0, 2_000), (7, 240, 0, 0), (3, 3, 0, 4_000)])
    times_us = {1: 2_000, 2: 2_000 + 2**13, 3: 4_000 + 2 * 2**13}
    assert [tuple(place) for place in np.argwhere(found)] == [(t // 10_000, 0, n, n) for n, t in times_us.items()]


def test_recordings_are_labelled_by_their_folder(root: Path) -> None:
    data = NMnistFiles().read(root)
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([3, 3, 7], [7])
    assert data.classes == tuple("0123456789")
    assert data.train.array.shape[1:] == DATASETS["nmnist"].shape


def test_archives_may_be_unpacked_right_into_the_data_folder(root: Path, tmp_path: Path) -> None:
    bin_file(root / "NMNIST" / "Train" / "0" / "1.bin", random_events(RNG))
    assert len(load_dataset("nmnist", root / "NMNIST").train) == len(load_dataset("nmnist", root).train) == 4


def test_recordings_are_stored_and_mapped(root: Path) -> None:
    first, second = load_dataset("nmnist", root), load_dataset("nmnist", root)
    assert isinstance(second.train, Recordings)
    assert isinstance(second.train.array, np.memmap)
    assert np.array_equal(first.train.rows(), second.train.rows())
    bin_file(root / "NMNIST" / "Train" / "7" / "00009.bin", random_events(RNG))
    assert len(load_dataset("nmnist", root).train) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (bytes(104), "104 bytes, expected a multiple of 5, truncated; unpack the archive again"),
        (bytes([34, 0, 0, 0, 0]), "events outside 34x34 pixels"),
        (bytes([0, 239, 0, 0, 0]), "events outside 34x34 pixels"),
        (None, "Is a directory; unpack the archive again"),
    ],
)
def test_broken_recording_is_named(root: Path, content: bytes | None, message: str) -> None:
    path = root / "NMNIST" / "Train" / "3" / "00010.bin"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_dataset("nmnist", root)
    assert str(error.value).startswith(str(path))


def test_missing_part_is_named(root: Path) -> None:
    (root / "NMNIST" / "Test" / "7" / "00001.bin").unlink()
    with pytest.raises(DataError, match=r"NMNIST/Test: no recordings 0/\*\.bin to 9/\*\.bin"):
        load_dataset("nmnist", root)


def test_fetching_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(scratch: Path) -> DataSet:
        raise DataError("no network")

    monkeypatch.setitem(DATASETS, "nmnist", replace(DATASETS["nmnist"], downloads={"the archives": refuse}))
    parts = (
        "nmnist is not in",
        "could not be fetched (the archives: no network)",
        "put NMNIST/ with Train/<digit>/*.bin",
        "n-mnist",
        str(tmp_path),
    )
    with pytest.raises(DataError) as error:
        load_dataset("nmnist", tmp_path)
    assert all(part in str(error.value) for part in parts)
    assert not dataset_status("nmnist", tmp_path).available


WORDS = RNG.integers(0, 2**32, (3, 2, 34, 34), np.uint32)


@pytest.mark.parametrize("timesteps", [1, 2, 3, 5, 8, 10, 31, 32])
def test_every_bin_is_in_one_frame(timesteps: int) -> None:
    bins = (WORDS[:, None] >> np.arange(EVENT_BINS, dtype=np.uint32)[:, None, None, None]) & 1
    ends = [step * EVENT_BINS // timesteps for step in range(timesteps + 1)]
    expected = [bins[:, ends[t] : ends[t + 1]].max(axis=1) for t in range(timesteps)]
    assert np.array_equal(to_frames(WORDS, timesteps), np.stack(expected, axis=1))
    assert max(np.diff(ends)) - min(np.diff(ends)) <= 1


def test_pixel_of_a_smaller_frame_has_an_event_if_its_block_has_one() -> None:
    whole = to_frames(WORDS, 4)
    assert np.array_equal(to_frames(merge_blocks(WORDS, 17), 4), whole.reshape(3, 4, 2, 17, 2, 17, 2).max(axis=(4, 6)))


def cut(timesteps: int = 4, **choice: object) -> Splits:
    recordings = Recordings(RNG.integers(0, 2**32, (60, 2, 34, 34), np.uint32), np.arange(60) % 10)
    data = DataSet(recordings, recordings, tuple("0123456789"))
    return split_dataset(data, DataChoice.model_validate({"name": "nmnist"} | choice), 0, frames=timesteps)


def test_parts_are_views_of_recordings_with_the_frames_asked_for() -> None:
    found = cut(timesteps=5, classes=[1, 7], validation=4)
    assert (found.train.shape, len(found.train), len(found.validation)) == ((5, 2, 34, 34), 8, 4)
    assert found.train.array is found.test.array
    assert found.classes == ("1", "7")
    assert found.describe() == "nmnist: 8 train, 4 validation, 12 test recordings, 2x34x34, 2 classes"


def test_frames_reach_a_network_as_0_and_1() -> None:
    found = cut()
    (batch,) = batches(found.test, found, "cpu", batch=60)
    assert (batch.shape, batch.dtype, batch.unique().tolist()) == ((60, 4, 2, 34, 34), torch.float32, [0, 1])
    assert np.array_equal(batch.numpy(), found.test.rows())


def test_recordings_need_a_number_of_frames_and_images_have_none() -> None:
    recordings = Recordings(WORDS, np.array([0, 1, 0]))
    with pytest.raises(ValueError, match="holds recordings of events; give the number of frames"):
        split_dataset(DataSet(recordings, recordings, ("0", "1")), DataChoice(name="nmnist", validation=1), 0)


def test_flip_crop_moves_all_frames_of_a_recording_alike() -> None:
    still = torch.randint(0, 2, (40, 1, 2, 34, 34), dtype=torch.uint8)
    moved = flip_crop(still.expand(40, 6, 2, 34, 34), torch.Generator().manual_seed(0))
    assert moved.shape == (40, 6, 2, 34, 34)
    assert all(torch.equal(moved[:, 0], moved[:, step]) for step in range(6))
    assert torch.equal(moved[:, 0], flip_crop(still[:, 0], torch.Generator().manual_seed(0)))


def test_frames_are_not_normalised() -> None:
    assert normalise(torch.ones(2, 3, 2, 8, 8, dtype=torch.uint8), cut()).unique().tolist() == [1.0]


@pytest.mark.parametrize(("resolution", "fine"), [(17, True), (34, True), (16, False), (68, False)])
def test_resolution_of_events_merges_whole_blocks(resolution: int, fine: bool) -> None:
    section = {"name": "nmnist", "resolution": resolution}
    if fine:
        assert DataChoice.model_validate(section).shape == (2, resolution, resolution)
    else:
        with pytest.raises(ValidationError, match=f"resolution is {resolution}; .* write one of 17, 34"):
            DataChoice.model_validate(section)


def test_no_more_frames_than_bins() -> None:
    assert EncodingConfig(kind="frames", timesteps=32).frames == 32
    assert EncodingConfig(timesteps=64).frames is None
    with pytest.raises(ValidationError, match="given 33; a recording has at most 32 frames"):
        EncodingConfig(kind="frames", timesteps=33)
