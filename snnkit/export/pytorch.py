"""A network with what it takes to build it again, in one file that ``torch.load(..., weights_only=True)`` reads."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from snnkit.base.torch_files import StoredError, load_stored
from snnkit.export.parity import Outcome, observed
from snnkit.nn.network import Network


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """The state dict as it is, BatchNorm not folded, T as it is; ``metadata`` beside it. Raises OSError."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    torch.save({"weights": weights, "metadata": json.dumps(dict(metadata))}, path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and metadata; of a bare state dict none. No code in the file is run. Raises OSError, StoredError."""
    content = load_stored(path)
    weights, metadata = content, {}
    if "metadata" in content:
        try:
            weights, metadata = content["weights"], json.loads(content["metadata"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoredError(f"its metadata is none of ours: {error!r}") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise StoredError("what it holds are not tensors alone")
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise StoredError("its metadata is none of ours: no mapping of texts")
    return weights, metadata


def run(path: Path, network: Network, images: Tensor) -> Outcome:
    """Through a network of the same plan that was built anew."""
    again = Network(network.plan, network.neuron, network.encoding)
    again.load_state_dict(read(path)[0])
    return observed(again.eval(), images.cpu())
