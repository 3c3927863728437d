"""CUDA graphs: the kernels of a pass over a batch, recorded once and launched together from then on.

A small network's kernels are over sooner than Python launches them one by one.
"""

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn

Pass = Callable[[Sequence[Tensor]], Tensor]  # leaves gradients at the parameters

log = logging.getLogger(__name__)


class Graphs:
    """Passes that leave gradients at ``parameters``, recorded: one graph for each ``kind``, which says all that a pass
    depends on besides the values of its inputs and of the network's weights and buffers.

    The first pass of a kind is run as it is, which compiles what is missing; the second is recorded. Where that fails,
    all are run as they are, and the log says why.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._recorded: dict[Hashable, _Recorded | None] = {}
        self._usable = True

    def __call__(self, run: Pass, kind: Hashable, inputs: Sequence[Tensor]) -> Tensor:
        """What ``run`` gives, until the next call. The parameters have no gradients before it."""
        if not self._usable:
            return run(inputs)
        kind = kind, *(each.shape for each in inputs)
        if kind not in self._recorded:
            self._recorded[kind] = None
            return run(inputs)
        recorded = self._recorded[kind] or self._record(run, inputs)
        if recorded is None:
            return run(inputs)
        self._recorded[kind] = recorded
        return recorded(inputs)

    def _record(self, run: Pass, inputs: Sequence[Tensor]) -> "_Recorded | None":
        try:
            return _Recorded(run, inputs, self._parameters)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # whatever a driver does not let a graph hold: training goes on without
            log.warning("graph=none reason=%r", str(error)[:500])
            self._usable = False
            for parameter in self._parameters:
                parameter.grad = None
            return None


class _Recorded:
    def __init__(self, run: Pass, inputs: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
        self._inputs = [each.clone() for each in inputs]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # records, and runs nothing
            self._found = run(self._inputs)
        self._gradients = [(parameter, parameter.grad) for parameter in parameters]

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._found
