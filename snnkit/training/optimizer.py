"""The optimizer of a recipe, and the precision in which it trains."""

from typing import Any

import torch
from torch import nn

from snnkit.nn.network import Network
from snnkit.training.muon import Muon
from snnkit.training.recipe import Recipe

Optimizer = torch.optim.Optimizer


class Optimizers:
    """Several optimizers, each of other parameters, with the methods of one."""

    def __init__(self, *parts: Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer | Optimizers:
    """Return the recipe's optimizer. Weight decay applies to convolution weights, not to biases and BatchNorm.

    Weights before a BatchNorm that Muon trains have a fixed norm instead of weight decay. AdamW and SGD use the fused
    implementation of torch: one kernel for each parameter group on a GPU, one for each parameter on a CPU.
    """
    inner = _inner_convolutions(network) if recipe.optimizer == "muon" else []
    orthogonalised = {id(conv.weight) for conv, _ in inner}
    parameters = [parameter for parameter in network.parameters() if id(parameter) not in orthogonalised]
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True)
    adamw = torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    return Optimizers(adamw, _make_muon(inner, recipe)) if inner else adamw


def _make_muon(convolutions: list[tuple[nn.Conv2d, bool]], recipe: Recipe) -> Muon:
    """Return Muon for these convolutions, each with whether a BatchNorm follows it.

    The orthogonalisation uses bf16 if the training does.
    """
    groups = [
        {"params": [conv.weight for conv, normed in convolutions if normed], "fixed_norm": True},
        {"params": [conv.weight for conv, normed in convolutions if not normed], "weight_decay": recipe.weight_decay},
    ]
    dtype = torch.bfloat16 if uses_bf16(recipe, convolutions[0][0].weight.device) else torch.float32
    factor = recipe.muon_lr / recipe.lr
    return Muon([group | {"lr_factor": factor} for group in groups if group["params"]], lr=recipe.muon_lr, dtype=dtype)


def _inner_convolutions(network: nn.Module) -> list[tuple[nn.Conv2d, bool]]:
    """Return the convolutions that Muon trains, each with whether a BatchNorm follows it.

    As in airbench, these are not the stem and the classifier. Grouped convolutions are many small matrices, and are
    left out too.
    """
    assert isinstance(network, Network), "only a network's plan tells which convolution is the stem or the classifier"
    *inner, _ = network.plan.convs
    return [(network.layer(op).conv, op.batchnorm) for op in inner if op.reads != "input" and op.groups == 1]


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Return whether training runs under bf16 autocast. ``auto`` uses it if the hardware multiplies bf16 numbers.

    SqueezeNet with T = 2 on one core with AVX512-BF16: an epoch is 1.6 to 1.8 times as fast as in fp32 at 32x32 pixels,
    and 1.2 to 1.4 times as fast at 16x16.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
