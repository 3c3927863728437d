"""The smallest and the largest candidate of a space: they bound the front, and random draws hardly ever reach them."""

from reports.records.study import Leaf
from search.space.candidate import Candidate
from search.space.dials import Dial
from search.space.space import Space

SIZE_SECTIONS = ("network", "encoding")  # larger numbers in these sections make a larger network
INVERSE_LEAVES = ("stride",)  # here larger numbers leave less work
MAX_WORK_RATIO = 2.0  # a named candidate within this factor of a corner's work replaces the corner


def initial_design(space: Space) -> list[dict[str, Leaf]]:
    """Return the dials of the smallest and the largest candidate.

    A corner is left out if a constraint refuses it or a named candidate does about as much work. Modules are removed or
    kept, numbers of the network and its encoding are at one end of their range, all other dials are at their anchor.
    The largest candidate is expensive: beside a baseline of nearly its size it took a fifth of the first two minutes of
    a search on two cores.
    """
    seen = set()
    named = [_work(space.candidate(params)) for params in space.candidates.values()]
    corners = []
    for large in (False, True):
        chosen: dict[str, Leaf] = {}
        for dial in space.dials:
            if dial.counts(chosen):
                chosen[dial.path] = _end(dial, large=large)
        candidate = space.candidate(chosen)
        if candidate.fingerprint in seen or space.refusals(candidate):
            continue
        if not any(max(work, _work(candidate)) <= MAX_WORK_RATIO * min(work, _work(candidate)) for work in named):
            corners.append(chosen)
            seen.add(candidate.fingerprint)
    return corners


def _work(candidate: Candidate) -> int:
    """Return the dense multiply-accumulates of one inference over all time steps; 0 if the network does not build."""
    return candidate.static().get("dense_macs", 0) * candidate.encoding.timesteps


def _end(dial: Dial, *, large: bool) -> Leaf:
    section, leaf = dial.path.split(".")[0], dial.path.rpartition(".")[2]
    if dial.keep:
        return large
    if section not in SIZE_SECTIONS or not dial.values.numeric:
        return dial.anchor
    return (max if large != (leaf in INVERSE_LEAVES) else min)(dial.values.ends)
