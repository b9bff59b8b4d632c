import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import LockedError, UsageError
from kubeops.lab import faults, lifecycle, locks, nodes, shell
from kubeops.lab.model import Lab
from kubeops.lab.nodes import Condition
from kubeops.model.desired import Role
from kubeops.transport.base import Result

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def becomes_true(what: str, condition: Callable[[], bool]) -> None:
    def look() -> Reading:
        return Reading(ok=condition(), text="not yet")

    gate = Gate(name=what, look=look, timeout=20.0, successes=1, interval=0.05)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)


def traces(lab: Lab) -> set[str]:
    """Everything on this machine that a lab leaves if it leaves something."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "State:\tZ" in (process / "status").read_text():
                continue  # has ended, and holds nothing; whether its parent looks is not ours
            if lab.cgroup.name in (process / "cgroup").read_text():
                found.add(f"process {process.name}")
            if str(lab.directory) in (process / "mountinfo").read_text():
                found.add("mount")
        except OSError:
            continue
    links = shell.run("ip", "-brief", "link", "show").stdout
    namespaces = shell.run("ip", "netns", "list").stdout.split()
    attached = nodes.attached_files()
    return found | {
        what
        for what, there in {
            "link": f"{lab.link}@" in links,
            "network namespace": lab.hub in namespaces,
            "loop device": any(str(lab.directory) in file for file in attached),
            "cgroup": lab.cgroup.exists(),
            "directory": lab.directory.exists(),
            "inventory": lab.inventory.exists(),
        }.items()
        if there
    }


@pytest.fixture(scope="module")
def lab(lab_factory: MakeLab) -> Lab:
    return lab_factory(1, 1)


def test_a_node_is_reached_with_its_host_key_checked(lab: Lab, ssh: Ssh) -> None:
    assert ssh(lab, "cp1", "hostname").must().stdout == "cp1\n"
    assert ssh(lab, "w1", "sudo id -u").must().stdout == "0\n"


def test_another_host_key_is_refused(lab: Lab, tmp_path: Path) -> None:
    known = lab.known_hosts.read_text().splitlines()
    addresses = [line.split()[0] for line in known]
    keys = [line.split(maxsplit=1)[1] for line in known]
    forged = tmp_path / "known_hosts"
    forged.write_text(f"{addresses[0]} {keys[1]}\n{addresses[1]} {keys[0]}\n")
    result = shell.attempt(
        *("ssh", "-F", "none", "-i", str(lab.key), "-o", "BatchMode=yes"),
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={forged}"),
        f"ops@{lab.node('cp1').address}",
        "true",
    )
    assert result.status == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in result.stderr


def test_sudo_wants_a_password_from_one_user(lab: Lab, ssh: Ssh) -> None:
    refused = ssh(lab, "cp1", "sudo -n true", user="opspw")
    assert "password is required" in refused.stderr
    password = lab.password_file.read_bytes()
    accepted = ssh(lab, "cp1", "sudo -S id -u", user="opspw", stdin=password)
    assert accepted.must().stdout == "0\n"


def test_a_node_is_a_whole_system(lab: Lab, ssh: Ssh) -> None:
    told = ssh(
        lab,
        "cp1",
        "systemctl is-system-running --wait; stat -fc %T /sys/fs/cgroup; tail -n +2 /proc/swaps; "
        "cat /proc/sys/net/ipv4/ip_forward; cat /proc/1/comm; sudo modprobe br_netfilter overlay; "
        "etcd --version | head -n 1 | cut -d. -f 1-2; systemctl is-active etcd; "
        "sudo sysctl --system > /dev/null; test -d /var/lib/etcd || echo no etcd data",
    )
    assert told.stdout.splitlines() == [
        *("running", "cgroup2fs", "0", "systemd"),
        *("etcd Version: 3.5", "inactive", "no etcd data"),
    ]
    assert told.stderr == ""


def test_nodes_are_not_this_machine_nor_each_other(lab: Lab, ssh: Ssh) -> None:
    identity = f"cat /etc/machine-id; {BOOT_ID}; hostname; readlink /proc/self/ns/net"
    seen = [
        *ssh(lab, "cp1", identity).stdout.split(),
        *ssh(lab, "w1", identity).stdout.split(),
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    ]
    assert len(set(seen)) == 9


def test_a_node_cannot_change_this_machine(lab: Lab, ssh: Ssh) -> None:
    before = Path("/proc/sys/vm/swappiness").read_text()
    changed = ssh(lab, "cp1", "sudo sysctl -w vm.swappiness=7; cat /proc/sys/vm/swappiness")
    assert changed.stdout.endswith("\n7\n")
    assert Path("/proc/sys/vm/swappiness").read_text() == before
    assert "Operation not permitted" in ssh(lab, "cp1", "sudo date -s 2001-01-01").stderr
    assert "Read-only" in ssh(lab, "cp1", "echo 1 | sudo tee /proc/sys/vm/drop_caches").stderr


def test_packages_come_from_the_lab(lab: Lab, ssh: Ssh) -> None:
    url = yaml.safe_load(lab.inventory.read_text())["cluster"]["packages"]["repository"]
    release = ssh(lab, "cp1", f"curl -sS --fail {url.format(minor='1.35')}InRelease")
    assert "BEGIN PGP SIGNED MESSAGE" in release.must().stdout
    ssh(lab, "cp1", "sudo apt-get -o APT::Update::Error-Mode=any update").must()
    sources = ssh(lab, "cp1", "apt-get indextargets --format '$(SITE)' | sort -u").stdout
    assert sources == f"http://{lab.gateway}/runtime/deb\n"


@pytest.mark.parametrize("how", ["ordered by the lab", "asked for on the node"])
def test_a_reboot_gives_a_new_boot_id(lab: Lab, ssh: Ssh, how: str) -> None:
    before = ssh(lab, "w1", f"touch kept; sudo touch /run/lost; {BOOT_ID}").must().stdout
    if how == "ordered by the lab":
        faults.reboot(lab, "w1")
    else:
        ssh(lab, "w1", "sudo systemctl reboot")
        becomes_true("w1 to be back", lambda: ssh(lab, "w1", BOOT_ID).stdout not in {"", before})
    after = ssh(lab, "w1", f"ls kept /run/lost 2> /dev/null; {BOOT_ID}").stdout.splitlines()
    assert after[0] == "kept"
    assert after[1:] != [before.strip()]
    assert len(after) == 2


def test_a_node_can_be_powered_off_and_started(lab: Lab, ssh: Ssh) -> None:
    ssh(lab, "w1", "sudo systemctl poweroff")
    becomes_true("w1 to be off", lambda: condition(lab, "w1") is Condition.STOPPED)
    with pytest.raises(UsageError, match="does not run"):
        faults.freeze(lab, "w1")
    faults.start(lab, "w1")
    ssh(lab, "w1", "true").must()


def condition(lab: Lab, name: str) -> Condition:
    return nodes.condition(lab, lab.node(name))


def test_a_cut_off_node_is_silent_and_stays_so_over_reboots(lab: Lab, ssh: Ssh) -> None:
    faults.cut(lab, "w1")
    assert "timed out" in ssh(lab, "w1", "true").stderr
    assert ssh(lab, "cp1", f"ping -c 1 -W 1 {lab.node('w1').address}").status != 0
    assert [node.cut for node in lifecycle.status(lab.name).nodes] == [False, True]
    faults.kill(lab, "w1")
    nodes.launch(lab, lab.node("w1"))
    becomes_true("w1 to run", lambda: condition(lab, "w1") is Condition.RUNNING)
    assert "timed out" in ssh(lab, "w1", "true").stderr
    faults.mend(lab, "w1")
    faults.start(lab, "w1")
    ssh(lab, "w1", "true").must()


def test_a_frozen_node_accepts_connections_and_says_nothing(lab: Lab, ssh: Ssh) -> None:
    faults.freeze(lab, "w1")
    assert "banner exchange" in ssh(lab, "w1", "true").stderr
    assert condition(lab, "w1") is Condition.FROZEN
    faults.thaw(lab, "w1")
    ssh(lab, "w1", "true").must()


def test_a_killed_node_stays_down_and_keeps_its_disk(lab: Lab, ssh: Ssh) -> None:
    before = ssh(lab, "w1", f"echo written > kept; sync; {BOOT_ID}").must().stdout
    faults.kill(lab, "w1")
    assert condition(lab, "w1") is Condition.STOPPED
    faults.start(lab, "w1")
    after = ssh(lab, "w1", f"cat kept; {BOOT_ID}").must().stdout.splitlines()
    assert after[0] == "written"
    assert after[1] != before.strip()


def test_a_disk_can_be_filled_and_freed(lab: Lab, ssh: Ssh) -> None:
    write = "head -c 2000000 /dev/zero > large"
    faults.fill_disk(lab, "w1", leave_bytes=1_000_000)
    assert "No space left on device" in ssh(lab, "w1", write).stderr
    assert "No space left" in ssh(lab, "w1", f"cd /var/lib && sudo sh -c '{write}'").stderr
    ssh(lab, "cp1", write).must()
    faults.free_disk(lab, "w1")
    ssh(lab, "w1", write).must()


def test_the_endpoint_leads_to_a_control_plane_that_lives(make_lab: MakeLab, ssh: Ssh) -> None:
    lab = make_lab(2, 0)
    answer = "systemd-run --quiet socat TCP-LISTEN:6443,fork,reuseaddr SYSTEM:hostname"
    for name in ("cp1", "cp2"):
        ssh(lab, name, f"sudo {answer}").must()

    def ask() -> str:
        with socket.create_connection((lab.gateway, 6443), timeout=5.0) as connection:
            return connection.recv(16).decode().strip()

    becomes_true("the endpoint to answer", lambda: ask() in {"cp1", "cp2"})
    faults.kill(lab, "cp1")
    assert ask() == "cp2"
    faults.start(lab, "cp1")
    ssh(lab, "cp1", f"sudo {answer}").must()
    faults.kill(lab, "cp2")
    becomes_true("cp1 to answer", lambda: ask() == "cp1")


def test_two_labs_do_not_meet(lab: Lab, make_lab: MakeLab, ssh: Ssh) -> None:
    other = make_lab(1, 1)
    assert not other.subnet.overlaps(lab.subnet)
    assert {found.name for found in lifecycle.list_labs()} >= {lab.name, other.name}
    assert ssh(other, "cp1", "hostname").must().stdout == "cp1\n"
    foreign = lab.node("cp1").address
    assert ssh(other, "cp1", f"ping -c 1 -W 1 {foreign}").status != 0
    lifecycle.down(other.name)
    assert traces(other) == set()
    ssh(lab, "cp1", "true").must()


def test_a_lab_grows(make_lab: MakeLab, ssh: Ssh) -> None:
    lab = make_lab(1, 0)
    lab.inventory.write_text(lab.inventory.read_text().replace("1.35.4", "1.36.1"))
    grown, node = lifecycle.add_node(lab, Role.WORKER)
    assert (node.name, node.role) == ("w1", Role.WORKER)
    assert ssh(grown, "w1", "hostname").must().stdout == "w1\n"
    written = yaml.safe_load(grown.inventory.read_text())
    assert written["hosts"]["w1"] == {"address": node.address, "role": "worker"}
    assert written["cluster"]["kubernetes"] == "1.36.1"


def test_up_again_starts_what_does_not_run(make_lab: MakeLab, ssh: Ssh) -> None:
    lab = make_lab(1, 1)
    running = ssh(lab, "cp1", BOOT_ID).stdout
    faults.kill(lab, "w1")
    again = make_lab(1, 1, name=lab.name, inventory_path=lab.inventory)
    assert again == lab
    ssh(lab, "w1", "true").must()
    assert ssh(lab, "cp1", BOOT_ID).stdout == running
    with pytest.raises(UsageError, match="workers: it has 1, asked for 2"):
        make_lab(1, 2, name=lab.name, inventory_path=lab.inventory)


def test_down_leaves_nothing(make_lab: MakeLab, ssh: Ssh) -> None:
    lab = make_lab(1, 1)
    ssh(lab, "cp1", "sudo systemd-run --quiet unshare --mount --pid --fork setsid socat -u PTY -")
    faults.freeze(lab, "w1")
    there = traces(lab)
    assert there >= {
        *("mount", "link", "network namespace", "loop device", "cgroup"),
        *("directory", "inventory"),
    }
    lifecycle.down(lab.name)
    assert traces(lab) == set()


def test_an_inventory_of_somebody_else_is_left_alone(make_lab: MakeLab, tmp_path: Path) -> None:
    path = tmp_path / "prod.yaml"
    path.write_text("cluster: {name: prod}\n")
    with pytest.raises(UsageError, match="does not belong to lab"):
        make_lab(1, 0, inventory_path=path)
    assert path.read_text() == "cluster: {name: prod}\n"


def test_down_cleans_up_after_an_up_that_was_killed(tmp_path: Path) -> None:
    name = f"test-{secrets.token_hex(4)}"
    program = (
        "import sys; from pathlib import Path; from kubeops.lab import lifecycle; "
        f"lifecycle.up({name!r}, 1, 1, inventory_path=Path({str(tmp_path / 'lab.yaml')!r}), "
        "progress=lambda text: print(text, flush=True))"
    )
    root = Path(lifecycle.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("booting w1"):
                process.send_signal(signal.SIGKILL)
                break
    lab = lifecycle.load(name)
    assert "network namespace" in traces(lab)
    lifecycle.down(name)
    assert traces(lab) == set()


def test_one_command_at_a_time_works_on_a_lab(make_lab: MakeLab) -> None:
    lab = make_lab(1, 0)
    with locks.held_directory(lab.directory, what="the lab"), pytest.raises(LockedError):
        lifecycle.down(lab.name)
    lifecycle.down(lab.name)
    with pytest.raises(UsageError, match="there is no lab"):
        lifecycle.down(lab.name)


def test_the_last_lab_restores_the_limits(make_lab: MakeLab) -> None:
    if lifecycle.list_labs():
        pytest.skip("another lab is up on this machine: it still needs the limits")
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    before = limit.read_text()
    lab = make_lab(1, 0)
    assert int(limit.read_text()) >= 8192
    lifecycle.down(lab.name)
    assert limit.read_text() == before or lifecycle.list_labs()
