"""Workers that take their time: they answer what an upgrade asks of them, in this process.

Every command takes seconds of a clock that stands while anybody is at work; when all lanes wait, it
leaps to the next moment for which one does. Everything else, from the threads to the journal on the
disk, is real. What a worker takes is drawn: packages, kubeadm, pods on their way out, a kubelet
that becomes Ready. A few have pods that take far longer.
"""

import json
import shlex
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Condition, Lock

from kubeops.engine.clock import Clock
from kubeops.model.observed import CORDONED_BY_US
from kubeops.transport.base import Command, Result

QUESTION = 0.04
"""Seconds of a command that is no work, such as dpkg-query: they are what kubeops takes."""
KUBECTL = 0.1
"""Seconds of a question to the API, or of a change: as above."""
STRAGGLERS = 0.03
"""The share of workers whose pods take `PATIENCE` times as long as those of others."""
PATIENCE = 4.0
LATE = 20.0
"""Real seconds after which a lane that ought to be at work is no longer waited for."""
_PODS = 8
_START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Durations:
    """Seconds that one worker's work takes, whoever has it done."""

    kubeadm_package: float
    kubeadm: float
    pods: float
    packages: float
    ready: float

    @property
    def total(self) -> float:
        """All of them: they follow each other."""
        return self.kubeadm_package + self.kubeadm + self.pods + self.packages + self.ready


def draw(seed: int, workers: int) -> tuple[Durations, ...]:
    """Draw what each of `workers` takes; the same seed draws the same."""
    random = Random(seed)  # noqa: S311  a simulation, no secret

    def about(seconds: float) -> float:
        return seconds * random.lognormvariate(0.0, 0.2)

    return tuple(
        Durations(
            kubeadm_package=about(8.0),
            kubeadm=about(4.0),
            pods=about(40.0) * (PATIENCE if random.random() < STRAGGLERS else 1.0),
            packages=about(15.0),
            ready=about(15.0),
        )
        for _ in range(workers)
    )


