"""Stateless samplers: proposals depend on the seed and the stored trials only."""

from dataclasses import replace

import optuna
import pytest

from search.registries import SAMPLERS
from search.samplers import make_sampler
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.base.seeds import derived_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)

TEXT = """\
study: {name: asked, budget: {trials: 4}, objectives: {accuracy: maximize, params: minimize}}
network:
  family: squeezenet
  fire2: {keep: {choices: [true, false]}, squeeze: {low: 8, high: 64, step: 8}}
neuron: {leak: {low: 0.5, high: 1.0}}
data: {name: cifar10}
"""


def space_for(sampler: str) -> Space:
    space = load_space(TEXT)
    return replace(space, study=space.study.model_copy(update={"sampler": sampler}))


def ask(study: optuna.Study, space: Space) -> tuple:
    trial = study.ask()
    params = space.suggest(trial)
    trial.set_user_attr("key", space.candidate(params).fingerprint)
    return trial, params


@pytest.mark.parametrize("name", SAMPLERS)
def test_new_sampler_for_every_trial_proposes_the_same(name):
    space = space_for(name)

    def asked(reborn: bool) -> list[dict]:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(space, 5))
        found = []
        for _ in range(13):
            if reborn:
                study.sampler = make_sampler(space, 5)
            trial, params = ask(study, space)
            found.append(params)
            study.tell(trial, [params["neuron.leak"], float(space.candidate(params).plan().params)])
        return found

    assert asked(reborn=True) == asked(reborn=False)


def test_trials_get_different_proposals():
    space = space_for("random")
    study = optuna.create_study(sampler=make_sampler(space, 5))
    assert len({ask(study, space)[1]["neuron.leak"] for _ in range(20)}) == 20


def test_derived_seed_depends_on_every_part_of_its_key():
    keys = [(0, 1), (1, 0), (0, 1, "a"), (0, "1")]
    assert len({derived_seed(*key, bits=32) for key in keys}) == 4
