"""Batches of uint8 images to what a network reads: flipped, cropped and normalised, a whole batch at a time."""

import torch
from torch import Tensor

from snnkit.data import Splits

PAD_SHARE = 4 / 32  # the usual crop: 4 pixels of padding at 32 (He et al. 2016)


def normalise(images: Tensor, splits: Splits) -> Tensor:
    """Images (B, C, H, W) of uint8 to float32 of mean 0 and deviation 1 per channel over the training part.

    Frames of events (B, T, C, H, W) stay 0 and 1.
    """
    if images.dim() == 5:
        return images.float()
    mean = torch.tensor(splits.mean, device=images.device)[:, None, None] * 255
    std = torch.tensor(splits.std, device=images.device)[:, None, None] * 255
    return (images.float() - mean) / std


def flip_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each of (B, C, H, W) mirrored with probability 1/2 and shifted by up to an eighth of its side, edges reflected.

    Of frames (B, T, C, H, W) all T of a recording in the same way. ``generator`` is the CPU's, so that a seed means the
    same on every device.
    """
    count, *_, height, width = images.shape
    flipped = torch.rand(count, 1, generator=generator) < 0.5
    rows = _shifted(height, count, generator)
    columns = _shifted(width, count, generator)
    columns = torch.where(flipped, width - 1 - columns, columns)
    which = torch.arange(count)[:, None, None]
    index = [part.to(images.device) for part in (which, rows[:, :, None], columns[:, None, :])]
    pixels = images.movedim((-2, -1), (1, 2))[index[0], index[1], index[2]]  # (B, H, W, C) or (B, H, W, T, C)
    return pixels.movedim((1, 2), (-2, -1))


def trivial(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each of (B, C, H, W) of uint8 changed by one operation of a random strength: TrivialAugment (Mueller and Hutter
    2021, arXiv:2103.10158), torchvision's. On a CPU, whichever device the images are on."""
    from torchvision.transforms.v2 import TrivialAugmentWide  # type: ignore[import-untyped]  # it ships no types

    change = TrivialAugmentWide()
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        torch.manual_seed(seed)
        return torch.stack([change(image) for image in images.cpu()]).to(images.device)


def erased(inputs: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Normalised images (B, C, H, W), or frames (B, T, C, H, W), with a square of ``share`` of their side set to 0, the
    mean: Cutout (DeVries and Taylor 2017, arXiv:1708.04552). Its centre is anywhere, so it may reach over an edge."""
    count, *_, height, width = inputs.shape
    half = share * min(height, width) / 2
    inside = [
        (torch.arange(side) + 0.5 - side * torch.rand(count, 1, generator=generator)).abs() < half
        for side in (height, width)
    ]
    hidden = (inside[0][:, :, None] & inside[1][:, None, :]).to(inputs.device)  # (B, H, W)
    return inputs.masked_fill(hidden.view(count, *[1] * (inputs.dim() - 3), height, width), 0.0)


def _shifted(side: int, count: int, generator: torch.Generator) -> Tensor:
    """(count, side): positions 0 .. side-1, each row shifted at random, those beyond an edge reflected."""
    pad = max(1, round(side * PAD_SHARE))
    shift = torch.randint(-pad, pad + 1, (count, 1), generator=generator)
    return side - 1 - (side - 1 - (torch.arange(side) + shift).abs()).abs()
