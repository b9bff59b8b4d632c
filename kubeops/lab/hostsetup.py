"""What a lab changes on this machine itself, and how that is undone.

* fs.inotify limits are raised while any lab is up: each node's systemd, kubelet and container
  runtime watch files, and the limits count all nodes as one user.
* br_netfilter is loaded if it is not: Kubernetes wants its sysctls on every node, and nodes may not
  load modules.
* Labs with real packages reach the outer network through this machine: forwarding is switched on,
  the lab's addresses are translated.

What was changed is remembered in one file beside the labs. The last lab that needs a change undoes
it; the rules for a lab's addresses go with the lab.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kubeops.lab import locks, shell, state
from kubeops.lab.model import Lab, Source

INOTIFY = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 1048576,
}
FORWARDING = {"net/ipv4/ip_forward": 1}
MODULE, MODULE_SYSCTLS = "br_netfilter", "net/bridge"
FILE = "machine.json"
LOCK = "lock"
SYSCTLS = Path("/proc/sys")


@dataclass(frozen=True)
class Changes:
    """What labs have changed: the values sysctls had before, the modules that were not loaded."""

    sysctls: dict[str, int] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)


def prepare(labs: Path, *, real: bool, sysctls: Path = SYSCTLS) -> None:
    """Change what a lab needs changed, and remember in `labs` how it was."""
    wanted = INOTIFY | (FORWARDING if real else {})
    with locks.held(labs / LOCK):
        before = _load(labs)
        now = {name: int((sysctls / name).read_text()) for name in wanted}
        low = {name: value for name, value in now.items() if value < wanted[name]}
        modules = [] if (sysctls / MODULE_SYSCTLS).exists() else [MODULE]
        # Remembered before it is changed: killed in between, the worst is that an unchanged value
        # is restored. What an earlier lab remembered is what the machine had.
        changes = Changes(low | before.sysctls, sorted({*modules, *before.modules}))
        state.write(labs / FILE, json.dumps(asdict(changes)) + "\n")
        for name in modules:
            shell.run("modprobe", name)
        for name in low:
            (sysctls / name).write_text(f"{wanted[name]}\n")


def restore(labs: Path, *, sysctls: Path = SYSCTLS) -> None:
    """Undo what no lab in `labs` needs any more."""
    with locks.held(labs / LOCK):
        left = [state.load(path) for path in labs.iterdir() if path.is_dir()]
        # One that is not written down yet may become anything.
        real = any(lab is None or lab.source is Source.REAL for lab in left)
        needed = (INOTIFY if left else {}) | (FORWARDING if real else {})
        before = _load(labs)
        for name in before.sysctls.keys() - needed.keys():
            (sysctls / name).write_text(f"{before.sysctls[name]}\n")
        if left:
            kept = {name: value for name, value in before.sysctls.items() if name in needed}
            state.write(labs / FILE, json.dumps(asdict(Changes(kept, before.modules))) + "\n")
            return
        for name in before.modules:
            # Somebody else may use it by now, and then it stays.
            shell.attempt("modprobe", "--remove", name)
        (labs / FILE).unlink(missing_ok=True)


def open_way_out(lab: Lab) -> None:
    """Let the nodes of a lab with real packages reach the outer network."""
    for rule in way_out(lab):
        if not shell.attempt(*iptables(rule, "--check")).ok:
            shell.run(*iptables(rule, "--insert"))


def close_way_out(lab: Lab) -> None:
    """Remove what `open_way_out` made; no error when there is nothing."""
    for rule in way_out(lab):
        while shell.attempt(*iptables(rule, "--delete")).ok:
            pass


def way_out(lab: Lab) -> tuple[tuple[str, ...], ...]:
    """The rules of `lab`: table, chain, what to match and what to do; none for a rehearsal."""
    if lab.source is not Source.REAL:
        return ()
    subnet = str(lab.subnet)
    outward = ("--source", subnet, "!", "--destination", subnet)
    return (
        ("nat", "POSTROUTING", *outward, "--jump", "MASQUERADE"),
        ("filter", "FORWARD", "--source", subnet, "--jump", "ACCEPT"),
        ("filter", "FORWARD", "--destination", subnet, "--jump", "ACCEPT"),
    )


def iptables(rule: tuple[str, ...], verb: str) -> tuple[str, ...]:
    """The command that does `verb` to `rule`."""
    table, chain, *match = rule
    return ("iptables", "--wait", "--table", table, verb, chain, *match)


def _load(labs: Path) -> Changes:
    path = labs / FILE
    return Changes(**json.loads(path.read_text())) if path.exists() else Changes()
