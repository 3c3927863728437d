"""The worker pool that the options, the space and the machine lead to."""

import pytest
from helpers.untrained import options_for

from search.errors import InputError, SpaceError
from search.runner.describe import describe_workers
from search.runner.resources import plan_workers
from search.space.limits import Resources
from search.space.loading.loader import load_space
from search.trial import environment
from search.trial.folder import RunFolder

SPACE = """
study:
  name: crews
  budget: {{trials: 2}}
  objectives: {{accuracy: maximize, params: minimize}}
  resources: {resources}
network:
  family: squeezenet
  fire3: {{keep: {{choices: [true, false]}}}}
data: {{name: digits}}
"""


def crew(monkeypatch, tmp_path, *, cores=2, cards=0, gib=64, cpus=None, gpus=None, **options):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(environment, "cores", lambda: cores)
    monkeypatch.setattr(environment, "memory_bytes", lambda: gib * 2**30)
    monkeypatch.setattr(environment, "gpus", lambda: cards)
    defaults = {"workers": None, "executor": "ray", "device": "cuda" if cards else "cpu"}
    return plan_workers(
        options_for(tmp_path, **(defaults | options)), RunFolder(tmp_path), Resources(cpus=cpus, gpus=gpus)
    )


@pytest.mark.parametrize(
    ("given", "workers", "threads"),
    [
        ({}, 2, 1),
        ({"cores": 16}, 8, 2),
        ({"cores": 16, "workers": 3}, 3, 5),
        ({"cores": 16, "cpus": 4}, 4, 4),
        ({"cores": 16, "cpus": 1}, 16, 1),  # said: not bounded by eight
        ({"cpus": 0.5}, 4, 1),
        ({"cpus": 8}, 1, 8),  # one at least
        ({"cores": 16, "cpus": 4, "workers": 2}, 2, 4),
        ({"cores": 16, "executor": "inline"}, 1, 16),
        ({"cores": 16, "gib": 4}, 3, 5),
        ({"cores": 16, "gib": 1}, 1, 16),  # one at least
        ({"cores": 16, "gib": 4, "workers": 8}, 8, 2),  # said
    ],
)
def test_on_a_cpu(given, workers, threads, monkeypatch, tmp_path):
    found = crew(monkeypatch, tmp_path, **given)
    assert (found.workers, found.placement.threads, found.gpus) == (workers, threads, 0)
    assert found.cpus == given.get("cpus", threads)


@pytest.mark.parametrize(
    ("given", "workers", "share"),
    [
        ({"cards": 1}, 1, 1),
        ({"cards": 1, "workers": 2}, 2, 1 / 2),
        ({"cards": 4}, 4, 1),
        ({"cards": 2, "workers": 3}, 3, 1 / 2),  # 2/3 each would leave room for two
        ({"cards": 2, "gpus": 0.25}, 8, 0.25),
        ({"cards": 2, "gpus": 0.25, "workers": 3}, 3, 0.25),
        ({"cards": 1, "gpus": 1.0}, 1, 1),
    ],
)
def test_on_gpus(given, workers, share, monkeypatch, tmp_path):
    found = crew(monkeypatch, tmp_path, cores=16, **given)
    assert (found.workers, found.gpus) == (workers, share)


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("2", 2), ("4", 3), ("2,1", 2), ("", 3), ("0", 3), ("x", 3)])
def test_number_of_threads_in_the_environment_is_an_upper_bound(given, threads, monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert environment.allowed_threads(3) == threads
    monkeypatch.setattr(environment, "cores", lambda: 3)
    found = plan_workers(options_for(tmp_path, executor="inline", device="cpu"), RunFolder(tmp_path), Resources())
    assert (found.cpus, found.placement.threads) == (3, threads)


def test_cluster_runs_as_many_trials_as_fit(monkeypatch, tmp_path):
    found = crew(monkeypatch, tmp_path, address="10.0.0.1:6379", cpus=2)
    assert (found.workers, found.cpus, found.placement.threads) == (None, 2, 2)
    assert (
        describe_workers(found)
        == "cpu, as many at once as the cluster at 10.0.0.1:6379 has room for, up to 2 threads each"
    )
    found = crew(monkeypatch, tmp_path, address="auto", workers=16, device="cuda", gpus=0.5)
    assert describe_workers(found) == "cuda, 16 at once, 1 thread and 0.5 of a GPU each"


@pytest.mark.parametrize("resources", ["{cpus: 0}", "{gpus: 2}", "{cpus: -1}", "{gpu: 0.5}"])
def test_impossible_resources_are_refused(resources):
    with pytest.raises(SpaceError, match=r"study\.resources"):
        load_space(SPACE.format(resources=resources))


def test_a_space_says_what_a_trial_takes():
    space = load_space(SPACE.format(resources="{cpus: 2, gpus: 0.25}"))
    assert space.study.resources == Resources(cpus=2, gpus=0.25)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:10001", "the driver runs on a machine of the cluster"),
        ("127.0.0.1:9", "no Ray cluster answers"),
        ("10.0.0.1", "HOST:PORT"),
    ],
)
def test_address_without_a_cluster_is_an_error(address, said, monkeypatch, tmp_path):
    from search.executors.ray_cluster import connect

    with pytest.raises(InputError, match=said):
        connect(crew(monkeypatch, tmp_path, address=address))
