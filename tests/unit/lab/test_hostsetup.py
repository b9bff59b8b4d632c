from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.lab import hostsetup, shell, state
from kubeops.lab.model import Lab, Source

INSTANCES = "fs/inotify/max_user_instances"
WATCHES = "fs/inotify/max_user_watches"
FORWARD = "net/ipv4/ip_forward"


@pytest.fixture
def labs(lab: Lab) -> Path:
    state.save(lab)
    return lab.directory.parent


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    for name, value in {INSTANCES: "128", WATCHES: "9999999", FORWARD: "0"}.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    (tmp_path / "sys/net/bridge").mkdir()
    return tmp_path / "sys"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    for name in ("run", "attempt"):
        monkeypatch.setattr(shell, name, lambda *argv: commands.append(argv))
    return commands


def values(sysctls: Path) -> list[int]:
    return [int((sysctls / name).read_text()) for name in (INSTANCES, WATCHES, FORWARD)]


def end(lab: Lab) -> None:
    (lab.directory / state.FILE).unlink()
    lab.directory.rmdir()


def test_only_limits_that_are_too_low_are_raised(labs: Path, sysctls: Path) -> None:
    hostsetup.prepare(labs, real=False, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 0]
    hostsetup.prepare(labs, real=True, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 1]


def test_each_change_is_undone_by_the_last_lab_that_needs_it(
    lab: Lab, labs: Path, sysctls: Path
) -> None:
    real = replace(lab, name="real", source=Source.REAL, directory=labs / "real")
    real.directory.mkdir()
    state.save(real)
    hostsetup.prepare(labs, real=True, sysctls=sysctls)
    hostsetup.restore(labs, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 1]
    end(real)
    hostsetup.restore(labs, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 0]
    end(lab)
    hostsetup.restore(labs, sysctls=sysctls)
    assert values(sysctls) == [128, 9999999, 0]
    assert not (labs / hostsetup.FILE).exists()


def test_a_lab_in_the_making_needs_everything(lab: Lab, labs: Path, sysctls: Path) -> None:
    hostsetup.prepare(labs, real=True, sysctls=sysctls)
    end(lab)
    (labs / "new").mkdir()
    hostsetup.restore(labs, sysctls=sysctls)
    assert values(sysctls) == [8192, 9999999, 1]


def test_a_restored_machine_is_not_restored_twice(lab: Lab, labs: Path, sysctls: Path) -> None:
    hostsetup.prepare(labs, real=False, sysctls=sysctls)
    end(lab)
    hostsetup.restore(labs, sysctls=sysctls)
    (sysctls / INSTANCES).write_text("512\n")
    hostsetup.restore(labs, sysctls=sysctls)
    assert values(sysctls)[0] == 512


def test_a_module_is_loaded_when_it_is_missing_and_removed_by_the_last_lab(
    lab: Lab, labs: Path, sysctls: Path, ran: list[tuple[str, ...]]
) -> None:
    hostsetup.prepare(labs, real=False, sysctls=sysctls)
    assert ran == []
    (sysctls / "net/bridge").rmdir()
    hostsetup.prepare(labs, real=False, sysctls=sysctls)
    assert ran == [("modprobe", "br_netfilter")]
    (sysctls / "net/bridge").mkdir()
    hostsetup.restore(labs, sysctls=sysctls)
    hostsetup.prepare(labs, real=False, sysctls=sysctls)
    assert len(ran) == 1
    end(lab)
    hostsetup.restore(labs, sysctls=sysctls)
    assert ran[1:] == [("modprobe", "--remove", "br_netfilter")]


def test_only_real_labs_have_a_way_out(lab: Lab) -> None:
    assert hostsetup.way_out(lab) == ()
    translate, *_forward = hostsetup.way_out(replace(lab, source=Source.REAL))
    assert hostsetup.iptables(translate, "--insert") == (
        *("iptables", "--wait", "--table", "nat", "--insert", "POSTROUTING"),
        *("--source", "10.231.4.0/24", "!", "--destination", "10.231.4.0/24"),
        *("--jump", "MASQUERADE"),
    )
