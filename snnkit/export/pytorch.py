"""A trained network in one file, with the metadata to rebuild it. ``torch.load(..., weights_only=True)`` reads it."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from snnkit.base.torch_files import StoredError, load_stored
from snnkit.export.parity import Run, run_network
from snnkit.nn.network import Network


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the unchanged state dict, with BatchNorm not folded, and ``metadata``. Raises OSError."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    torch.save({"weights": weights, "metadata": json.dumps(dict(metadata))}, path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights and metadata; a bare state dict has no metadata. No code in the file is run.

    Raises:
        OSError: the file cannot be read.
        StoredError: it holds something else than weights and metadata.
    """
    content = load_stored(path)
    weights, metadata = content, {}
    if "metadata" in content:
        try:
            weights, metadata = content["weights"], json.loads(content["metadata"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoredError(f"its metadata was not written by snnsearch: {error!r}") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise StoredError("it holds other things than tensors")
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise StoredError("its metadata was not written by snnsearch: it is not a mapping of texts")
    return weights, metadata


def load(path: Path, network: Network) -> Run:
    """Load the file into a new network of the same plan, and return a function that runs it."""
    loaded = Network(network.plan, network.neuron, network.encoding)
    loaded.load_state_dict(read(path)[0])
    loaded.eval()
    return lambda images: run_network(loaded, images.cpu())
