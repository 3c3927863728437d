"""Find the PyTorch network that a text such as ``torchvision.models:resnet18`` refers to."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from snnkit.base.references import PythonReferenceError, import_object
from snnkit.scaffold.trace import ScaffoldError

FORMS = "module:attribute, file.py:attribute or timm:NAME"


def load_network(reference: str, channels: int, classes: int) -> nn.Module:
    """Return the network of ``reference`` with random weights, for images of ``channels`` channels.

    ``module:attribute`` and ``file.py:attribute`` name a module, or a class or function that builds one. It is called
    with ``num_classes=classes`` if it takes that, otherwise without arguments. ``timm:NAME`` builds a network of timm.
    Importing runs the code of the module. Raises ScaffoldError.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        place, _, name = reference.rpartition(":")
        if place == "timm":
            return _from_timm(name, channels, classes)
        try:
            return _built(reference, import_object(reference), classes)
        except PythonReferenceError as error:
            raise ScaffoldError(f"{error}. Write {FORMS}, for example torchvision.models:resnet18") from error


def _from_timm(name: str, channels: int, classes: int) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ScaffoldError("timm is not installed: pip install timm") from error
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    except Exception as error:
        near = ", ".join(timm.list_models(f"*{name[:8]}*")[:8])
        raise ScaffoldError(
            f"timm cannot build {name} ({error}); {f'it has {near}' if near else 'see timm.list_models()'}"
        ) from error
    return network


def _built(reference: str, found: object, classes: int) -> nn.Module:
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ScaffoldError(f"{reference}: is a {type(found).__name__}; name a torch.nn.Module, or what builds one")
    try:
        network = found(**_keywords(found, classes))
    except Exception as error:
        raise ScaffoldError(
            f"{reference}: cannot be built ({type(error).__name__}: {error}); name a function that needs no arguments"
        ) from error
    if not isinstance(network, nn.Module):
        raise ScaffoldError(f"{reference}: returns a {type(network).__name__}; name what returns a torch.nn.Module")
    return network


def _keywords(builder: Any, classes: int) -> Mapping[str, int]:
    """Return the number of classes as the argument that takes it, if any; torchvision takes it as a free keyword."""
    try:
        parameters = inspect.signature(builder).parameters
    except (TypeError, ValueError):
        return {}
    free = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    is_torchvision = str(getattr(builder, "__module__", "")).startswith("torchvision.")
    return {"num_classes": classes} if "num_classes" in parameters or (free and is_torchvision) else {}
