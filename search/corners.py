"""The two ends of a space: they bound the front, and samplers that draw evenly over the dials hardly ever meet them."""

from reports.record import Leaf
from search.dials import Dial
from search.space import Space

SIZED = ("network", "encoding")  # sections whose numbers make a network larger
INVERSE = ("stride",)  # the larger it is, the less is left to do


def corners(space: Space) -> list[dict[str, Leaf]]:
    """The smallest and the largest candidate, where they may be trained and are no named candidate.

    Modules are removed or kept, numbers of the network and its encoding at one end; everything else is at its anchor.
    """
    seen = {space.candidate(params).key for params in space.candidates.values()}
    found = []
    for large in (False, True):
        chosen: dict[str, Leaf] = {}
        for dial in space.dials:
            if dial.counts(chosen):
                chosen[dial.path] = _end(dial, large=large)
        candidate = space.candidate(chosen)
        if candidate.key not in seen and not space.refusals(candidate):
            found.append(chosen)
            seen.add(candidate.key)
    return found


def _end(dial: Dial, *, large: bool) -> Leaf:
    section, leaf = dial.path.split(".")[0], dial.path.rpartition(".")[2]
    if dial.keep:
        return large
    if section not in SIZED or not dial.values.numeric:
        return dial.anchor
    return (max if large != (leaf in INVERSE) else min)(dial.values.ends)