@dataclass(frozen=True, kw_only=True)
class LeapingClock(Clock):
    """A clock that stands while anybody is at work, and leaps when everybody waits.

    Attributes:
        lanes: how many lanes ought to be at work now. A lane that the engine does not start as soon
            as it may is waited for, `LATE` real seconds; then time goes on without it.
    """

    lanes: Callable[[], int]
    _waiting: list[float] = field(default_factory=list)
    _turn: Condition = field(default_factory=Condition)
    _now: list[float] = field(default_factory=lambda: [0.0])

    def now(self) -> datetime:
        """The simulated moment."""
        return _START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._now[0]

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, which pass when everybody waits."""
        with self._turn:
            due = self.monotonic() + seconds
            insort(self._waiting, due)
            self._leap_if_all_wait()
            while self.monotonic() < due:
                if not self._turn.wait(LATE):
                    self._leap()
            self._waiting.remove(due)

    def lane_ended(self) -> None:
        """Go on without a lane: nobody else may be at work any more."""
        with self._turn:
            self._leap_if_all_wait()

    def _leap_if_all_wait(self) -> None:
        if self._waiting and len(self._waiting) >= self.lanes():
            self._leap()

    def _leap(self) -> None:
        self._now[0] = max(self._now[0], self._waiting[0])
        self._turn.notify_all()


@dataclass(kw_only=True)
class Worker:
    """One worker as it stands; times are those of the clock, None is never."""

    name: str
    takes: Durations
    version: str
    cordoned: bool = False
    upgraded: bool = False
    held: bool = True
    packages: dict[str, str] = field(default_factory=dict)
    leaving: float | None = None
    restarted: float | None = None


@dataclass
class Cluster:
    """All workers, and the transport to them and to the control plane that is asked about them.

    Attributes:
        clock: what commands take their time by.
        workers: by name.
        slots: how many may be upgraded at once.
        most_away: how many workers were cordoned at once, at most.
    """

    workers: dict[str, Worker]
    slots: int
    most_away: int = 0
    _turn: Lock = field(default_factory=Lock)
    clock: LeapingClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = LeapingClock(lanes=self._lanes)

    def _lanes(self) -> int:
        return min(self.slots, sum(not worker.upgraded for worker in self.workers.values()))

    def runner(self, host: str) -> "Runner":
        """Return the runner of `host`."""
        return Runner(host, self)

    def close(self) -> None:
        """There is nothing to close."""

    def cordon(self, name: str) -> None:
        """Cordon a worker; count who is away."""
        with self._turn:
            self.workers[name].cordoned = True
            away = sum(worker.cordoned for worker in self.workers.values())
            self.most_away = max(self.most_away, away)

    def uncordon(self, name: str) -> None:
        """End the cordon of a worker, which is the end of its lane."""
        with self._turn:
            self.workers[name].cordoned = False
            self.workers[name].upgraded = True
        self.clock.lane_ended()


@dataclass(frozen=True)
class Runner:
    """Answers as a worker does, or as kubectl on a control plane.

    Raises:
        ValueError: it was asked something it has no answer to: what kubeops asks has changed.
    """

    host: str
    cluster: Cluster

    def run(self, command: Command) -> Result:
        """Answer `command` when its time is over."""
        worker = self.cluster.workers.get(self.host)
        text = (
            _on_worker(command, worker, self.cluster.clock)
            if worker is not None
            else _on_control_plane(command, self.cluster)
        )
        return Result(command=command, host=self.host, status=0, stdout=text, stderr="")

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        """Answer as `run` does."""
        result = self.run(command)
        write(result.stdout.encode())
        return replace(result, stdout="")


def _on_worker(command: Command, worker: Worker, clock: Clock) -> str:
    words = shlex.split(command.shown)
    takes, said = QUESTION, ""
    match [word for word in words if word not in {"env", "DEBIAN_FRONTEND=noninteractive"}]:
        case ["dpkg-query", *_]:
            said = _packages(worker, words)
        case ["apt-get", *_]:
            wanted = [word.partition("=") for word in words if word.startswith("kube")]
            takes = worker.takes.packages
            if [name for name, _, _ in wanted] == ["kubeadm"]:
                takes = worker.takes.kubeadm_package
            worker.packages |= {name: version.removesuffix("-*") for name, _, version in wanted}
            worker.held = False
        case ["apt-mark", "hold", *_]:
            worker.held = True
        case ["kubeadm", "upgrade", "node", *_]:
            takes = worker.takes.kubeadm
        case ["systemctl", "restart", "kubelet.service"]:
            worker.restarted = clock.monotonic() + QUESTION
        case ["sh", _, "...", "kubeops"] | ["dpkg", *_] | ["systemctl", "daemon-reload"]:
            pass
        case _:
            raise ValueError(f"{worker.name} is not simulated for: {command.shown}")
    clock.pause(takes)
    return said


def _packages(worker: Worker, words: Sequence[str]) -> str:
    want = "hold" if worker.held else "install"
    return "".join(
        f"{name}\t{worker.packages.get(name, worker.version)}-1.1\t{want}\tinstalled\n"
        for name in words
        if name in {"kubeadm", "kubelet", "kubectl", "cri-tools", "kubernetes-cni"}
    )


def _on_control_plane(command: Command, cluster: Cluster) -> str:
    if "kubeops-lock" in command.argv:  # taken and released while no lane is at work
        return ""
    cluster.clock.pause(KUBECTL)
    if '"Eviction"' in command.argv[-1]:
        return _evict(command, cluster)
    words = [word for word in command.argv if not word.startswith("--request-timeout")]
    return _kubectl(words[3:], command, cluster)


def _kubectl(words: Sequence[str], command: Command, cluster: Cluster) -> str:
    name = next((word.rpartition("=")[2] for word in words if "field-selector" in word), "")
    said = ""
    match words:
        case ["get", "nodes", *_]:
            said = json.dumps({"items": [_node(cluster.workers[name], cluster.clock)]})
        case ["patch", "node", node, _, _, patch]:
            on = json.loads(patch)["spec"]["unschedulable"]
            (cluster.cordon if on else cluster.uncordon)(node)
        case ["get", "pods", "--all-namespaces", *_]:
            said = _pods(cluster.workers[name], cluster.clock)
        case ["--namespace=kube-system", "get", "pods", *_]:
            said = json.dumps({"items": [_PROXY]})
        case _:
            raise ValueError(f"the control plane is not simulated for: {command.shown}")
    return said


_PROXY = {
    "metadata": {"name": "kube-proxy", "ownerReferences": [{"kind": "DaemonSet"}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def _node(worker: Worker, clock: Clock) -> dict[str, object]:
    due = float("-inf") if worker.restarted is None else worker.restarted + worker.takes.ready
    ready = clock.monotonic() >= due
    kubelet = worker.packages.get("kubelet", worker.version) if worker.restarted else worker.version
    return {
        "kind": "Node",
        "metadata": {
            "name": worker.name,
            "annotations": {CORDONED_BY_US: "yes"} if worker.cordoned else {},
        },
        "spec": {"unschedulable": worker.cordoned},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {
                "kubeletVersion": f"v{kubelet}",
                "containerRuntimeVersion": "containerd://2.1.9",
            },
        },
    }


def _pods(worker: Worker, clock: Clock) -> str:
    """The pods that are left, in the columns of `POD_TABLE`; one after the other goes."""
    now = clock.monotonic()
    lines = []
    for number in range(_PODS):
        name = f"{worker.name}-{number}"
        going = worker.leaving is not None
        due = (worker.leaving or 0.0) + worker.takes.pods * (number + 1) / _PODS
        if not going or now < due:
            leaving = "2026-11-21T12:00:00Z" if going else ""
            columns = ("default", name, name, worker.name, "Running")
            lines.append("\t".join((*columns, "ReplicaSet", "", leaving, "", "{}")))
    return "\n".join(lines)


def _evict(command: Command, cluster: Cluster) -> str:
    """Let all pods of a worker begin to go; say of each that nothing kept it."""
    names = [line.split()[1] for line in (command.stdin or b"").decode().splitlines()]
    worker = cluster.workers[names[0].partition("-")[0]]
    worker.leaving = cluster.clock.monotonic()
    return "".join(f"default\t{name}\t0\t\n" for name in names)
