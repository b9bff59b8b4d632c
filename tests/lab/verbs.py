"""Whole verbs, typed as an operator types them, against the nodes of a lab.

An `Operator` has a directory of their own: journals, inventories, kubeconfigs.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.lab.rehearsal import orders
from kubeops.transport.base import Result

ROOT = Path(__file__).parents[2]
Ssh = Callable[..., Result]
Line = Mapping[str, Any]


def becomes_true(what: str, condition: Callable[[], bool], *, timeout: float = 600.0) -> None:
    def look() -> Reading:
        return Reading(ok=condition(), text="not yet")

    gate = Gate(name=what, look=look, timeout=timeout, successes=1, interval=0.05)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a verb ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr

    def must(self, status: int = 0) -> "Ended":
        assert self.status == status, f"status {self.status}, not {status}:\n{self.text}"
        return self

    @property
    def words(self) -> str:
        """All that was said, without the line breaks that the screen's width made."""
        return " ".join(self.text.split())


class Running:
    """A verb under way, in a process group of its own."""

    def __init__(self, process: "subprocess.Popen[str]", *, output: Path, journal: Path) -> None:
        self._process = process
        self._output = output
        self._journal = journal

    def lines(self) -> list[Line]:
        """What its journal holds by now, without the heading."""
        for path in self._journal.glob("*/*.jsonl"):
            whole = path.read_text().rpartition("\n")[0].splitlines()
            if whole and json.loads(whole[0])["process"]["pid"] == self._process.pid:
                return [json.loads(line) for line in whole[1:]]
        return []

    def reaches(self, step: str, kind: str = "step-started", text: str = "") -> None:
        """Wait until its journal says `kind` of `step`."""

        def reached() -> bool:
            assert self._process.poll() is None, f"ended before {step}:\n{self.said()}"
            return any(
                line["kind"] == kind
                and line.get("step", "") == step
                and text in line.get("text", "")
                for line in self.lines()
            )

        becomes_true(f"{kind} {step} {text}", reached)

    def said(self) -> str:
        return self._output.read_text()

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)

    def killed(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL

    def ended(self) -> Ended:
        status = self._process.wait(timeout=1800)
        return Ended(status=status, stdout=self.said(), stderr="")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Somebody who types verbs about one lab."""

    lab: Lab
    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def inventory(self) -> Path:
        return self.directory / f"{self.lab.name}.yaml"

    def describe(
        self, *, hosts: Mapping[str, Mapping[str, object]] | None = None, **sections: Any
    ) -> None:
        """Write the lab's inventory, with what is given for hosts and sections merged in."""
        document = yaml.safe_load(self.lab.inventory.read_text())
        for name, section in sections.items():
            document[name].update(section)
        for name, more in (hosts or {}).items():
            document["hosts"][name].update(more)
        self.inventory.write_text(yaml.safe_dump(document, sort_keys=False))
        config = self.directory / ".ssh" / "config"
        config.parent.mkdir(mode=0o700, exist_ok=True)
        config.write_text("Host *\n  ConnectTimeout 2\n")

    def __call__(self, verb: str, *arguments: str, program: str = "invoke") -> Ended:
        """Type a verb and wait for its end."""
        with self.typing(verb, *arguments, program=program, apart=True) as process:
            stdout, stderr = process.communicate(timeout=1800)
        return Ended(status=process.returncode, stdout=stdout, stderr=stderr)

    def on_cluster(self, verb: str, *arguments: str) -> Ended:
        """Type a verb about the operator's inventory."""
        return self(verb, "--inventory", str(self.inventory), *arguments)

    def install(self, *arguments: str) -> Ended:
        return self.on_cluster("install", "--yes", *arguments)

    def reset(self, *arguments: str) -> Ended:
        return self.on_cluster("reset", "--yes", *arguments)

    def json(self, verb: str, *arguments: str) -> Any:
        ended = self.on_cluster(verb, "--json", *arguments).must()
        return json.loads(ended.stdout)["data"]

    def runs(self) -> list[Line]:
        """The runs on record, newest first."""
        found: list[Line] = json.loads(self("runs.list", "--json").must().stdout)["data"]
        return found

    def installs(self) -> list[Line]:
        """The installs on record, newest first."""
        return [run for run in self.runs() if run["kind"] == "install"]

    @contextmanager
    def installing(self, *arguments: str) -> Iterator[Running]:
        """Type `install` and go on while it runs; it is killed at the end if it still does."""
        with self.under_way("install", "--yes", *arguments) as running:
            yield running

    @contextmanager
    def under_way(self, verb: str, *arguments: str, inventory: bool = True) -> Iterator[Running]:
        """Type a verb, about the operator's inventory if it is about one, and go on meanwhile."""
        output = self.directory / "output.txt"
        about = ("--inventory", str(self.inventory)) if inventory else ()
        command = (verb, *about, *arguments)
        with output.open("w") as file, self.typing(*command, stdout=file) as process:
            running = Running(process, output=output, journal=self.state)
            try:
                yield running
            finally:
                if running.is_running:
                    running.killed()

    @contextmanager
    def typing(
        self,
        *command: str,
        program: str = "invoke",
        stdout: Any = subprocess.PIPE,
        apart: bool = False,
    ) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [str(Path(sys.executable).with_name(program)), *command],
            cwd=ROOT,
            env={
                **os.environ,
                "KUBEOPS_STATE": str(self.state),
                "COLUMNS": "200",
                "HOME": str(self.directory),
            },
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            yield process


def nodes_ready(status: Any) -> dict[str, bool]:
    return {node["name"]: node["ready"] for node in status["api"]["nodes"]}


def members(status: Any) -> set[str]:
    return {member["name"] for member in status["etcd"]["members"] if member["healthy"]}


def is_whole(status: Any, lab: Lab) -> None:
    """Assert that what `status --json` told is the whole cluster of `lab`."""
    assert nodes_ready(status) == {node.name: True for node in lab.nodes}
    assert {member["name"] for member in status["etcd"]["members"]} == members(status)
    assert members(status) == {node.name for node in lab.control_planes}
    assert [member["learner"] for member in status["etcd"]["members"]] == [False] * len(
        lab.control_planes
    )
    coredns = next(one for one in status["api"]["system"] if one["name"] == "coredns")
    assert coredns["ready"] == coredns["wanted"] == 2
    for host in status["hosts"].values():
        held = {name for name, package in host["packages"].items() if package["held"]}
        assert held == {"kubeadm", "kubectl", "kubelet", "cri-tools", "kubernetes-cni"}
        assert host["unfinished"] is None


def order(ssh: Ssh, lab: Lab, node: str, *wanted: orders.Fault) -> None:
    """Order faults of a node's programs; none takes back what was ordered."""
    folder = orders.PATH.rpartition("/")[0]
    write = f"sudo mkdir -p {folder} && sudo tee {orders.PATH} >/dev/null"
    ssh(lab, node, write, stdin=orders.to_json(wanted).encode()).must()


def used_up(ssh: Ssh, lab: Lab, node: str) -> None:
    """Wait until the only fault ordered on a node has been met."""
    met = f"sudo grep -q '\"times\": 0' {orders.PATH}"
    becomes_true("the fault to be met", lambda: ssh(lab, node, met).ok)


def calls(ssh: Ssh, lab: Lab, node: str) -> list[Line]:
    """Every call of a Kubernetes program on `node` so far."""
    told = ssh(lab, node, f"sudo cat {orders.CALLS} 2>/dev/null || true").must().stdout
    return [json.loads(line) for line in told.splitlines()]


def purge(ssh: Ssh, lab: Lab) -> None:
    """Take what kubeops installed off the nodes, so that an install begins with the packages."""
    script = (
        "sudo apt-get purge --quiet --yes --allow-change-held-packages "
        "kubeadm kubelet kubectl cri-tools kubernetes-cni >/dev/null 2>&1; "
        "sudo rm -f /etc/apt/sources.list.d/kubernetes.list"
    )
    for node in lab.nodes:
        ssh(lab, node.name, script).must()


def cleared(ssh: Ssh, lab: Lab) -> None:
    """Take back every fault of the lab's nodes, and end what still hangs because of one."""
    for node in lab.nodes:
        faults.mend(lab, node.name)
        faults.start(lab, node.name)
        faults.free_disk(lab, node.name)
        order(ssh, lab, node.name)
        end_kubeadm(ssh, lab, node.name)


def end_kubeadm(ssh: Ssh, lab: Lab, node: str) -> None:
    """End the kubeadm that is at work on a node, as an operator would who has waited enough."""
    ssh(lab, node, "sudo pkill -f '^/usr/bin/python3 .*[k]ubeadm (init|join)'")
