"""The two ends of a space: they bound the front, and samplers that draw evenly over the dials hardly ever meet them."""

from reports.records.study import Leaf
from search.space.candidate import Candidate
from search.space.dials import Dial
from search.space.space import Space

SIZED = ("network", "encoding")  # sections whose numbers make a network larger
INVERSE = ("stride",)  # the larger it is, the less is left to do
NEAR = 2.0  # a named candidate that does at most so many times as much or as little stands for a corner


def initial_design(space: Space) -> list[dict[str, Leaf]]:
    """The smallest and the largest candidate, where they may be trained and no named candidate is near.

    Modules are removed or kept, numbers of the network and its encoding at one end; everything else is at its anchor.
    The largest costs the most: beside a baseline of nearly its size it was a fifth of what two cores did in a search's
    first two minutes.
    """
    seen = set()
    named = [_work(space.candidate(params)) for params in space.candidates.values()]
    found = []
    for large in (False, True):
        chosen: dict[str, Leaf] = {}
        for dial in space.dials:
            if dial.counts(chosen):
                chosen[dial.path] = _end(dial, large=large)
        candidate = space.candidate(chosen)
        if candidate.key in seen or space.refusals(candidate):
            continue
        if not any(max(work, _work(candidate)) <= NEAR * min(work, _work(candidate)) for work in named):
            found.append(chosen)
            seen.add(candidate.key)
    return found


def _work(candidate: Candidate) -> int:
    """Dense multiply-accumulates of an inference, all time steps; 0 where the network does not build."""
    return candidate.static().get("dense_macs", 0) * candidate.encoding.timesteps


def _end(dial: Dial, *, large: bool) -> Leaf:
    section, leaf = dial.path.split(".")[0], dial.path.rpartition(".")[2]
    if dial.keep:
        return large
    if section not in SIZED or not dial.values.numeric:
        return dial.anchor
    return (max if large != (leaf in INVERSE) else min)(dial.values.ends)
