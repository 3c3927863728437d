"""Samplers that remember nothing."""

import optuna
import pytest

from search.samplers import GP_TRIALS, SAMPLERS, StatelessSampler, choose
from snnkit.seeds import derived_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)


def ask(study: optuna.Study) -> tuple:
    trial = study.ask()
    kept = trial.suggest_categorical("keep", [True, False])
    width = trial.suggest_int("width", 8, 64, step=8) if kept else None
    return trial, (kept, width, trial.suggest_float("leak", 0.5, 1.0))


@pytest.mark.parametrize("name", SAMPLERS)
def test_two_samplers_of_one_seed_ask_the_same_of_the_same_past(name):
    def asked(reborn: bool) -> list[tuple]:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=StatelessSampler(choose(name, 3), 5))
        found = []
        for _ in range(13):
            if reborn:
                study.sampler = StatelessSampler(choose(name, 3), 5)
            trial, params = ask(study)
            found.append(params)
            study.tell(trial, [params[2], float(params[1] or 0)])
        return found

    assert asked(reborn=True) == asked(reborn=False)


def test_trials_do_not_repeat_each_other():
    study = optuna.create_study(sampler=StatelessSampler(choose("random", 3), 5))
    assert len({ask(study)[1][2] for _ in range(20)}) == 20


def test_auto_is_gp_while_it_is_affordable():
    few, many = choose("auto", 8), choose("auto", 41)
    assert (few(0), few(GP_TRIALS), many(0)) == (SAMPLERS["gp"], SAMPLERS["tpe"], SAMPLERS["tpe"])


def test_seeds_depend_on_every_part():
    keys = [(0, 1), (1, 0), (0, 1, "a"), (0, "1")]
    assert len({derived_seed(*key, bits=32) for key in keys}) == 4
