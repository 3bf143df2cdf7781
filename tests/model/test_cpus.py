import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.model import cpus
from plainfilm.model.cpus import processors


@pytest.fixture(autouse=True)
def _eight(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def made(root, groups, **files):
    """Write `proc/self/cgroup` and files below `sys/fs/cgroup`."""
    texts = {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def version_1(quota, period="100000\n", group=""):
    folder = f"cpu/{group}/" if group else "cpu/"
    return {f"{folder}cpu.cfs_quota_us": quota, f"{folder}cpu.cfs_period_us": period}


def test_without_control_groups_it_is_the_affinity(tmp_path):
    assert processors(tmp_path) == 8


def test_without_affinity_it_is_what_the_machine_has(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path) == 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100001 100000\n", 2),
        ("100000 100000\n", 1),
        ("5000 100000\n", 1),
        ("50000 10000\n", 5),
        ("6400000 100000\n", 8),
        ("max 100000\n", 8),
    ],
)
def test_a_part_of_a_processor_counts_whole_and_a_quota_never_adds_one(tmp_path, quota, expected):
    assert processors(made(tmp_path, "0::/\n", **{"cpu.max": quota})) == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000\n", 3), ("250000\n", 3), ("-1\n", 8), ("1000\n", 1)])
def test_version_1_has_a_file_for_the_quota_and_one_for_the_period(tmp_path, quota, expected):
    groups = "5:memory:/\n4:cpu,cpuacct:/\n1:name=systemd:/\n"
    assert processors(made(tmp_path, groups, **version_1(quota))) == expected


@pytest.mark.parametrize(
    ("outer", "middle", "own", "expected"),
    [
        ("max", "max", "200000", 2),
        ("300000", "max", "max", 3),
        ("max", "400000", "600000", 4),
        ("max", "max", "max", 8),
    ],
)
def test_the_least_of_the_groups_around_this_process_holds(tmp_path, outer, middle, own, expected):
    files = {"a.slice": outer, "a.slice/b.slice": middle, "a.slice/b.slice/c.service": own, "a.slice/other": "100000"}
    texts = {f"{group}/cpu.max": f"{quota} 100000\n" for group, quota in files.items()}
    assert processors(made(tmp_path, "0::/a.slice/b.slice/c.service\n", **texts)) == expected


def test_groups_of_version_1_lie_within_one_another_too(tmp_path):
    files = (
        version_1("500000", group="docker") | version_1("200000", group="docker/c1") | version_1("100000", group="x")
    )
    assert processors(made(tmp_path, "4:cpuacct,cpu:/docker/c1\n0::/\n", **files)) == 2


def test_a_group_of_another_controller_does_not_count(tmp_path):
    files = version_1("-1") | version_1("100000", group="c1")
    assert processors(made(tmp_path, "3:cpuset:/c1\n4:cpu:/\n", **files)) == 8


@pytest.mark.parametrize(
    ("groups", "files"),
    [("4:cpu,cpuacct:/docker/c1\n", version_1("200000")), ("0::/docker/c1\n", {"cpu.max": "200000 100000"})],
)
def test_a_container_sees_its_own_group_at_the_root_whatever_the_host_calls_it(tmp_path, groups, files):
    assert processors(made(tmp_path, groups, **files)) == 2


def test_a_group_beside_ones_own_root_is_no_way_out_of_the_folder(tmp_path):
    made(tmp_path, "0::/../../up\n", **{"cpu.max": "300000 100000"})
    (tmp_path / "sys" / "up").mkdir()
    (tmp_path / "sys" / "up" / "cpu.max").write_text("100000 100000")
    assert processors(tmp_path) == 3


GARBAGE = [
    b"",
    b"\n",
    b"200000\n",
    b"1 2 3\n",
    b"200000 0\n",
    b"0 100000\n",
    b"-5 100000\n",
    b"two 100000",
    b"\xff\xfe 1",
    b"9" * 5000,
]


@pytest.mark.parametrize("text", GARBAGE)
def test_what_is_no_quota_bounds_nothing(tmp_path, text):
    assert processors(made(tmp_path, "0::/\n", **{"cpu.max": text})) == 8


@given(st.binary(max_size=80), st.binary(max_size=30))
def test_no_content_of_the_files_is_an_error(tmp_path_factory, groups, quota):
    root = made(tmp_path_factory.mktemp("root"), groups, **{"cpu.max": quota})
    assert 1 <= processors(root) <= 8


def test_on_this_machine_it_is_no_more_than_the_affinity():
    assert 1 <= cpus.processors() <= 8
