"""Recordings of event cameras of any size become frames of bits or counts, cut by time or by count."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import FIELDS, picture, recording
from helpers.recordings import bin_file

from snnkit.data import DataError, DataProblems, DataSet, DataSource
from snnkit.data.events import CountedRecordings, Recordings, merge_blocks
from snnkit.data.sources import READERS
from snnkit.data.sources import events as reader


def folder(root: Path) -> Path:
    """Write two recordings of each of two classes."""
    for seed, name in enumerate(("a/0", "a/1", "b/0", "b/1")):
        recording(root / f"{name}.npy", seed=seed)
    return root


def read(root: Path, **options: object) -> DataSet:
    return READERS["folder"].read(DataSource(kind="folder", place=str(root), label="own", **options))


def single(events: list[tuple[int, int, int, int]], **options: object) -> Recordings:
    """One recording of a sensor of 8x6 pixels."""
    opened = {"train": [("one", lambda: {name: np.array(events, FIELDS)[name] for name, _ in FIELDS})]}
    source = DataSource(kind="folder", place="/", label="own", sensor=(8, 6), **options)
    parts, _ = reader.decode(opened, {"train": np.array([0])}, source)
    assert isinstance(parts["train"], Recordings)
    return parts["train"]


def test_sensor_is_as_large_as_events_reach_unless_it_is_given(tmp_path: Path) -> None:
    root = folder(tmp_path)
    assert read(root).train.shape[1:] == (2, 12, 16)
    assert read(root, sensor=(20, 15)).train.shape[1:] == (2, 15, 20)
    with pytest.raises(DataProblems, match=r"4 recordings cannot be used: .*outside 8x8 pixels"):
        read(root, sensor=(8, 8))


def test_windows_by_time_have_equal_durations() -> None:
    events = [(1, 0, 1000, 1), (2, 0, 1100, 1), (3, 0, 1200, 0), (4, 0, 2000, 1)]
    frames = type(single(events))(single(events).array, np.array([0]), timesteps=2).rows()[0]
    assert [np.argwhere(frame).tolist() for frame in frames] == [[[0, 0, 3], [1, 0, 1], [1, 0, 2]], [[1, 0, 4]]]


def test_windows_by_count_have_equally_many_events() -> None:
    events = [(1, 0, 1000, 1), (2, 0, 1100, 1), (3, 0, 1200, 0), (4, 0, 2000, 1)]
    found = single(events, window="count")
    frames = type(found)(found.array, np.array([0]), timesteps=2).rows()[0]
    assert [np.argwhere(frame).tolist() for frame in frames] == [[[1, 0, 1], [1, 0, 2]], [[0, 0, 3], [1, 0, 4]]]


def test_events_out_of_order_are_sorted() -> None:
    events = [(1, 0, 0, 1), (2, 0, 50, 1), (3, 0, 100, 1)]
    assert (single(events).array == single(events[::-1]).array).all()


def test_counts_count_and_end_at_255() -> None:
    events = [(1, 2, 0, 1)] * 3 + [(5, 2, 0, 0)] * 300 + [(0, 0, 100, 1)]
    found = single(events, values="counts")
    assert isinstance(found, CountedRecordings)
    frames = type(found)(found.array, np.array([0]), timesteps=4).rows()[0]
    assert frames.shape == (4, 2, 6, 8)
    assert (frames[0, 1, 2, 1], frames[0, 0, 2, 5], frames[3, 1, 0, 0], int(frames.sum())) == (3, 255, 1, 259)


@pytest.mark.parametrize("timesteps", [1, 3, 5, 32])
def test_counts_are_positive_where_bits_are_set(timesteps: int, tmp_path: Path) -> None:
    root = folder(tmp_path)
    bits, counts = read(root).train, read(root, values="counts").train
    assert isinstance(bits, Recordings)
    assert isinstance(counts, CountedRecordings)
    frames = replace(bits, timesteps=timesteps).rows(), replace(counts, timesteps=timesteps).rows()
    assert (frames[0] == (frames[1] > 0)).all()
    assert int(frames[1].sum()) == 200 * len(counts)


@pytest.mark.parametrize("values", ["bits", "counts"])
@pytest.mark.parametrize("side", [4, 5, 12])
def test_reading_at_a_size_equals_merging_afterwards(tmp_path: Path, values: str, side: int) -> None:
    root = folder(tmp_path)
    whole, small = read(root, values=values), read(root, values=values, size=side)
    assert (merge_blocks(whole.train.array, side) == small.train.array).all()
    assert small.notes == (f"pixels of the sensor (16x12) were merged into {side}x{side}",)


def test_size_above_the_sensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblems, match="16x12 pixels; write a resolution of at most 12"):
        read(folder(tmp_path), size=13)


def test_all_formats_hold_the_same_events(tmp_path: Path) -> None:
    events = [(1, 2, 1, 0), (3, 4, 0, 500), (33, 33, 1, 900)]  # x, y, polarity, time
    x, y, p, t = (np.array(column) for column in zip(*events, strict=True))
    np.save(tmp_path / "a.npy", np.array(list(zip(x, y, t, p, strict=True)), FIELDS))
    np.savez(tmp_path / "a.npz", x=x, y=y, timestamp=t, polarity=np.where(p, 1, -1))
    bin_file(tmp_path / "a.bin", events)
    for name in ("a.npy", "a.npz", "a.bin"):
        found = reader.open_file(tmp_path / name)()
        assert [(found[field] * 1).tolist() for field in "xyt"] == [x.tolist(), y.tolist(), t.tolist()], name
        assert ((found["p"] > 0) == p).all(), name


def test_recordings_that_cannot_be_used_are_counted_and_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    np.save(root / "a" / "empty.npy", np.zeros(0, FIELDS))
    np.save(root / "a" / "plain.npy", np.zeros((4, 4)))
    (root / "b" / "broken.npy").write_bytes(b"none")
    with pytest.raises(DataProblems) as error:
        read(root)
    (text,) = error.value.problems
    assert text.startswith("3 recordings cannot be used: a/empty.npy (no events), a/plain.npy (float64 (4, 4); write")
    assert "b/broken.npy" in text


def test_pictures_and_recordings_do_not_mix(tmp_path: Path) -> None:
    picture(folder(tmp_path) / "a" / "0.png")
    with pytest.raises(DataProblems, match="pictures and recordings"):
        read(tmp_path)


def test_missing_library_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.aedat4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(DataError, match=r"needs the library tonic.*pip install 'snnsearch\[events\]'"):
        read(tmp_path)
