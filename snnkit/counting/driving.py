"""Run a model over time: find out whether one call is a time step, a sequence or a whole inference."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from snnkit.counting.errors import CountError
from snnkit.counting.neurons import reset, takes_sequence, tensors

Forward = Literal["step", "sequence", "loop"]
FORWARDS: tuple[Forward, ...] = ("step", "sequence", "loop")
SAY_SO = (
    "Say how the model runs: forward='step' (one call is one time step), 'sequence' (one call takes all time steps, "
    "(T, B, ...)) or 'loop' (one call takes the image and runs all time steps)"
)
IMAGE_AXES = 4  # (B, C, H, W); one more is time


@dataclass(frozen=True)
class Drive:
    """How a model runs."""

    forward: Forward
    timesteps: int
    time_axis: int | None  # of the batches; None: still images

    def calls(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the input of each call of the model, for one batch."""
        if self.forward == "sequence" and self.time_axis is None:
            yield images.expand(self.timesteps, *images.shape).clone()
        elif self.forward == "sequence" and self.time_axis is not None:
            yield images.movedim(self.time_axis, 0).clone()
        elif self.forward == "loop":
            yield images.clone()
        elif self.time_axis is None:
            yield from (images.clone() for _ in range(self.timesteps))
        else:
            yield from (frame.clone() for frame in images.unbind(self.time_axis))

    def scores(self, outputs: Sequence[object], count: int) -> Tensor | None:
        """Return the class scores (B, classes), summed over time; None if the outputs have another form.

        The first tensor of an output counts: in snnTorch, the spikes.
        """
        firsts = [next(tensors(each), None) for each in outputs]
        found = [each for each in firsts if each is not None]
        if self.forward == "step":
            alike = [each.flatten(1) for each in found if each.dim() >= 2 and len(each) == count]
            return sum(alike[1:], alike[0]) if alike else None
        (output,) = found or [torch.empty(0)]
        if output.dim() >= 3 and output.shape[:2] == (self.timesteps, count):
            output = output.sum(0)
        return output.flatten(1) if output.dim() >= 2 and len(output) == count else None


def find_time_axis(images: Tensor, timesteps: int) -> int | None:
    """Return the axis of time of a batch, if it has five axes; None for images. Raises CountError if it is unclear."""
    if images.dim() <= IMAGE_AXES:
        return None
    axes = [axis for axis in (0, 1) if images.shape[axis] == timesteps]
    if len(axes) == 1:
        return axes[0]
    raise CountError(
        f"the batches have five axes, {tuple(images.shape)}: the axis of time should be the first or the second, with "
        f"{timesteps} steps. Say which one it is, time_axis=0 or 1 (None for still "
        "volumes), and check timesteps"
    )


def find_forward(
    model: nn.Module, neurons: dict[str, nn.Module], images: Tensor, timesteps: int, time_axis: int | None,
    others: tuple[type[nn.Module], ...] = (),
) -> Forward:  # fmt: skip
    """Find out how ``model`` runs: call it with one step and with a sequence, and see how often its neurons run.

    Raises CountError if neither or both make sense.
    """
    if not neurons:
        if timesteps == 1:
            return "step"
        raise CountError(
            f"the model has no neurons of snnTorch, SpikingJelly or NIR, so {timesteps} time steps mean nothing. If "
            "its neurons are of another class, name it: neurons=(CLASS,), and forward. For a CNN, give timesteps=1"
        )
    few = _few(images, 3 if timesteps == 2 else 2, time_axis)
    count = few.shape[1 if time_axis == 0 else 0]
    fitting: list[Forward] = []
    seen: list[tuple[torch.Size, set[tuple[int, int]] | str]] = []
    for kind, candidates in (("step", ("step", "loop")), ("sequence", ("sequence",))):
        drive = Drive("step" if kind == "step" else "sequence", timesteps, time_axis)
        call = next(drive.calls(few))
        ran = _updates(model, neurons, call, others)
        seen.append((call.shape, ran))
        wanted = {"step": 1, "loop": timesteps, "sequence": timesteps}
        for candidate in candidates:
            still = time_axis is None or candidate != "loop"
            if ran == {(wanted[candidate], count)} and still:
                fitting.append(candidate)  # type: ignore[arg-type]  # they are literals above
                break
    if len(fitting) == 1 or (timesteps == 1 and fitting):
        return fitting[0]
    text = "; ".join(f"given {tuple(shape)}, {ran if isinstance(ran, str) else _describe(ran)}" for shape, ran in seen)
    if all(isinstance(ran, str) for _, ran in seen):
        raise CountError(
            f"the model takes neither one step nor a sequence of this data: {text}. Check the inputs' size"
        )
    found = "Both ways fit" if fitting else "Neither is one step, nor all of them"
    raise CountError(f"cannot tell how the model runs with timesteps={timesteps}: {text}. {found}. {SAY_SO}")


def _few(images: Tensor, count: int, time_axis: int | None) -> Tensor:
    """Return a batch of ``count`` copies of the first image."""
    axis = 1 if time_axis == 0 else 0
    first = images.narrow(axis, 0, 1)
    return torch.cat([first] * count, axis)


def _updates(
    model: nn.Module, neurons: dict[str, nn.Module], call: Tensor, others: tuple[type[nn.Module], ...]
) -> set[tuple[int, int]] | str:
    """Return how often the neurons were updated, and for how many images; or the error of the model."""
    updates = dict.fromkeys(neurons, 0)
    images = dict.fromkeys(neurons, 0)

    def hook(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def count(module: nn.Module, args: tuple[object, ...]) -> None:
            incoming = next(tensors(args))
            sequence = takes_sequence(module)
            updates[name] += len(incoming) if sequence else 1
            images[name] = incoming.shape[1] if sequence and incoming.dim() > 1 else len(incoming)

        return count

    hooks = [module.register_forward_pre_hook(hook(name)) for name, module in neurons.items()]
    reset(model, others)
    try:
        model(call)
    except Exception as error:  # whatever a model raises, it does not take this input
        return f"it raises {type(error).__name__}: {str(error).splitlines()[0][:150] if str(error) else ''}"
    finally:
        for each in hooks:
            each.remove()
        reset(model, others)
    return {(updates[name], images[name]) for name in neurons if updates[name]}


def _describe(ran: set[tuple[int, int]]) -> str:
    if not ran:
        return "its neurons do not run"
    return "its neurons run " + " and ".join(f"{steps} times on {images} images" for steps, images in sorted(ran))
