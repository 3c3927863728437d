"""Trained networks as files that other programs read, each checked against the network on real images."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from snnkit.export import nir, onnx, pytorch
from snnkit.export.errors import ExportError
from snnkit.export.parity import Outcome, Parity, compared, observed
from snnkit.nn.network import Network

__all__ = ["EXPORTS", "ExportError", "Parity", "export"]

Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """``write``: (network, path, metadata); ``run``: what the file at ``path`` makes of images, read by other means
    than those it was written with."""

    suffix: str
    write: Callable[[Network, Path, Metadata], None]
    run: Callable[[Path, Network, Tensor], Outcome]


EXPORTS: Mapping[str, Format] = {
    "pytorch": Format(".pt", pytorch.write, pytorch.run),
    "onnx": Format(".onnx", onnx.write, onnx.run),
    "nir": Format(".nir", nir.write, nir.run),
}


def export(network: Network, path: Path, name: str, images: Tensor, metadata: Metadata) -> Parity:
    """Write ``network`` to ``path`` in the format ``name``, with ``metadata`` and how it compares with the network on
    ``images`` (B, C, H, W), normalised.

    Raises ExportError where the format cannot express it or its library is not installed, OSError.
    """
    chosen = EXPORTS[name]
    network.eval()
    expected = observed(network, images)
    scratch = path.with_name(f"{path.name}.partial")
    try:
        chosen.write(network, scratch, metadata)
        parity = compared(expected, chosen.run(scratch, network, images))
        chosen.write(network, scratch, {**metadata, "parity": json.dumps(parity.to_dict())})
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return parity
