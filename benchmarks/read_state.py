"""Reading the state of 30 hosts: kubeops, Ansible, pyinfra and plain OpenSSH.

    python -m benchmarks.read_state [--hosts N] [--rounds N] [--pam] [--keep]

The hosts are the nodes of a lab on this machine, booted for this and taken down afterwards: real
sshd, real sudo, host keys checked strictly by everybody, login as a user who becomes root by sudo.

The nodes share this machine's processors with the contenders, where real hosts have their own. The
largest part of what a node spends is the same for everybody and nobody's doing: PAM opening a
session with systemd for every login. It is left out (`UsePAM no`); with `--pam` it is kept, and the
login user's service manager is kept running, or whoever comes first would pay for its start.

kubeops reads everything that `status` reads. The others read five things of it, by the same
commands: the system, the memory, the packages, the services, the listening ports. Ansible runs
them as five `raw` tasks (facts off, pipelining, one connection per host kept during a run and ended
after it), pyinfra as five commands of one operation, OpenSSH as one script per host, all at once.
Ansible's own `setup` is printed as well: it is how a playbook learns the state of hosts by itself.
"""

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import environment, harness
from kubeops.lab.model import Lab

COMMANDS = (
    "cat /etc/os-release",
    "cat /proc/meminfo",
    "dpkg-query -W -f '${Package} ${Version} ${db:Status-Want}\\n' 'kube*' 'containerd*'",
    "systemctl show -p Id,LoadState,UnitFileState,ActiveState kubelet containerd",
    "ss -Hltnp",
)
# dpkg-query's status is 1 when there is no such package; that is an answer, too.
SCRIPT = "\n".join(f"{command} || true" for command in COMMANDS)
GOALS = {"Ansible, five commands": 5.0, "pyinfra, five commands": 1.5}
_KEEP_MANAGER = f"sudo -n loginctl enable-linger {harness.USER}"
# Without PAM sshd itself refuses users whose password is locked, which `*` is not.
_NO_SESSIONS = (
    f"sudo -n usermod -p '*' {harness.USER} && "
    "echo UsePAM no | sudo -n tee /etc/ssh/sshd_config.d/00-benchmark.conf >/dev/null && "
    "sudo -n systemctl reload ssh"
)


