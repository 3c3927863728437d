"""Decode recordings of event cameras of any size to 32 time bins, and collect what is wrong with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS
from snnkit.data.datasets.nmnist import read_events
from snnkit.data.events import CountedRecordings, Recordings, to_event_bits, to_event_counts
from snnkit.data.images import DataError, DataProblems, Images
from snnkit.data.sources.source import DataSource, counted, examples

ENDINGS = (".aedat", ".aedat4", ".bin", ".npy", ".npz")
FIELDS = {"x": ("x",), "y": ("y",), "t": ("t", "ts", "timestamp", "time"), "p": ("p", "pol", "polarity")}
POLARITIES = 2
MAX_BYTES = 16 * 2**30  # of the arrays of one part
INSTALL = "pip install 'snnsearch[events]'"
Events = Mapping[str, NDArray[Any]]  # x, y, t, p -> (N,)
Recording = tuple[str, Callable[[], Events]]  # its name in messages, and how it is read


@dataclass(frozen=True)
class _Grid:
    """The pixels of a sensor, and the pixels (C, H, W) that are kept."""

    width: int
    height: int
    shape: Shape

    def indices(self, events: Events) -> NDArray[np.int64]:
        """Return the index of each event's pixel in the flattened (C, H, W)."""
        _, height, width = self.shape
        x = events["x"].astype(np.int64) * width // self.width
        y = events["y"].astype(np.int64) * height // self.height
        return ((events["p"] > 0) * height + y) * width + x


def open_file(path: Path) -> Callable[[], Events]:
    """Return how the recording in a file is read. It raises DataError."""

    def opened() -> Events:
        try:
            return _READERS[path.suffix.lower()](path)
        except OSError as error:
            raise DataError(error.strerror or str(error)) from error

    return opened


def decode(
    parts: Mapping[str, Sequence[Recording]],
    labels: Mapping[str, NDArray[np.int64]],
    source: DataSource,
    sensor: tuple[int, int] | None = None,
) -> tuple[dict[str, Images], list[str]]:
    """Return the recordings of each part in 32 time bins, and notes on what was changed.

    ``sensor`` is its width and height; if it is unknown, the largest coordinates of all events give it. With
    ``source.size``, pixels are merged into blocks. A recording lasts from its first to its last event; a bin has an
    equal share of this time (``source.window`` time) or of the events (count).

    Raises:
        DataProblems: recordings are corrupt or empty, or lie outside the sensor.
    """
    sensor = sensor or source.sensor
    bad: list[str] = []
    if sensor is None:
        sensor = _largest(parts, bad)
    if bad:
        raise DataProblems([_corruption(bad)])
    assert sensor is not None
    grid = _grid(sensor, source)
    decoded: dict[str, Images] = {}
    for name, recordings in parts.items():
        decoded[name] = _decode_part(recordings, labels[name], grid, source, bad)
    if bad:
        raise DataProblems([_corruption(bad)])
    merged = grid.shape[1:] != (grid.height, grid.width)
    note = f"pixels of the sensor ({grid.width}x{grid.height}) were merged into {source.size}x{source.size}"
    return decoded, [note] if merged else []


def _largest(parts: Mapping[str, Sequence[Recording]], bad: list[str]) -> tuple[int, int] | None:
    """Return the width and height that hold all events; add recordings that cannot be read to ``bad``."""
    width = height = 0
    for recordings in parts.values():
        for name, opened in recordings:
            if (events := _read(name, opened, bad)) is not None:
                width, height = max(width, int(events["x"].max()) + 1), max(height, int(events["y"].max()) + 1)
    return width, height


def _grid(sensor: tuple[int, int], source: DataSource) -> _Grid:
    width, height = sensor
    if source.size is None:
        return _Grid(width, height, (POLARITIES, height, width))
    if source.size > min(sensor):
        raise DataProblems(
            [f"the sensor has {width}x{height} pixels; write a resolution of at most {min(sensor)}, or leave it out"]
        )
    return _Grid(width, height, (POLARITIES, source.size, source.size))


