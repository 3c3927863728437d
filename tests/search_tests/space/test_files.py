"""The space files that are shipped."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from search.benchmark.loader import load_benchmark
from search.samplers import make_sampler
from search.space.loading.loader import load_space
from search.space.sections import DEVICES, Device
from search.space.space import Space

SPACES = Path(__file__).parents[3] / "spaces"
FILES = [file for file in sorted(SPACES.glob("*.yaml")) if not file.stem.startswith("benchmark")]

# Table 3 of arXiv:2602.09717: schedule -> Fire modules that are kept
SCHEDULES = {
    "baseline": (2, 3, 4, 5, 6, 7, 8, 9),
    "head-1": (2, 3, 4, 5, 9),
    "head-2": (2, 3, 4, 5, 8),
    "tail-1": (2, 5, 6, 7, 8, 9),
    "tail-2": (2, 4, 6, 7, 8, 9),
    "alt-1": (2, 4, 6, 8),
    "alt-2": (3, 5, 7, 9),
    "SqueezeNet-P": (4, 6, 8, 9),
    "ref-2": (2, 4, 5, 6, 8, 9),
}
# Of the same table: accuracy, energy in mJ, parameters of the five that no other dominates
PUBLISHED_FRONT = {
    (0.81, 0.0295, 599_130),
    (0.79, 0.0260, 362_030),
    (0.77, 0.0257, 376_220),
    (0.77, 0.0241, 559_080),
    (0.76, 0.0226, 363_050),
}

# Table 1: parameters in thousands on CIFAR-10, CIFAR-100 and Tiny ImageNet, as printed; and how near the spaces come
PUBLISHED_SIZES = {
    "shufflenet_prune": ((911.0, 1000.0, 1110.0), 0.006),
    "mnasnet_prune": ((151.8, 163.5, 176.4), 0.0005),
    "mixnet_prune": ((84.9, 108.0, 133.7), 0.0005),
}


def prune(device: Device = "cpu") -> Space:
    return load_space(SPACES / "squeezenet_prune.yaml", device=device)


def parameters(kept: tuple[int, ...], classes: int) -> int:
    """Sum the published geometry by hand: every conv has a bias, and all except the last a BatchNorm (2 per filter)."""

    def conv(source: int, filters: int, kernel: int, extra: int = 3) -> int:
        return source * filters * kernel**2 + extra * filters

    squeeze = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
    total, channels = conv(3, 128, 3), 128
    for s in (squeeze[number] for number in kept):
        total += conv(channels, s, 1) + conv(s, 4 * s, 1) + conv(s, 4 * s, 3)
        channels = 8 * s
    return total + conv(channels, classes, 1, extra=1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_space_loads_and_its_dump_too(file: Path, device: Device) -> None:
    space = load_space(file, device=device)
    assert load_space(space.dump()) == space
    assert space.dials
    assert bool(space.candidates) == (file.stem != "squeezenet_open")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_named_candidates_of_shipped_spaces_meet_their_constraints(file: Path) -> None:
    space = load_space(file)
    refused = [name for name, params in space.candidates.items() if space.refusals(space.candidate(params))]
    assert refused == []


@pytest.mark.parametrize("name", ["ehvi", "ga", "tpe"])  # Optuna's Gaussian process takes its time
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_sampler_proposes_candidates_of_shipped_spaces(file: Path, name: str) -> None:
    space = load_space(file)
    space = replace(space, study=space.study.model_copy(update={"sampler": name}))
    sampler = make_sampler(space, seed=0)
    study = optuna.create_study(directions=list(space.study.objectives.values()), sampler=sampler)
    keys = set()
    for _ in range(7 if name == "ehvi" else 12):  # the first at random, then by the model
        trial = study.ask()
        candidate = space.candidate(space.suggest(trial))
        figures = candidate.static()
        trial.set_user_attr("key", candidate.fingerprint)
        study.tell(trial, [figures.get("params", 1e9) * (1 + at) for at in range(len(study.directions))])
        keys.add(candidate.fingerprint)
    assert len(keys) > 6


@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_defaults_have_the_published_size(name: str) -> None:
    published, tolerance = PUBLISHED_SIZES[name]
    for data, thousands in zip(("cifar10", "cifar100", "tiny-imagenet"), published, strict=True):
        space = load_space(SPACES / f"{name}.yaml", overrides={"data.name": data})
        assert space.base.static()["params"] == pytest.approx(1000 * thousands, rel=tolerance)
        assert space.base.fingerprint == space.candidate(next(iter(space.candidates.values()))).fingerprint


@pytest.mark.parametrize("name", ["benchmark", "benchmark_small"])
def test_benchmarks_train_the_published_networks(name: str) -> None:
    loaded = load_benchmark(SPACES / f"{name}.yaml")
    labels = {"ShuffleNetV2": "shufflenet_prune", "MnasNet": "mnasnet_prune", "MixNet": "mixnet_prune"}
    for label, file in labels.items():
        size = load_space(SPACES / f"{file}.yaml").base.static()["params"]
        assert loaded.candidates["cifar10"][label].static()["params"] == size


@pytest.mark.parametrize("device", DEVICES)
def test_schedules_keep_what_the_paper_keeps(device: Device) -> None:
    space = prune(device)
    kept = {}
    for name, params in space.candidates.items():
        present = [module.name for module in space.candidate(params).modules() if module.state != "removed"]
        kept[name] = tuple(int(module.removeprefix("fire")) for module in present if module.startswith("fire"))
    assert kept == ({name: SCHEDULES[name] for name in ("SqueezeNet-P", "alt-2")} if device == "cpu" else SCHEDULES)


def test_nine_schedules_have_the_published_widths() -> None:
    space = prune("cuda")
    figures = {name: space.candidate(params).static()["params"] for name, params in space.candidates.items()}
    assert figures == {name: parameters(kept, classes=10) for name, kept in SCHEDULES.items()}
    assert figures["baseline"] == 736_458  # which the paper rounds to 736.5 k
    assert figures["SqueezeNet-P"] == 549_114


def test_reference_points_are_the_published_front() -> None:
    points = prune().reference
    assert {(point.accuracy, point.energy_mj, point.params) for point in points} == PUBLISHED_FRONT
    assert all(point.price == "horowitz45/paper2602" and "2602.09717" in point.source for point in points)


def test_gpu_profile_trains_on_all_images_and_pixels() -> None:
    cpu, cuda = prune("cpu").base, prune("cuda").base
    assert (cpu.data.subset, cpu.data.shape) == (7_500, (3, 16, 16))
    assert (cuda.data.subset, cuda.data.shape) == (None, (3, 32, 32))
    assert cuda.train.epochs > cpu.train.epochs
    bounds = {device: prune(device).study.constraints["energy_mj"]["max"] for device in ("cpu", "cuda")}
    assert bounds == {"cpu": 0.0074, "cuda": 0.0295}  # a quarter of the pixels


def test_smoke_space_needs_no_download() -> None:
    space = load_space(SPACES / "smoke.yaml")
    assert space.base.data.name == "digits"
    assert (space.study.budget.trials, space.size is not None and space.size >= 30) == (12, True)


def test_reading_a_space_loads_neither_torch_nor_ray_nor_optuna() -> None:
    code = (
        "import sys, search.space.loading.loader, search.cli.validate; "
        "print(sorted({'torch', 'ray', 'optuna'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
