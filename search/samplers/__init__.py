"""Which candidate to try next. A sampler is one file and one line of ``SAMPLERS`` in `search.registries`.

A sampler is a callable ``(space, seed) -> optuna.samplers.BaseSampler``. It may know the space, or only its dials.
"""

from collections.abc import Callable
from functools import partial

from optuna.samplers import BaseSampler

from search.registries import SAMPLERS, load_implementation
from search.samplers.stateless import StatelessSampler
from search.space.space import Space

DEFAULT_SAMPLER = "ehvi"  # the meaning of "auto"; chosen on the table of masks, see benchmarks/README.md


def make_sampler(space: Space, seed: int) -> StatelessSampler:
    """Return the sampler that the space asks for, made stateless."""
    name = space.study.sampler
    make: Callable[[Space, int], BaseSampler] = load_implementation(
        SAMPLERS, DEFAULT_SAMPLER if name == "auto" else name
    )
    return StatelessSampler(partial(make, space), seed)


def describe_sampler(name: str) -> str:
    """Return the name that a report shows, for example ``auto (ehvi)``."""
    return f"auto ({DEFAULT_SAMPLER})" if name == "auto" else name
