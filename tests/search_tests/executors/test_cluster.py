"""A study on a real Ray cluster: nodes with addresses, disks and caches of their own, killed, cut off and joining."""

import sys

import numpy as np
import pytest
from helpers.cluster import HEAD, address, cluster, needs_namespaces
from helpers.recordings import bin_file, random_events
from helpers.untrained import SPACES
from helpers.waiting import PATIENCE_S, wait_for

from reports.storage.studies import LedgerError, load_study_folder
from search.trial.folder import RunFolder

pytestmark = [pytest.mark.slow, needs_namespaces]

NAME = "nmnist-prune"
EPOCHS = 30
SETS = (
    "data.subset=120",
    "data.test=20",
    f"train.epochs={EPOCHS}",
    "encoding.timesteps=3",
    "network.stem.width=8",
    f"train.chance_patience={EPOCHS + 1}",
)


@pytest.fixture
def data(tmp_path):
    """Recordings that only the head's disk has."""
    rng = np.random.default_rng(0)
    for part, count in (("Train", 12), ("Test", 2)):
        for digit in range(10):
            for index in range(count):
                path = tmp_path / "data" / "NMNIST" / part / str(digit) / f"{digit}{index:04}.bin"
                bin_file(path, random_events(rng))
    return tmp_path / "data"


@pytest.fixture
def three(tmp_path):
    with cluster(tmp_path, 3) as made:
        yield made


def launch(nodes, data, tmp_path, trials, *more):
    sets = [word for each in SETS for word in ("--set", each)]
    words = ["launch", str(SPACES / "nmnist_prune.yaml"), *sets, "--trials", str(trials), "--device", "cpu"]
    return nodes.snnsearch(*words, "--runs", str(tmp_path / "runs"), "--data", str(data), "--address", HEAD, *more)


def logs(tmp_path):
    return {int(path.parent.name): path.read_text() for path in tmp_path.glob(f"runs/{NAME}/trials/*/log.txt")}


def begun(tmp_path, node):
    """Trials that have begun on a node."""
    return [number for number, text in logs(tmp_path).items() if f"event=boarded node={address(node)}" in text]


def in_the_middle(tmp_path, node):
    """Trials that train on a node and have a checkpoint."""
    return [n for n in begun(tmp_path, node) if "epoch=3 " in (text := logs(tmp_path)[n]) and "event=end" not in text]


def went_on(tmp_path, number):
    """Whether the trial's last start was from a checkpoint."""
    return RunFolder(tmp_path / "runs" / NAME).trial(number).read_attempts().checkpoint != 0


def trained(tmp_path):
    try:
        return [trial for trial in load_study_folder(tmp_path / "runs" / NAME).trials if trial.status == "complete"]
    except LedgerError:
        return []


def check_whole(tmp_path, driver, trials):
    said, _ = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, said
    study = load_study_folder(tmp_path / "runs" / NAME)
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    assert sum(trial.status == "complete" for trial in study.trials) == trials
    assert all(len(trial.history) == EPOCHS for trial in study.trials if trial.status == "complete")


def test_data_reach_each_node_once_and_trials_run_on_all(three, data, tmp_path):
    three.start(1, cpus=1)
    three.start(2, cpus=2, hidden=[data])  # two workers that would both ask
    three.start(3, cpus=1, hidden=[data])
    driver = launch(three, data, tmp_path, 8)
    check_whole(tmp_path, driver, 8)
    assert all(begun(tmp_path, node) for node in (1, 2, 3))
    received = [line for text in logs(tmp_path).values() for line in text.splitlines() if "event=data_received" in line]
    assert sorted(line.rpartition("node=")[2] for line in received) == [address(2), address(3)]


def test_a_node_dies_and_another_joins(three, data, tmp_path):
    three.start(1, cpus=1)
    three.start(2, cpus=1)
    driver = launch(three, data, tmp_path, 8)
    wait_for(lambda: in_the_middle(tmp_path, 2), what="a trial on node 2")
    (struck,) = in_the_middle(tmp_path, 2)
    three.kill(2)
    three.start(3, cpus=1)
    check_whole(tmp_path, driver, 8)
    assert begun(tmp_path, 3)
    study = load_study_folder(tmp_path / "runs" / NAME)
    assert study.trials[struck].restarts == 1
    assert went_on(tmp_path, struck)


