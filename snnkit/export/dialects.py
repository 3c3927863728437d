"""How stand-alone code for plain PyTorch, snnTorch and SpikingJelly writes its neurons."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from snnkit.base.config import NeuronConfig

SURROGATES = {  # derivative of the step function at ``distance`` from the threshold; {a} is neuron.slope
    "atan": "{a} / 2 / (1 + (math.pi * {a} / 2 * distance) ** 2)",
    "fast_sigmoid": "1 / (1 + {a} * distance.abs()) ** 2",
    "sigmoid": "{a} * torch.sigmoid({a} * distance) * torch.sigmoid(-{a} * distance)",
    "triangular": "torch.where(distance < 0, 1.0, -1.0)",
    "straight_through": "torch.ones_like(distance)",
}
OF_SNNTORCH = {
    "atan": "surrogate.atan(alpha={a})",
    "fast_sigmoid": "surrogate.fast_sigmoid(slope={a})",
    "sigmoid": "surrogate.sigmoid(slope={a})",
    "triangular": "surrogate.triangular()",
    "straight_through": "surrogate.straight_through_estimator()",
}


@dataclass(frozen=True)
class Dialect:
    """How code for one library looks."""

    library: str  # as people write it
    imports: tuple[str, ...]
    neurons: Callable[[NeuronConfig], str]  # the source of the class LIF
    prepare: tuple[str, ...] = ()  # the first lines of ``forward``


def _fire(neuron: NeuronConfig) -> str:
    derivative = SURROGATES[neuron.surrogate].format(a=repr(neuron.slope))
    return f'''
class Fire(torch.autograd.Function):
    """1 above the threshold, else 0. The gradient is a surrogate's: {neuron.surrogate}."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return gradient * ({derivative})
'''


def _plain(neuron: NeuronConfig) -> str:
    charge, after = _equations(neuron, "membrane", "spike", "reset")
    return (
        _fire(neuron)
        + f'''

class LIF(nn.Module):
    """Leaky integrate-and-fire neurons: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__()
        self.leak = leak

    def forward(self, currents):
        membrane = reset = torch.zeros_like(currents[0])
        spikes = []
        for current in currents:
            membrane = {charge}
            spike = Fire.apply(membrane - THRESHOLD)
{_indented(after, 12)}
            spikes.append(spike)
        return torch.stack(spikes)
'''
    )


def _spikingjelly(neuron: NeuronConfig) -> str:
    charge, after = _equations(neuron, "self.v", "spike", "self.reset_by")
    return (
        _fire(neuron)
        + f'''

class LIF(neuron.SimpleBaseNode):
    """Leaky integrate-and-fire neurons: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__(THRESHOLD, v_reset=None, surrogate_function=Fire.apply, step_mode="m")
        self.leak = leak
        self.register_memory("reset_by", 0.0)

    def neuronal_charge(self, current):
        self.v = {charge}

    def neuronal_reset(self, spike):
{_indented(after, 8)}
'''
    )


def _equations(neuron: NeuronConfig, m: str, s: str, r: str) -> tuple[str, list[str]]:
    """Return the membrane's next value, and the lines after a spike, as `snnkit.kernels.reference` defines them."""
    if neuron.reset == "zero":
        if neuron.reset_delay:
            return f"self.leak * (1 - {r}) * {m} + current", [f"{r} = {s}.detach()  # takes effect at the next step"]
        return f"self.leak * {m} + current", [f"{m} = {m} - {s} * {m}"]
    charge = f"self.leak * {m} + current - {r} * THRESHOLD"
    if neuron.reset_delay:
        return charge, [f"{r} = {s}.detach()  # takes effect at the next step"]
    return charge, [f"{m} = {m} - ({s} - {r}) * THRESHOLD", f"{r} = ({m} > THRESHOLD).to({m}.dtype)"]


def _snntorch(neuron: NeuronConfig) -> str:
    spike_grad = OF_SNNTORCH[neuron.surrogate].format(a=repr(neuron.slope))
    return f'''
class LIF(nn.Module):
    """A layer of snnTorch's neurons over all steps: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__()
        self.leaky = Leaky(
            beta=leak,
            threshold=THRESHOLD,
            reset_mechanism="{neuron.reset}",
            reset_delay={neuron.reset_delay},
            spike_grad={spike_grad},
        )

    def forward(self, currents):
        membrane = torch.zeros_like(currents[0])
        spikes = []
        for current in currents:
            spike, membrane = self.leaky(current, membrane)
            spikes.append(spike)
        return torch.stack(spikes)
'''


def _indented(lines: Iterable[str], by: int) -> str:
    return "\n".join(" " * by + line for line in lines)


DIALECTS: Mapping[str, Dialect] = {
    "code": Dialect("plain PyTorch", (), _plain),
    "snntorch": Dialect("snnTorch", ("from snntorch import Leaky, surrogate",), _snntorch),
    "spikingjelly": Dialect(
        "SpikingJelly",
        (
            "from spikingjelly.activation_based import functional as spiking",
            "from spikingjelly.activation_based import neuron",
        ),
        _spikingjelly,
        prepare=("spiking.reset_net(self)  # membranes start at 0",),
    ),
}
