from pathlib import Path

import pytest

from kubeops.lab import hostsetup

INSTANCES = "fs/inotify/max_user_instances"
WATCHES = "fs/inotify/max_user_watches"
FORWARD = "net/ipv4/ip_forward"


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    (tmp_path / "labs/one").mkdir(parents=True)
    return tmp_path / "labs"


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    for name, value in {INSTANCES: "128", WATCHES: "9999999", FORWARD: "0"}.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path / "sys"


def values(sysctls: Path) -> list[int]:
    return [int((sysctls / name).read_text()) for name in (INSTANCES, WATCHES, FORWARD)]


def test_only_limits_that_are_too_low_are_raised(labs: Path, sysctls: Path) -> None:
    hostsetup.raise_limits(labs, real=False, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 0]
    hostsetup.raise_limits(labs, real=True, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 1]


def test_the_last_lab_restores_what_the_first_one_found(labs: Path, sysctls: Path) -> None:
    hostsetup.raise_limits(labs, real=False, sysctls=sysctls)
    hostsetup.raise_limits(labs, real=True, sysctls=sysctls)
    hostsetup.restore_limits(labs, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 1]
    (labs / "one").rmdir()
    hostsetup.restore_limits(labs, sysctls=sysctls)
    assert values(sysctls) == [128, 9999999, 0]
    assert not (labs / hostsetup.SAVED).exists()


def test_a_restored_machine_is_not_restored_twice(labs: Path, sysctls: Path) -> None:
    (labs / "one").rmdir()
    hostsetup.raise_limits(labs, real=False, sysctls=sysctls)
    hostsetup.restore_limits(labs, sysctls=sysctls)
    (sysctls / INSTANCES).write_text("512\n")
    hostsetup.restore_limits(labs, sysctls=sysctls)
    assert values(sysctls)[0] == 512