def _decode_part(
    recordings: Sequence[Recording], labels: NDArray[np.int64], grid: _Grid, source: DataSource, bad: list[str]
) -> Images:
    bits = source.values == "bits"
    shape = (len(recordings), *grid.shape) if bits else (len(recordings), EVENT_BINS, *grid.shape)
    if (size := int(np.prod(shape)) * (4 if bits else 1)) > MAX_BYTES:
        raise DataProblems(
            [f"its recordings would have {size / 2**30:.0f} GiB as arrays; write a smaller resolution, such as 32"]
        )
    array = np.zeros(shape, np.uint32 if bits else np.uint8)
    to_array: Callable[..., NDArray[Any]] = to_event_bits if bits else to_event_counts
    for row, (name, opened) in enumerate(recordings):
        events = _read(name, opened, bad)
        if events is None:
            continue
        if (events["x"] >= grid.width).any() or (events["y"] >= grid.height).any():
            bad.append(f"{name} (events outside {grid.width}x{grid.height} pixels)")
        else:
            array[row] = to_array(_bins(events, source), grid.indices(events), grid.shape)
    return (Recordings if bits else CountedRecordings)(array, labels)


def _bins(events: Events, source: DataSource) -> NDArray[np.int64]:
    """Return the time bin of each event; events are in order of time."""
    if source.window == "count":
        return np.arange(len(events["t"])) * EVENT_BINS // len(events["t"])
    times = events["t"].astype(np.float64) - float(events["t"][0])
    bins = times * EVENT_BINS / (times[-1] or 1)
    return np.minimum(bins.astype(np.int64), EVENT_BINS - 1)


def _read(name: str, opened: Callable[[], Events], bad: list[str]) -> Events | None:
    """Return the events in order of time, or None and an entry of ``bad``."""
    try:
        events = opened()
        if not len(events["t"]):
            raise DataError("no events")
        if any((events[axis] < 0).any() for axis in ("x", "y")):
            raise DataError("negative coordinates")
    except ImportError as error:
        remedy = INSTALL if error.name == "tonic" else f"pip install {error.name}"
        raise DataError(f"{name} needs the library {error.name}, which is not installed: {remedy}") from error
    except Exception as error:  # readers raise errors of many types for corrupt files
        reason = " ".join(str(error).split()) or type(error).__name__
        bad.append(f"{name} ({reason})")
        return None
    if (np.diff(events["t"]) < 0).any():
        order = np.argsort(events["t"], kind="stable")
        return {field: values[order] for field, values in events.items()}
    return events


def _corruption(bad: Sequence[str]) -> str:
    return (
        f"{counted(len(bad), 'recording')} cannot be used: {examples(bad)}; replace or remove "
        f"{'it' if len(bad) == 1 else 'them'}"
    )


def fields_of(found: Mapping[str, NDArray[Any]]) -> Events:
    """Return x, y, t and p from arrays with these or other usual names. Raises DataError."""
    lower = {name.lower(): name for name in found}
    events = {}
    for field, names in FIELDS.items():
        name = next((lower[each] for each in names if each in lower), None)
        if name is None:
            raise DataError(f"no field {field}; it has {', '.join(lower) or 'none'}, write x, y, t and p")
        events[field] = np.asarray(found[name]).reshape(-1)
    if len({len(values) for values in events.values()}) > 1:
        raise DataError("x, y, t and p differ in length")
    return events | {"t": _signed(events["t"]), "x": _signed(events["x"]), "y": _signed(events["y"])}


def _signed(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers as int64, so that differences of unsigned ones do not wrap round."""
    return values.astype(np.int64) if values.dtype.kind in "ui" else values


def _read_npy(path: Path) -> Events:
    array = np.load(path, allow_pickle=False)
    if array.dtype.names is None:
        raise DataError(f"{array.dtype} {array.shape}; write a structured array with the fields x, y, t, p")
    return fields_of({name: array[name] for name in array.dtype.names})


def _read_npz(path: Path) -> Events:
    with np.load(path, allow_pickle=False) as file:
        return fields_of({name: file[name] for name in file.files})


def _read_bin(path: Path) -> Events:
    return dict(zip("xytp", read_events(path), strict=True))


def _read_aedat(path: Path) -> Events:
    from tonic import io

    with path.open("rb") as file:
        version = file.readline()
    _, found = (io.read_dvs_ibm if b"3." in version else io.read_dvs_128)(str(path))
    return fields_of({name: found[name] for name in found.dtype.names})


def _read_aedat4(path: Path) -> Events:
    from tonic import io

    found = io.read_aedat4(str(path))
    return fields_of({name: found[name] for name in found.dtype.names})


_READERS: dict[str, Callable[[Path], Events]] = {
    ".npy": _read_npy, ".npz": _read_npz, ".bin": _read_bin, ".aedat": _read_aedat, ".aedat4": _read_aedat4,
}  # fmt: skip
