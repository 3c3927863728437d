"""Limits of containers and batch systems, as the two versions of control groups store them."""

import pytest

from search.trial import cgroup, environment

NO_LIMIT = 9_223_372_036_854_771_712  # version 1's word for no memory limit
GIB = 2**30


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Returns a function that writes the files of a machine: ``membership`` and the limits by path."""

    def write(membership, files):
        monkeypatch.setattr(cgroup, "ROOT", tmp_path / "cgroup")
        monkeypatch.setattr(cgroup, "MEMBERSHIP", tmp_path / "membership")
        monkeypatch.setattr(cgroup, "KERNEL_COUNTERS", tmp_path / "vmstat")
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    return write


V1 = "5:memory:/job/step\n3:cpu,cpuacct:/job/step\n1:name=systemd:/\n"
V2 = "0::/job/step\n"
LIMITS = [
    ("none", V2, {}, None, None),
    ("version 2", V2, {"job/step/cpu.max": "50000 100000", "job/step/memory.max": str(3 * GIB)}, 0.5, 3 * GIB),
    ("no limit in version 2", V2, {"job/step/cpu.max": "max 100000", "job/step/memory.max": "max"}, None, None),
    ("a limit further up", V2, {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}, 1.5, None),
    ("own group at the root", V2, {"cpu.max": "200000 100000", "memory.max": str(GIB)}, 2.0, GIB),
    (
        "version 1", V1,
        {"cpu/job/step/cpu.cfs_quota_us": "50000", "cpu/job/step/cpu.cfs_period_us": "100000",
         "memory/job/step/memory.limit_in_bytes": str(3 * GIB)}, 0.5, 3 * GIB,
    ),
    (
        "no limit in version 1", V1,
        {"cpu,cpuacct/job/step/cpu.cfs_quota_us": "-1", "cpu,cpuacct/job/step/cpu.cfs_period_us": "100000",
         "memory/memory.limit_in_bytes": str(NO_LIMIT)}, None, NO_LIMIT,
    ),
    (
        "version 1 in a container", V1,
        {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000",
         "memory/memory.limit_in_bytes": str(2 * GIB)}, 1.5, 2 * GIB,
    ),
    ("beside version 1", V1 + V2, {"unified/job/cpu.max": "100000 100000"}, 1.0, None),
    ("unreadable", V2, {"job/step/cpu.max": "?", "job/step/memory.max": ""}, None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("membership", "files", "quota", "memory"), [row[1:] for row in LIMITS], ids=[r[0] for r in LIMITS]
)
def test_limits_are_the_smallest_of_the_group_and_those_around_it(group, membership, files, quota, memory):
    group(membership, files)
    assert cgroup.cpu_quota() == quota
    assert cgroup.memory_limit_bytes() == memory


def test_a_machine_without_control_groups_has_no_limits(tmp_path, monkeypatch):
    for name in ("ROOT", "MEMBERSHIP", "KERNEL_COUNTERS"):
        monkeypatch.setattr(cgroup, name, tmp_path / "none")
    assert (cgroup.cpu_quota(), cgroup.memory_limit_bytes(), cgroup.oom_kills()) == (None, None, 0)


@pytest.mark.parametrize(
    ("membership", "file"), [(V2, "job/step/memory.events"), (V1, "memory/job/memory.oom_control")]
)
def test_kills_for_memory_are_counted(group, tmp_path, membership, file):
    group(membership, {file: "oom 7\noom_kill 2"})
    (tmp_path / "vmstat").write_text("pgfault 10\noom_kill 3\n")
    assert cgroup.oom_kills() == 5


def test_machine_of_a_container_has_the_cores_and_the_memory_that_it_may_use(group, monkeypatch):
    monkeypatch.undo()
    group(V2, {"job/step/cpu.max": "50000 100000", "job/step/memory.max": str(3 * GIB)})
    assert environment.cores() == 1
    assert environment.memory_bytes() == min(3 * GIB, environment.memory_bytes())
    assert environment.describe("cpu").startswith("1 core of ")
    assert ", 0.5 of them by quota, 3 GiB, " in environment.describe("cpu")
