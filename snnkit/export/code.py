"""Export as stand-alone Python code for plain PyTorch, snnTorch or SpikingJelly: a folder that needs nothing of ours.

`network.py` defines the network and loads `weights.pt`. Run as a program, it compares itself with `example.pt`: random
input, and what our network returns for it. Values are (T, B, C, H, W), layer by layer, so that the code trains as our
network does: BatchNorm sees all steps at once.
"""

import importlib.util
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from snnkit.export.dialects import Dialect
from snnkit.export.parity import Run, RunResult
from snnkit.export.source import Names, Source
from snnkit.nn.network import Network

CODE, WEIGHTS, EXAMPLE, METADATA = "network.py", "weights.pt", "example.pt", "metadata.json"
FILES = frozenset({CODE, WEIGHTS, EXAMPLE, METADATA, "__pycache__"})  # the last one is Python's
EXAMPLES = 8


def write(network: Network, folder: Path, metadata: Mapping[str, str], dialect: Dialect) -> None:
    """Write the files of ``network`` into the empty ``folder``. Raises OSError."""
    (folder / CODE).write_text(Source(network, dialect, metadata).text(), encoding="utf-8")
    (folder / METADATA).write_text(json.dumps(dict(metadata), indent=1), encoding="utf-8")
    module = _module(folder).Network()
    module.load_state_dict(_weights(network, module))
    torch.save({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, folder / WEIGHTS)
    network.eval()
    channels, height, width = network.plan.in_shape
    frames = () if network.encoding.frames is None else (network.encoding.frames,)
    images = torch.randn(EXAMPLES, *frames, channels, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.save({"images": images, "logits": network(images)}, folder / EXAMPLE)


def load(folder: Path, network: Network) -> Run:
    """Return a function that runs the code in ``folder``, with the spikes of its layers."""
    module: nn.Module = _module(folder).load()
    names = Names(network)
    spikes: dict[str, Tensor] = {}
    for op in network.spiking_ops:
        neurons = module.get_submodule(names.neurons(op))
        neurons.register_forward_hook(partial(_keep, spikes, op.name))

    @torch.no_grad()
    def run(images: Tensor) -> RunResult:
        spikes.clear()
        return RunResult(module(images.cpu()), dict(spikes))

    return run


def _keep(spikes: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
    spikes[name] = output.bool()


def _module(folder: Path) -> ModuleType:
    """Import the code in ``folder`` without a place in `sys.modules`. Nothing is written beside it."""
    spec = importlib.util.spec_from_file_location("network", folder / CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _weights(network: Network, module: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of ``module``: the weights of ``network``, and the module's own constants."""
    names, weights = Names(network), dict(module.state_dict())
    for conv in network.plan.convs:
        layer = network.layer(conv)
        parts = [layer.conv] if layer.norm is None else [layer.conv, layer.norm]
        for place, part in enumerate(parts):
            weights |= {f"{names[conv.name]}.{place}.{key}": value.cpu() for key, value in part.state_dict().items()}
    return weights
