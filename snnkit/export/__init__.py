"""Export trained networks to files and code for other programs, checked against the network on real images."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from snnkit.architecture.plan import Plan
from snnkit.base.config import NeuronConfig
from snnkit.base.files import atomic_folder, atomic_write
from snnkit.export import code, nir, onnx, pytorch
from snnkit.export.dialects import DIALECTS
from snnkit.export.errors import ExportError
from snnkit.export.obstacles import (
    FindObstacles,
    Obstacle,
    missing_libraries,
    needs_neurons,
    nir_obstacles,
    no_obstacles,
    refuse,
)
from snnkit.export.parity import Parity, Run, compare_in_parts
from snnkit.nn.network import Network

__all__ = ["EXPORTS", "ExportError", "Obstacle", "Parity", "export", "find_missing_libraries", "find_obstacles"]

Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """A file format: what it cannot express, how to write a network, and how to run the file with other software."""

    suffix: str
    libraries: tuple[str, ...]  # modules that an extra of the same name installs
    obstacles: FindObstacles  # known before training
    trained_obstacles: Callable[[Network], tuple[Obstacle, ...]]
    write: Callable[[Network, Path, Metadata], None]
    load: Callable[[Path, Network], Run]  # (file, the network it was written from)
    files: frozenset[str] = frozenset()  # in the folder that is written; none: a file is written


def _code(name: str, obstacles: FindObstacles = needs_neurons) -> Format:
    libraries = () if name == "code" else (name,)
    write = partial(code.write, dialect=DIALECTS[name])
    return Format("", libraries, obstacles, lambda _: (), write, code.load, code.FILES)


EXPORTS: Mapping[str, Format] = {
    "pytorch": Format(".pt", (), no_obstacles, lambda _: (), pytorch.write, pytorch.load),
    "onnx": Format(".onnx", onnx.LIBRARIES, no_obstacles, lambda _: (), onnx.write, onnx.load),
    "nir": Format(".nir", nir.LIBRARIES, nir_obstacles, nir.obstacles, nir.write, nir.load),
    "code": _code("code", no_obstacles),
    "snntorch": _code("snntorch"),
    "spikingjelly": _code("spikingjelly"),
}


def find_missing_libraries(name: str) -> tuple[Obstacle, ...]:
    """Return an obstacle for each library that format ``name`` needs and that is not installed."""
    return missing_libraries(EXPORTS[name].libraries, name)


def find_obstacles(name: str, plan: Plan, neuron: NeuronConfig | None) -> tuple[Obstacle, ...]:
    """Return what format ``name`` cannot express of a network, before its training; of its twin without ``neuron``."""
    return EXPORTS[name].obstacles(plan, neuron)


def export(network: Network, path: Path, name: str, images: Tensor, metadata: Metadata) -> Parity:
    """Write ``network`` to ``path`` in the format ``name``, and return how the file compares with the network.

    Formats of code write a folder, and replace one that an earlier export wrote.

    Both run on ``images``: normalised (B, C, H, W), or frames (B, T, C, H, W). The file holds ``metadata`` and the
    comparison.

    Raises:
        ExportError: the format cannot express the network, or a library is not installed. The message names all
            obstacles. Nothing is written.
        OSError: the file cannot be written, or ``path`` is a folder with other files.
    """
    chosen = EXPORTS[name]
    found = (*find_obstacles(name, network.plan, network.neuron), *chosen.trained_obstacles(network))
    others = [other for other in EXPORTS if found and not find_obstacles(other, network.plan, network.neuron)]
    refuse([*find_missing_libraries(name), *found], instead=others)
    network.eval()
    with atomic_folder(path, chosen.files) if chosen.files else atomic_write(path) as written:
        chosen.write(network, written, metadata)
        parity = compare_in_parts(network, chosen.load(written, network), images)
        chosen.write(network, written, {**metadata, "parity": json.dumps(parity.to_dict())})
    return parity
