"""Load a network from a file that snnsearch wrote, and prepare images for it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from search.errors import InputError, format_validation
from search.space.candidate import Candidate
from search.trial.initialization import trained_network
from snnkit.base.torch_files import StoredError
from snnkit.export import pytorch
from snnkit.nn.network import Network
from snnkit.training.augment import standardise


def load(path: Path | str) -> Network:
    """Return the network in a file that ``snnsearch export --format pytorch`` or a trial wrote, with its weights.

    The network is in evaluation mode. It takes normalised images, which `prepare` makes. No code in the file is run.

    Raises InputError if there is no such file, or if it holds something else.
    """
    file = Path(path)
    metadata = _metadata(file)
    try:
        candidate = Candidate.model_validate_json(metadata["candidate"])
        network = trained_network(candidate, file, twin=metadata.get("kind") == "cnn")
    except KeyError as error:
        raise InputError(
            f"{file} cannot be loaded: {error} is unknown. If its network's family is a plug-in, load the space that "
            "names it first: snnsearch.load_space(PATH)"
        ) from error
    except ValidationError as error:
        raise InputError(f"{file} cannot be loaded: {format_validation(error)}") from error
    except (OSError, RuntimeError, StoredError) as error:
        raise InputError(f"{file} cannot be loaded: {error}") from error
    return network.eval()


def prepare(path: Path | str, images: "Tensor | NDArray[Any]") -> Tensor:
    """Return images as the network in ``path`` takes them: (N, C, H, W) in float32, normalised as in its training.

    Args:
        path: a file that `load` reads.
        images: (N, C, H, W) or (N, H, W, C), with as many pixels as in the training: whole numbers from 0 to 255, or
            numbers from 0 to 1.

    Raises InputError if the images are otherwise, if the network takes frames of events, or if there is no such file.
    """
    file = Path(path)
    metadata = _metadata(file)
    try:
        found = json.loads(metadata["input"])
        shape = Candidate.model_validate_json(metadata["candidate"]).data.shape
    except (KeyError, ValueError) as error:
        raise InputError(f"{file} does not say which images its network takes: {error}") from error
    if not found["mean"]:
        raise InputError(f"the network of {file} takes frames of events: (N, T, C, H, W), as they are counted")
    pixels = torch.as_tensor(images)
    if pixels.dim() == 4 and tuple(pixels.shape[1:]) == (*shape[1:], shape[0]):
        pixels = pixels.permute(0, 3, 1, 2)
    if tuple(pixels.shape[1:]) != shape:
        raise InputError(
            f"given images of shape {tuple(pixels.shape)}; the network takes (N, {', '.join(map(str, shape))})"
        )
    scale = 1 if pixels.is_floating_point() else 255
    low, high = (pixels.min().item(), pixels.max().item()) if pixels.numel() else (0, 0)
    if low < 0 or high > scale:
        raise InputError(
            f"given {pixels.dtype} images with values from {low:g} to {high:g}; give whole numbers from 0 to 255, or "
            "numbers from 0 to 1, before any normalisation"
        )
    return standardise(pixels * (255 // scale), found["mean"], found["std"])


def _metadata(file: Path) -> dict[str, str]:
    if not file.is_file():
        raise InputError(f"no such file: {file}. Write one with: snnsearch export NAME TRIAL")
    try:
        if not zipfile.is_zipfile(file):
            raise StoredError("it is no file of torch, or it was cut short")
        return pytorch.read(file)[1]
    except (OSError, RuntimeError, StoredError) as error:
        raise InputError(f"{file} cannot be loaded: {error}") from error