def main() -> None:
    """Boot the hosts, measure, print, and take the hosts down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pam", action="store_true", help="logins open a session with systemd")
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is")
    parser.add_argument("--lab", default="readstate", help="the lab's name")
    arguments = parser.parse_args()
    tools = environment.ensure()
    with (
        harness.booted(arguments.lab, 1, arguments.hosts - 1, keep=arguments.keep) as lab,
        TemporaryDirectory() as directory,
    ):
        contenders = _contenders(lab, tools=tools, directory=Path(directory))
        _on_every_node(lab, _KEEP_MANAGER if arguments.pam else _NO_SESSIONS)
        measured = harness.compare(contenders, rounds=arguments.rounds)
    title = f"the state of {arguments.hosts} hosts, {arguments.rounds} rounds"
    harness.report(title, measured, goals=GOALS)


def _contenders(lab: Lab, *, tools: Path, directory: Path) -> Sequence[harness.Contender]:
    hosts = [node.address for node in lab.nodes]
    return (
        harness.Contender(
            name="kubeops status",
            argv=harness.kubeops("status", "--inventory", str(lab.inventory), "--json"),
            check=lambda output: _all_read(output, wanted=len(hosts)),
        ),
        *_ansible(lab, tools=tools, directory=directory),
        _pyinfra(lab, tools=tools, directory=directory),
        harness.Contender(
            name="OpenSSH, one script",
            argv=(
                *("xargs", "--arg-file", str(_hosts_file(hosts, directory))),
                *("--max-procs", str(len(hosts)), "--replace={}"),
                *(*harness.ssh(lab), "{}", f"sudo -n sh -c {_quoted(SCRIPT)}"),
            ),
        ),
    )


def _ansible(lab: Lab, *, tools: Path, directory: Path) -> tuple[harness.Contender, ...]:
    sockets = directory / "sockets"
    sockets.mkdir()
    configuration = directory / "ansible.cfg"
    configuration.write_text(
        f"[defaults]\nforks = {len(lab.nodes)}\nhost_key_checking = True\ngathering = explicit\n"
        f"remote_user = {harness.USER}\nprivate_key_file = {lab.key}\n"
        "[privilege_escalation]\nbecome = True\n"
        "[ssh_connection]\npipelining = True\n"
        f"control_path_dir = {sockets}\n"
        "ssh_args = -o ControlMaster=auto -o ControlPersist=60s"
        f" -o UserKnownHostsFile={lab.known_hosts}\n"
    )
    inventory = directory / "hosts.ini"
    names = "".join(f"{node.address}\n" for node in lab.nodes)
    inventory.write_text(f"[all]\n{names}[all:vars]\nansible_python_interpreter=/usr/bin/python3\n")
    five = [{"ansible.builtin.raw": f"{command} || true"} for command in COMMANDS]
    setup: Sequence[object] = [{"ansible.builtin.setup": {}}]
    return tuple(
        harness.Contender(
            name=name,
            argv=(
                str(tools / "ansible-playbook"),
                *("--inventory", str(inventory)),
                str(_playbook(directory / file, tasks)),
            ),
            environment={"ANSIBLE_CONFIG": str(configuration)},
            check=_no_failure,
            afterwards=lambda: _end_masters(sockets),
        )
        for name, file, tasks in (
            ("Ansible, five commands", "five.yml", five),
            ("Ansible, setup", "setup.yml", setup),
        )
    )


def _playbook(path: Path, tasks: Sequence[object]) -> Path:
    # JSON is YAML.
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return path


def _pyinfra(lab: Lab, *, tools: Path, directory: Path) -> harness.Contender:
    data = {
        "ssh_user": harness.USER,
        "ssh_key": str(lab.key),
        "ssh_known_hosts_file": str(lab.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    inventory = directory / "inventory.py"
    inventory.write_text(f"hosts = {[(node.address, data) for node in lab.nodes]!r}\n")
    deploy = directory / "deploy.py"
    commands = [f"{command} || true" for command in COMMANDS]
    deploy.write_text(
        "from pyinfra.operations import server\n\n"
        f"server.shell(name='read', commands={commands!r}, _sudo=True)\n"
    )
    return harness.Contender(
        name="pyinfra, five commands",
        argv=(str(tools / "pyinfra"), "-y", str(inventory), str(deploy)),
    )


def _hosts_file(hosts: Sequence[str], directory: Path) -> Path:
    path = directory / "hosts"
    path.write_text("".join(f"{host}\n" for host in hosts))
    return path


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _on_every_node(lab: Lab, command: str) -> None:
    for node in lab.nodes:
        subprocess.run((*harness.ssh(lab), node.address, command), check=True)


def _end_masters(sockets: Path) -> None:
    """End the connections that Ansible keeps: every round starts without any."""
    for socket in sockets.iterdir():
        subprocess.run(
            ("ssh", "-o", f"ControlPath={socket}", "-O", "exit", "host"),
            check=False,
            capture_output=True,
        )


def _all_read(output: str, *, wanted: int) -> None:
    read = len(json.loads(output)["data"]["hosts"])
    if read != wanted:
        raise ValueError(f"kubeops read {read} of {wanted} hosts")


def _no_failure(output: str) -> None:
    rows = [line for line in output.splitlines() if "unreachable=" in line]
    if not rows or any("unreachable=0 " not in row or "failed=0 " not in row for row in rows):
        raise ValueError(f"Ansible did not do it:\n{output[-2000:]}")


if __name__ == "__main__":
    main()
