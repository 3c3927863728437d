"""Export trained networks to files for other programs, each checked against the network on real images."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from snnkit.base.files import atomic_write
from snnkit.export import nir, onnx, pytorch
from snnkit.export.errors import ExportError
from snnkit.export.parity import Parity, RunResult, compare, run_network
from snnkit.nn.network import Network

__all__ = ["EXPORTS", "ExportError", "Parity", "export"]

Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """A file format: how to write a network, and how to run the file with software other than ours."""

    suffix: str
    write: Callable[[Network, Path, Metadata], None]
    run: Callable[[Path, Network, Tensor], RunResult]  # (file, the network it was written from, images)


EXPORTS: Mapping[str, Format] = {
    "pytorch": Format(".pt", pytorch.write, pytorch.run),
    "onnx": Format(".onnx", onnx.write, onnx.run),
    "nir": Format(".nir", nir.write, nir.run),
}


def export(network: Network, path: Path, name: str, images: Tensor, metadata: Metadata) -> Parity:
    """Write ``network`` to ``path`` in the format ``name``, and return how the file compares with the network.

    Both run on ``images``: normalised (B, C, H, W), or frames (B, T, C, H, W). The file holds ``metadata`` and the
    comparison.

    Raises:
        ExportError: the format cannot express the network, or its library is not installed.
        OSError: the file cannot be written.
    """
    chosen = EXPORTS[name]
    network.eval()
    expected = run_network(network, images)
    with atomic_write(path) as partial:
        chosen.write(network, partial, metadata)
        parity = compare(expected, chosen.run(partial, network, images))
        chosen.write(network, partial, {**metadata, "parity": json.dumps(parity.to_dict())})
    return parity
