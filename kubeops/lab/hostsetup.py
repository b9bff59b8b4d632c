"""What a lab changes on this machine itself, and how that is undone.

* fs.inotify limits are raised while any lab is up: each node's systemd, kubelet and container
  runtime watch files, and the limits count all nodes as one user. The last `down` restores them.
* Labs with real packages reach the outer network through this machine: forwarding is switched on,
  the lab's addresses are translated. The rules go with the lab; the last one restores forwarding.
"""

import json
from pathlib import Path

from kubeops.lab import locks, shell, state
from kubeops.lab.model import Lab, Source

INOTIFY = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 1048576,
}
FORWARDING = {"net/ipv4/ip_forward": 1}
SAVED = "sysctls.json"
LOCK = "lock"
SYSCTLS = Path("/proc/sys")


def raise_limits(labs: Path, *, real: bool, sysctls: Path = SYSCTLS) -> None:
    """Raise the limits that are too low; remember in `labs` what they were."""
    wanted = INOTIFY | (FORWARDING if real else {})
    with locks.held(labs / LOCK):
        saved = _saved(labs)
        low = {
            name: int((sysctls / name).read_text())
            for name, value in wanted.items()
            if int((sysctls / name).read_text()) < value
        }
        # Remembered before it is changed: killed in between, the worst is that an unchanged value
        # is restored. What an earlier lab remembered is what the machine had.
        state.write(labs / SAVED, json.dumps(low | saved) + "\n")
        for name in low:
            (sysctls / name).write_text(f"{wanted[name]}\n")


def restore_limits(labs: Path, *, sysctls: Path = SYSCTLS) -> None:
    """Restore the limits, unless there is still a lab in `labs`."""
    with locks.held(labs / LOCK):
        if any(path.is_dir() for path in labs.iterdir()):
            return
        for name, value in _saved(labs).items():
            (sysctls / name).write_text(f"{value}\n")
        (labs / SAVED).unlink(missing_ok=True)


def _saved(labs: Path) -> dict[str, int]:
    path = labs / SAVED
    saved: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    return saved


def open_way_out(lab: Lab) -> None:
    """Let the nodes of a lab with real packages reach the outer network."""
    for rule in _rules(lab):
        if not shell.attempt(*_iptables(rule, "--check")).ok:
            shell.run(*_iptables(rule, "--insert"))


def close_way_out(lab: Lab) -> None:
    """Remove what `open_way_out` made; no error when there is nothing."""
    for rule in _rules(lab):
        while shell.attempt(*_iptables(rule, "--delete")).ok:
            pass


def _rules(lab: Lab) -> tuple[tuple[str, ...], ...]:
    if lab.source is not Source.REAL:
        return ()
    subnet = str(lab.subnet)
    return (
        (
            "nat",
            "POSTROUTING",
            "--source",
            subnet,
            "!",
            "--destination",
            subnet,
            "-j",
            "MASQUERADE",
        ),
        ("filter", "FORWARD", "--source", subnet, "--jump", "ACCEPT"),
        ("filter", "FORWARD", "--destination", subnet, "--jump", "ACCEPT"),
    )


def _iptables(rule: tuple[str, ...], verb: str) -> tuple[str, ...]:
    table, chain, *match = rule
    return ("iptables", "--wait", "--table", table, verb, chain, *match)