def test_a_node_is_cut_off_and_comes_back(three, data, tmp_path):
    three.start(1, cpus=1)
    three.start(2, cpus=1)
    driver = launch(three, data, tmp_path, 6)
    wait_for(lambda: in_the_middle(tmp_path, 2), what="a trial on node 2")
    three.connect(2, up=False)
    wait_for(lambda: address(2) not in three.alive(), what="Ray to notice")
    three.connect(2, up=True)
    check_whole(tmp_path, driver, 6)


def test_a_killed_driver_is_followed_by_another(three, data, tmp_path):
    three.start(1, cpus=1)
    three.start(2, cpus=1)
    driver = launch(three, data, tmp_path, 6)
    wait_for(lambda: len(trained(tmp_path)) >= 2, what="two trials")
    driver.kill()
    before = {trial.number: trial for trial in trained(tmp_path)}
    words = ["resume", NAME, "--runs", str(tmp_path / "runs"), "--data", str(data), "--address", HEAD, "--trials"]
    check_whole(tmp_path, three.snnsearch(*words, str(6 - len(before))), 6)
    assert {trial.number: trial for trial in trained(tmp_path) if trial.number in before} == before


def test_a_node_that_does_not_see_the_folder_is_named(three, data, tmp_path):
    (tmp_path / "runs").mkdir()
    three.start(1, cpus=1)
    three.start(2, cpus=1, hidden=[tmp_path / "runs"])
    said, _ = launch(three, data, tmp_path, 4).communicate(timeout=PATIENCE_S)
    assert f"node {address(2)} does not see {tmp_path / 'runs' / NAME}" in said
    assert "--runs must name a folder" in said
    assert "Traceback" not in said


@pytest.fixture(params=["file", "s3"])
def exchange(request, three, tmp_path):
    """A URL that all nodes can use: a folder, or a bucket of a server that speaks S3."""
    if request.param == "file":
        (tmp_path / "meeting").mkdir()
        return (tmp_path / "meeting").as_uri()
    for package in ("moto.server", "s3fs"):
        pytest.importorskip(package)
    three.env |= {"AWS_ENDPOINT_URL": f"http://{address(1)}:5000", "AWS_DEFAULT_REGION": "us-east-1"}
    three.env |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    three.run([sys.executable, "-m", "moto.server", "-H", address(1), "-p", "5000"], told=False)
    bucket = "import boto3, time\nfor _ in range(100):\n try: boto3.client('s3').create_bucket(Bucket='snn'); break\n"
    made = three.run([sys.executable, "-c", f"{bucket} except Exception: time.sleep(0.5)"])
    assert made.wait(PATIENCE_S) == 0
    return "s3://snn/runs"


def test_files_go_through_an_exchange_where_no_folder_is_shared(exchange, three, data, tmp_path):
    """A trial continues in the middle on another node, and the driver's folder ends as if it were shared."""
    (tmp_path / "runs").mkdir()
    three.start(1, cpus=0)
    for node in (2, 3):
        three.start(node, cpus=1, hidden=[tmp_path / "runs", data])
    driver = launch(three, data, tmp_path, 6, "--exchange", exchange)
    at_work = "cache2/snnsearch/exchange/*/trials/*/checkpoint.pt"
    wait_for(
        lambda: any("epoch=3 " in (path.parent / "log.txt").read_text() for path in tmp_path.glob(at_work)),
        what="an epoch",
    )
    three.kill(2)
    check_whole(tmp_path, driver, 6)
    trials = load_study_folder(tmp_path / "runs" / NAME).trials
    assert [trial.restarts for trial in trials].count(1) == 1
    assert all((tmp_path / "runs" / NAME / "trials" / str(trial.number) / "weights.pt").is_file() for trial in trials)
    assert all(went_on(tmp_path, trial.number) for trial in trials if trial.restarts)
