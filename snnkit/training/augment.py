"""Turn batches of uint8 images into network input: augmented and normalised, a whole batch at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snnkit.data import Splits

PADDING_SHARE = 4 / 32  # the usual random crop: 4 pixels of padding at 32 pixels (He et al. 2016, arXiv:1512.03385)


def normalise(images: Tensor, splits: Splits) -> Tensor:
    """Normalise uint8 images (B, C, H, W) to float32 with the mean and deviation per channel of the training images.

    Frames of events (B, T, C, H, W) stay 0 and 1.
    """
    return images.float() if images.dim() == 5 else standardise(images, splits.mean, splits.std)


def standardise(images: Tensor, means: Sequence[float], deviations: Sequence[float]) -> Tensor:
    """Normalise images (B, C, H, W) with values from 0 to 255. Means and deviations (C,) are of pixels / 255."""
    mean, std = (torch.tensor(each, device=images.device)[:, None, None] * 255 for each in (means, deviations))
    return (images.float() - mean) / std


def flip_crop(images: Tensor, generator: torch.Generator, flipped: Tensor | None = None) -> Tensor:
    """Mirror each image (B, C, H, W) with probability 1/2 and shift it by up to 1/8 of its side; edges are reflected.

    ``flipped`` (B,) says which images to mirror, instead of chance. All frames of a recording (B, T, C, H, W) are
    changed in the same way. ``generator`` is on the CPU, so that a seed gives the same result on every device.
    """
    count, *_, height, width = images.shape
    if flipped is None:
        flipped = torch.rand(count, 1, generator=generator)[:, 0] < 0.5
    rows = _shifted_positions(height, count, generator)
    columns = _shifted_positions(width, count, generator)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns)
    image = torch.arange(count)[:, None, None]
    index = [part.to(images.device) for part in (image, rows[:, :, None], columns[:, None, :])]
    pixels = images.movedim((-2, -1), (1, 2))[index[0], index[1], index[2]]  # (B, H, W, C) or (B, H, W, T, C)
    return pixels.movedim((1, 2), (-2, -1))


def trivial_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change each uint8 image (B, C, H, W) by one random operation of random strength, with torchvision.

    TrivialAugment (Mueller and Hutter 2021, arXiv:2103.10158). It runs on the CPU, whatever the images' device.
    """
    from torchvision.transforms.v2 import TrivialAugmentWide  # type: ignore[import-untyped]  # it ships no types

    change = TrivialAugmentWide()
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        torch.manual_seed(seed)
        return torch.stack([change(image) for image in images.cpu()]).to(images.device)


def cutout(inputs: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Set a square in each image to 0, the mean: Cutout (DeVries and Taylor 2017, arXiv:1708.04552).

    ``inputs`` are normalised images (B, C, H, W) or frames (B, T, C, H, W). ``share`` is the side of the square as a
    share of the image's. The centre may be anywhere, so the square may reach over an edge.
    """
    count, *_, height, width = inputs.shape
    half = share * min(height, width) / 2
    inside = [
        (torch.arange(side) + 0.5 - side * torch.rand(count, 1, generator=generator)).abs() < half
        for side in (height, width)
    ]
    hidden = (inside[0][:, :, None] & inside[1][:, None, :]).to(inputs.device)  # (B, H, W)
    return inputs.masked_fill(hidden.view(count, *[1] * (inputs.dim() - 3), height, width), 0.0)


def area_resized(images: Tensor, side: int) -> Tensor:
    """Return images (B, C, H, W) with ``side`` x ``side`` pixels, each the mean of an area; frames stay as they are."""
    if images.dim() == 5 or images.shape[-2] == side:
        return images
    return functional.interpolate(images, size=side, mode="area")


def _shifted_positions(side: int, count: int, generator: torch.Generator) -> Tensor:
    """Positions 0 .. side-1 as (count, side): each row is shifted at random; positions beyond an edge are reflected."""
    padding = max(1, round(side * PADDING_SHARE))
    shift = torch.randint(-padding, padding + 1, (count, 1), generator=generator)
    return side - 1 - (side - 1 - (torch.arange(side) + shift).abs()).abs()
