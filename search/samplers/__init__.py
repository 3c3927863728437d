"""Which candidate to try next. A sampler is one file, one line of ``SAMPLERS`` and its name in the space's schema.

A sampler is a callable ``(space, seed) -> optuna.samplers.BaseSampler``. It may know the space, or only its dials.
"""

from collections.abc import Callable, Mapping
from functools import partial

from optuna.samplers import BaseSampler

from search.samplers.ehvi import CostAwareEHVISampler
from search.samplers.evolutionary import GeneticSampler
from search.samplers.gp import make_gp
from search.samplers.random_search import make_random
from search.samplers.stateless import StatelessSampler
from search.samplers.tpe import make_tpe
from search.space.space import Space

SAMPLERS: Mapping[str, Callable[[Space, int], BaseSampler]] = {
    "ehvi": CostAwareEHVISampler,
    "ga": GeneticSampler,
    "tpe": make_tpe,
    "gp": make_gp,
    "random": make_random,
}  # names are also in search.space.sections.Sampler; a test compares them
DEFAULT_SAMPLER = "ehvi"  # the meaning of "auto"; chosen on the table of masks, see benchmarks/README.md


def make_sampler(space: Space, seed: int) -> StatelessSampler:
    """Return the sampler that the space asks for, made stateless."""
    name = space.study.sampler
    return StatelessSampler(partial(SAMPLERS[DEFAULT_SAMPLER if name == "auto" else name], space), seed)


def describe_sampler(name: str) -> str:
    """Return the name that a report shows, for example ``auto (ehvi)``."""
    return f"auto ({DEFAULT_SAMPLER})" if name == "auto" else name
