"""CUDA graphs: record the kernels of one pass over a batch once, then launch them together.

A small network's kernels finish sooner than Python can launch them one by one.
"""

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn

Pass = Callable[[Sequence[Tensor]], Tensor]  # accumulates the parameters' gradients

log = logging.getLogger(__name__)


class Graphs:
    """Record and replay passes that compute the gradients of ``parameters``, one graph per ``kind``.

    A kind identifies everything a pass depends on except the values of its inputs, weights and buffers. The first pass
    of a kind runs directly, which compiles missing kernels; the second is recorded. If recording fails, all passes run
    directly, and the log says why.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._recorded: dict[Hashable, _Recorded | None] = {}
        self._usable = True

    def __call__(self, run: Pass, kind: Hashable, inputs: Sequence[Tensor]) -> Tensor:
        """Return the result of ``run``, valid until the next call. The parameters must have no gradients before."""
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
        except RuntimeError as error:  # the driver refuses an operation in a graph: train without graphs
            log.warning("graph=none reason=%r", str(error)[:500])
            self._usable = False
            for parameter in self._parameters:
                parameter.grad = None
            return None


class _Recorded:
    def __init__(self, run: Pass, inputs: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
        self._inputs = [each.clone() for each in inputs]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # records without running
            self._found = run(self._inputs)
        self._gradients = [(parameter, parameter.grad) for parameter in parameters]

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._found
