from pathlib import Path

import pytest

from kubeops.lab import cgroups

UNIFIED = "24 23 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "30 29 0:26 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n"
    "32 30 0:28 / /sys/fs/cgroup/unified rw shared:6 - cgroup2 cgroup2 rw\n"
)
CONTAINER = "40 39 0:22 /machine/ci /sys/fs/cgroup rw - cgroup2 cgroup rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "membership", "folder"),
    [
        (UNIFIED, "0::/user.slice/s.scope\n", "/sys/fs/cgroup/user.slice/s.scope"),
        (UNIFIED, "0::/\n", "/sys/fs/cgroup"),
        (HYBRID, "5:memory:/agent\n0::/own\n", "/sys/fs/cgroup/unified/own"),
        (CONTAINER, "0::/machine/ci/job\n", "/sys/fs/cgroup/job"),
    ],
)
def test_the_own_cgroup_is_found(mountinfo: str, membership: str, folder: str) -> None:
    assert cgroups.locate(mountinfo=mountinfo, membership=membership) == Path(folder)


@pytest.mark.parametrize(
    ("mountinfo", "membership"),
    [(HYBRID.rsplit("\n", 2)[0], "0::/own\n"), (UNIFIED, "5:memory:/agent\n")],
)
def test_without_version_2_there_is_none(mountinfo: str, membership: str) -> None:
    assert cgroups.locate(mountinfo=mountinfo, membership=membership) is None


def test_a_cgroup_that_is_not_there_is_empty(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert cgroups.members(gone) == ()
    assert not cgroups.populated(gone)
    assert not cgroups.frozen(gone)
    cgroups.end(gone)
