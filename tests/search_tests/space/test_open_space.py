"""The open space contains the networks that were designed by hand."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.records.study import Leaf
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.families.squeezenet import FIRES, Fire, SqueezeNet

ROOT = Path(__file__).parents[3]
HAND_MADE = {
    "late-pool": "cifar10-front", "late-pool-mean": "cifar10-front", "pooled-currents": "cifar10-front",
    "SqueezeNet-P-64": "cifar10-front", "wide-squeeze": "cifar10-front", "trial-160": "cifar10-front",
    "edge-T2": "cifar10-edge", "edge-T4": "cifar10-edge",
}  # fmt: skip


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(ROOT / "spaces" / "squeezenet_open.yaml")


@pytest.mark.parametrize(("name", "benchmark"), HAND_MADE.items())
def test_open_space_contains(name: str, benchmark: str, space: Space) -> None:
    stored = yaml.safe_load((ROOT / "reports" / "gallery" / benchmark / "benchmark.yaml").read_text(encoding="utf-8"))
    design = SqueezeNet.model_validate(stored["networks"][name])
    own = stored.get("own", {}).get(name, {})
    timesteps = own.get("encoding", stored["encoding"]).get("timesteps", stored["encoding"]["timesteps"])

    candidate = space.candidate(_params(space, design) | {"encoding.timesteps": timesteps, "neuron.leak": 0.5})

    family = candidate.family
    assert candidate.plan().unnamed == family.plan(design, 10, (3, 32, 32)).unnamed
    assert not space.refusals(candidate)


def _params(space: Space, design: SqueezeNet) -> dict[str, Leaf]:
    """The dials of ``design``; other dials at their defaults."""
    chosen: dict[str, Leaf] = {"network.stem.width": design.stem.width, "network.pool.of": design.pool.of}
    chosen["network.pool.after"] = f"[{', '.join(design.pool.after)}]"
    for name, fire in design.fires.items():
        chosen[f"network.{name}.keep"] = fire.keep
        if fire.keep:
            ratios = _ratios(space, name, fire)
            chosen |= {f"network.{name}.{key}": value for key, value in ratios.items()}
    given = {dial.path: chosen.get(dial.path, dial.anchor) for dial in space.dials}
    return space.active(given)


def _ratios(space: Space, name: str, fire: Fire) -> dict[str, Any]:
    """Ratios that the dials can have and that give the widths of ``fire``."""
    dials = {dial.path.rpartition(".")[2]: dial for dial in space.dials if f".{name}." in dial.path}
    expand = fire.expand1x1 + fire.expand3x3
    assert dials["expand"].canonical(expand) == expand
    shares, ratios = (dials[key].values.spread(99) for key in ("share3x3", "squeeze_ratio"))
    for share, ratio in itertools.product(shares, ratios):
        found = {"expand": expand, "share3x3": share, "squeeze_ratio": ratio}
        if Fire.model_validate({**fire.model_dump(), **found}).widths == fire.widths:
            return found
    raise AssertionError(f"no ratios of {name} give {fire.widths}")


def test_no_candidate_is_named_and_all_modules_may_go(space: Space) -> None:
    assert not space.candidates
    assert {f"network.{name}.keep" for name in FIRES} <= {dial.path for dial in space.dials}
