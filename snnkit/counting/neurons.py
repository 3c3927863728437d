"""Recognise neurons by the names of their classes: the libraries that define them need not be installed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Neurons of snnTorch that take a whole sequence. SpikingJelly's have a step mode.
SEQUENCE_NEURONS = ("StateLeaky", "LinearLeaky", "AssociativeLeaky")
REAL_OUTPUTS = ("LIAFNode", "NonSpikingIFNode", "NonSpikingLIFNode", "NonSpikingBaseNode", "LI", "CubaLI", "Integrator")

# Multiplications of one update. Scales of the current, the threshold or the reset are folded into weights.
MULTIPLICATIONS = {
    **dict.fromkeys(("IFNode", "SimpleIFNode", "NonSpikingIFNode", "IF", "Integrator"), 0),
    **dict.fromkeys(("SimpleLIFNode", "LIFNode", "ParametricLIFNode", "NonSpikingLIFNode", "LIAFNode"), 1),
    **dict.fromkeys(("CUBALIFNode", "CubaLIF", "CubaLI"), 2),
    "Alpha": 3,  # two decays, and the scale of their difference
}
GATED = ("SLSTM", "SConv2dLSTM")
WITH_STATE = ("MemoryModule", "NIRModel")  # of SpikingJelly, of snnkit.counting.nir


@dataclass(frozen=True)
class NeuronLayer:
    """The figures of a layer of neurons that follow from its class and its parameters."""

    name: str
    multiplications: int  # of each update
    spikes: bool  # False: it passes real numbers on
    unit: float  # value of one spike
    note: str | None = None  # what its figures leave out


def is_neuron(module: nn.Module, others: tuple[type[nn.Module], ...] = ()) -> bool:
    """Whether ``module`` is a layer of neurons of snnTorch, SpikingJelly or NIR, or an instance of ``others``."""
    return isinstance(module, others) or any(_is_neuron_class(base) for base in type(module).__mro__)


def find_neurons(model: nn.Module, others: tuple[type[nn.Module], ...] = ()) -> dict[str, nn.Module]:
    """Return the layers of neurons of ``model`` by name. Parts of a layer of neurons are not layers of neurons."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if is_neuron(module, others) and not inside:
            found[name] = module
    return found


def _is_neuron_class(base: type) -> bool:
    library, _, path = base.__module__.partition(".")
    if library == "snntorch":
        return base.__name__ == "SpikingNeuron"
    if library == "spikingjelly":
        return path.startswith("activation_based.neuron") and issubclass(base, nn.Module)
    return (base.__module__, base.__name__) == ("snnkit.counting.nir", "NIRNeuron")


def takes_sequence(module: nn.Module) -> bool:
    """Whether one call of the neurons updates them at all time steps, along the first axis of their input."""
    bases = type(module).__mro__
    multi_step = any((base.__module__, base.__name__) == _MULTI_STEP for base in bases)
    named = any(base.__name__ in SEQUENCE_NEURONS for base in bases)
    return multi_step or named or getattr(module, "step_mode", "s") == "m"


_MULTI_STEP = ("spikingjelly.activation_based.base", "MultiStepModule")


def describe(name: str, module: nn.Module, *, real: bool = False) -> NeuronLayer:
    """Return what one update of the neurons costs and what they pass on; with ``real``, they pass real numbers on."""
    kinds = [base.__name__ for base in type(module).__mro__]
    kind = kinds[0]
    factor = getattr(module, "graded_spikes_factor", 1.0)
    if isinstance(factor, Tensor) and factor.numel() > 1:
        unit, note = 0.0, f"{name} ({kind}): each neuron has its own spike value; its spikes count as real numbers"
    else:
        unit, note = float(factor), None
    known, multiplications = _multiplications(module, kinds)
    if any(each in GATED for each in kinds):
        note = f"{name} ({kind}): the products of its gates are not counted; its weights are"
    elif getattr(module, "all_to_all", True) is False:
        note = f"{name} ({kind}): its one-to-one recurrent weights are not counted"
    elif not known:
        note = f"{name} ({kind}): an update is counted as one multiplication, and may need more"
    spikes = unit != 0 and not real and kind not in REAL_OUTPUTS
    return NeuronLayer(name, multiplications, spikes, unit or 1.0, note)


def _multiplications(module: nn.Module, kinds: Sequence[str]) -> tuple[bool, int]:
    """Return whether the cost of an update is known, and its multiplications."""
    tau = getattr(module, "tau", None)
    if kinds[0] in MULTIPLICATIONS:
        without_leak = isinstance(tau, int | float) and tau == 1
        return True, 0 if without_leak else MULTIPLICATIONS[kinds[0]]
    if "SpikingNeuron" in kinds or "NIRNeuron" in kinds:
        decays = [
            getattr(module, each) for each in ("alpha", "beta") if isinstance(getattr(module, each, None), Tensor)
        ]
        return bool(decays), sum(bool(((decay > 0) & (decay < 1)).any()) for decay in decays)
    return False, 1


def reset(model: nn.Module, others: tuple[type[nn.Module], ...] = ()) -> None:
    """Set the state of the neurons, and of the other modules that have a state, back to its first value."""
    for module in model.modules():
        if is_neuron(module, others) or any(base.__name__ in WITH_STATE for base in type(module).__mro__):
            methods = (getattr(module, name, None) for name in ("reset_mem", "reset"))
            for method in filter(callable, methods):
                method()
                break


def tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
