"""Conformance of a space's parts."""

import math
import random

import optuna
import pytest
import torch

from search.samplers import make_sampler
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study.pruners import make_pruner
from search.trial.run import own_figures
from snnkit.architecture.plan import PlanError
from snnkit.data import Splits, load_dataset, split_dataset
from snnkit.energy import estimate_all
from snnkit.energy.operations import OperationCounts, count_operations, silent_counts
from snnkit.nn.network import Network
from snnkit.training.evaluation import batches

IMAGES = 8


@pytest.fixture(scope="session")
def parts(space: Space, request: pytest.FixtureRequest) -> Splits:
    data = space.base.data
    loaded = load_dataset(data.source, request.config.getoption("--data"), side=data.resolution)
    return split_dataset(loaded, data, space.study.seed, frames=space.base.encoding.frames)


def images_of(parts: Splits) -> torch.Tensor:
    return next(batches(parts.validation, parts, "cpu", batch=IMAGES))


def spiking(candidate: Candidate) -> Network:
    return Network(candidate.plan(), candidate.neuron, candidate.encoding, seed=0)


def counted(candidate: Candidate, parts: Splits) -> OperationCounts:
    return count_operations(spiking(candidate).eval(), [images_of(parts)])


# The space


def test_space_loads_again_from_what_a_study_stores(space: Space) -> None:
    assert load_space(space.dump()) == space
    assert load_space(space.dump()).fingerprint == space.fingerprint


# The family


def test_every_design_builds_or_says_what_to_change(drawn: list[Candidate]) -> None:
    """A PlanError names the module and the change that would help."""
    refusals = []
    for candidate in drawn:
        try:
            assert candidate.plan().params > 0
        except PlanError as error:
            refusals.append(str(error))
    assert [text for text in refusals if len(text.split()) < 4] == []


def test_design_travels_to_another_process(drawn: list[Candidate]) -> None:
    for candidate in drawn:
        assert Candidate.model_validate_json(candidate.model_dump_json()) == candidate


def test_network_and_twin_learn(built: list[Candidate], parts: Splits) -> None:
    """Scores are finite, one for each class, and every weight has a finite gradient."""
    images = images_of(parts)
    for candidate in built:
        for neuron in (candidate.neuron, None):
            network = Network(candidate.plan(), neuron, candidate.encoding, seed=0).train()
            scores = network(images if neuron is not None or images.ndim == 4 else images.mean(1))
            assert scores.shape == (len(images), candidate.data.outputs)
            assert scores.isfinite().all()
            scores.square().sum().backward()
            grads = {name: weight.grad for name, weight in network.named_parameters()}
            assert [name for name, grad in grads.items() if grad is None or not grad.isfinite().all()] == []


def test_weights_load_into_a_new_network(built: list[Candidate], parts: Splits) -> None:
    images = images_of(parts)
    for candidate in built:
        first, second = (
            spiking(candidate).eval(),
            Network(candidate.plan(), candidate.neuron, candidate.encoding, seed=1),
        )
        second.load_state_dict(first.state_dict())
        with torch.no_grad():
            assert torch.equal(second.eval()(images), first(images))


def test_modules_have_unique_names(drawn: list[Candidate]) -> None:
    for candidate in drawn:
        names = [module.name for module in candidate.modules()]
        assert names
        assert len(set(names)) == len(names)


def test_removed_module_leaves_no_layer(space: Space, drawn: list[Candidate]) -> None:
    for dial in (dial for dial in space.dials if dial.keep):
        module = dial.path.removesuffix(".keep").rpartition(".")[2]
        for candidate in drawn:
            states = {each.name: each.state for each in candidate.modules()}
            if states.get(module) != "removed":
                continue
            try:
                layers = [layer.name for layer in candidate.plan().convs]
            except PlanError:
                continue
            assert [name for name in layers if f"{name}.".startswith(f"{module}.")] == []


# The energy model


def test_energies_are_sums_of_layers_and_spikes_only_add(built: list[Candidate], parts: Splits) -> None:
    for candidate in built:
        counts = counted(candidate, parts)
        least = estimate_all(silent_counts(candidate.plan(), candidate.neuron, candidate.encoding), candidate.energy)
        for rule, energy in estimate_all(counts, candidate.energy).items():
            assert math.isfinite(energy.total_mj), rule
            assert energy.total_mj >= least[rule].total_mj * (1 - 1e-9) >= 0, rule
            assert set(energy.layers) <= {layer.name for layer in counts.layers}, rule
            assert math.isclose(energy.total_mj, sum(energy.layers.values()), rel_tol=1e-9), rule
            assert math.isclose(energy.total_mj, sum(energy.parts.values()), rel_tol=1e-9), rule


# The data set


def test_images_and_labels_fit_the_description(space: Space, parts: Splits) -> None:
    data = space.base.data
    for split in (parts.train, parts.validation, parts.test):
        assert len(split) == len(split.labels) > 0
        assert split.labels.min() >= 0
        assert split.labels.max() < data.outputs
    assert images_of(parts).shape[-3:] == data.shape
    assert len(parts.classes) == data.outputs


def test_data_set_is_the_same_when_it_is_read_again(
    space: Space, parts: Splits, request: pytest.FixtureRequest
) -> None:
    data = space.base.data
    again = load_dataset(data.source, request.config.getoption("--data"), side=data.resolution)
    second = split_dataset(again, data, space.study.seed, frames=space.base.encoding.frames)
    assert torch.equal(images_of(second), images_of(parts))
    assert (second.train.labels == parts.train.labels).all()


# The objectives


def test_objectives_are_finite_numbers(space: Space, built: list[Candidate], parts: Splits) -> None:
    for candidate in built:
        network = spiking(candidate).eval()
        counts = count_operations(network, [images_of(parts)])
        found = own_figures(space.own_figures, network, counts, 0.1, parts, "cpu")
        assert set(found) == set(space.own_figures)


# The sampler and the stopping rule


def test_sampler_proposes_candidates_that_depend_on_seed_and_history_only(space: Space) -> None:
    def proposals(reborn: bool) -> list[dict[str, object]]:
        directions = list(space.study.objectives.values())
        study = optuna.create_study(directions=directions, sampler=make_sampler(space, 3))
        found: list[dict[str, object]] = []
        for _ in range(6):
            if reborn:
                study.sampler = make_sampler(space, 3)
            trial = study.ask()
            params = space.suggest(trial)  # type: ignore[arg-type]  # Optuna's overloads are narrower
            trial.set_user_attr("key", space.candidate(params).fingerprint)
            values = random.Random(len(found))
            study.tell(trial, [values.random() for _ in directions])
            found.append(dict(params))
        return found

    assert proposals(reborn=True) == proposals(reborn=False)


def test_stopping_rule_describes_itself_and_repetition_changes_nothing(space: Space) -> None:
    rule = space.study.stopping
    if rule is None:
        pytest.skip("the space has no stopping rule")

    def reasons(repetitions: int) -> list[str | None]:
        pruner = make_pruner(rule, space.study.objectives)
        draw, found = random.Random(0), []
        for trial in range(20):
            values = [draw.random() for _ in space.study.objectives]
            for _ in range(repetitions):
                pruner.add(1, trial, values)
            found.append(pruner.prune_reason(1, trial))
        return found

    assert type(make_pruner(rule, space.study.objectives)).describe(rule)
    assert reasons(1) == reasons(2)
