"""Static pods: what lies in the manifest folder runs, what left it stops.

The processes are not the kubelet's children in any sense that matters: they live in systemd scopes,
survive its restart and are found again by pid and start time. A crashed one is started again, the
first time at once, then after 1, 2, 4 ... 20 seconds.

etcd is real and older than the images say (Debian's 3.5): flags that etcd 3.6 renamed are given to
it under their old names.
"""

import hashlib
import os
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import containerd, files
from rehearsal.runtime import Container, Runtime, RuntimeFailureError, new_id

RENAMED = {
    "--feature-gates=InitialCorruptCheck=true": "--experimental-initial-corrupt-check=true",
    "--watch-progress-notify-interval": "--experimental-watch-progress-notify-interval",
}
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
LONGEST_BACKOFF = 20.0
STABLE = 60.0
Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class StaticPod:
    """A pod of the manifest folder, with the hash that tells its versions apart."""

    manifest: dict[str, Any]
    hash: str

    @property
    def name(self) -> str:
        """The pod's name, without the node's."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.manifest["metadata"].get("namespace", "default"))

    @property
    def container(self) -> dict[str, Any]:
        """Its only container that the rehearsal runs: the first."""
        first: dict[str, Any] = self.manifest["spec"]["containers"][0]
        return first

    @property
    def grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return float(self.manifest["spec"].get("terminationGracePeriodSeconds", 30))


@dataclass(kw_only=True)
class Backoff:
    """When a crashing container may start again."""

    until: float = 0.0
    delay: float = 0.0
    attempt: int = 0

    def crashed(self, *, lived: float) -> None:
        """Note a crash after `lived` seconds."""
        if lived > STABLE:
            self.delay = 0.0
        self.until = time.monotonic() + self.delay
        self.delay = min(max(1.0, self.delay * 2), LONGEST_BACKOFF)
        self.attempt += 1


@dataclass(kw_only=True)
class StaticPods:
    """Keeps the processes in step with the manifest folder. Call `sync` often."""

    runtime: Runtime
    folder: Path
    node: str
    log: Log
    ready: dict[str, bool] = field(default_factory=dict)
    _backoff: dict[str, Backoff] = field(default_factory=dict)
    _stopping: dict[str, float] = field(default_factory=dict)
    _probed: dict[str, float] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)
    _parsed: dict[str, tuple[tuple[int, int, int], StaticPod | None]] = field(default_factory=dict)
    _records: dict[str, Container] = field(default_factory=dict)

    def adopt(self) -> None:
        """Take over what an earlier kubelet of this boot has started."""
        for container in self.runtime.containers():
            if container.source == "file":
                self._records.setdefault(container.name, container)

    def wanted(self) -> dict[str, StaticPod]:
        """Return the pods of the folder by name; files that are no pods are logged."""
        found: dict[str, StaticPod] = {}
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        for path in paths:
            if path.name.startswith(".") or not path.is_file():
                continue
            with suppress(FileNotFoundError):
                pod = self._read(path)
                if pod is not None:
                    found[pod.name] = pod
        return found

    def _read(self, path: Path) -> StaticPod | None:
        status = path.stat()
        mark = (status.st_mtime_ns, status.st_ino, status.st_size)
        known = self._parsed.get(path.name)
        if known is not None and known[0] == mark:
            return known[1]
        text = path.read_text()
        pod: StaticPod | None = None
        try:
            manifest = files.load_yaml(text)
            _ = manifest["spec"]["containers"][0]["command"], manifest["metadata"]["name"]
            digest = hashlib.md5(text.encode() + self.node.encode(), usedforsecurity=False)
            pod = StaticPod(manifest=manifest, hash=digest.hexdigest())
        except Exception as error:  # noqa: BLE001 - anything may lie in that folder
            self.log(
                f'"Could not process manifest file" err="{path}: couldn\'t parse as pod({error})"'
            )
        self._parsed[path.name] = (mark, pod)
        return pod

    def record(self, name: str) -> Container | None:
        """Return the newest container of static pod `name`, or None before its first start."""
        return self._records.get(name)

    def running(self) -> dict[str, Container]:
        """Return the containers that run, by static pod."""
        return {name: record for name, record in self._records.items() if record.running}

    def sync(self) -> None:
        """Take one step towards what the folder says."""
        wanted = self.wanted()
        for name, container in list(self._records.items()):
            pod = wanted.get(name)
            changed = pod is None or pod.hash != container.fingerprint
            if not container.running:
                if changed:
                    self._backoff.pop(name, None)
                    self.runtime.forget(self._records.pop(name))
            elif not self.runtime.alive(container):
                self._exited(container, expected=name in self._stopping)
            elif changed:
                self._stop(container)
        for name, pod in wanted.items():
            record = self._records.get(name)
            if record is None or not record.running:
                self._start(pod, previous=record)
            elif record.fingerprint == pod.hash:
                self._probe(pod, record)

    def _stop(self, container: Container) -> None:
        if container.name not in self._stopping:
            self.log(f'"Killing container with a grace period" containerName="{container.name}"')
            self._stopping[container.name] = time.monotonic() + container.grace
            self.ready[container.name] = False
            self.runtime.send(container, signal.SIGTERM)
        elif time.monotonic() > self._stopping[container.name]:
            self.runtime.send(container, signal.SIGKILL)

    def _exited(self, container: Container, *, expected: bool) -> None:
        self._stopping.pop(container.name, None)
        self.ready[container.name] = False
        with suppress(ChildProcessError, OSError):
            os.waitpid(container.pid, os.WNOHANG)
        self._records[container.name] = self.runtime.end(container, code=0 if expected else 1)
        if not expected:
            lived = (time.time_ns() - container.created) / 1e9
            self._backoff.setdefault(container.name, Backoff()).crashed(lived=lived)
            self.log(f'"container exited" containerName="{container.name}" lived={lived:.1f}s')

    def _start(self, pod: StaticPod, *, previous: Container | None) -> None:
        backoff = self._backoff.get(pod.name, Backoff())
        if time.monotonic() < backoff.until:
            return
        full = f"{pod.name}-{self.node}"
        try:
            self.runtime.check()
            config = containerd.read_config(self.runtime.layout)
            for image in (containerd.sandbox_image(config), pod.container["image"]):
                if not self.runtime.has_image(image):
                    self.runtime.pull(image)
            if previous is not None:
                self.runtime.forget(previous)
            where = f"/var/log/pods/{pod.namespace}_{full}_{pod.hash}/{pod.container['name']}"
            self._records[pod.name] = self.runtime.start(
                Container(
                    id=new_id(full, backoff.attempt),
                    pod_id=hashlib.sha256(f"{full} {pod.hash}".encode()).hexdigest(),
                    name=pod.name,
                    image=pod.container["image"],
                    pod=full,
                    namespace=pod.namespace,
                    uid=pod.hash,
                    created=time.time_ns(),
                    source="file",
                    attempt=backoff.attempt,
                    grace=pod.grace,
                    fingerprint=pod.hash,
                    log=f"{where}/{backoff.attempt}.log",
                    command=process_command(pod.container),
                ),
                env=environment(pod.container),
            )
        except (RuntimeFailureError, ValueError) as error:
            self._tell(pod.name, f'"Failed to create sandbox for pod" err="{error}" pod="{full}"')
            backoff.until = time.monotonic() + 1.0
            self._backoff[pod.name] = backoff
            return
        self._problems.pop(pod.name, None)
        self._probed.pop(pod.name, None)

    def _tell(self, name: str, problem: str) -> None:
        if self._problems.get(name) != problem:
            self._problems[name] = problem
            self.log(problem)

    def _probe(self, pod: StaticPod, container: Container) -> None:
        every = 10.0 if self.ready.get(pod.name) else 0.5
        if time.monotonic() - self._probed.get(pod.name, 0.0) < every:
            return
        self._probed[pod.name] = time.monotonic()
        probe = pod.container.get("readinessProbe") or pod.container.get("livenessProbe")
        self.ready[pod.name] = probe is None or healthy(probe, pod.container)
        if self.ready[pod.name] and container.attempt:
            lived = (time.time_ns() - container.created) / 1e9
            if lived > STABLE:
                self._backoff.pop(pod.name, None)


def process_command(container: dict[str, Any]) -> tuple[str, ...]:
    """Return the process that stands for a static pod's container.

    Raises:
        ValueError: the rehearsal has nothing to run for it.
    """
    words: list[str] = [*container["command"], *container.get("args", [])]
    program, arguments = words[0], words[1:]
    if program == "etcd":
        return ("/usr/bin/etcd", *(old_etcd_flag(argument) for argument in arguments))
    if program in COMPONENTS:
        tag = container["image"].rpartition(":")[2]
        return (
            sys.executable,
            "-sP",
            "-m",
            "rehearsal.component",
            program,
            *arguments,
            f"--rehearsal-version={tag}",
        )
    raise ValueError(
        f'failed to create containerd task: exec: "{program}": executable file not found in $PATH'
    )


def old_etcd_flag(argument: str) -> str:
    """Return `argument` as etcd 3.5 wants it."""
    for new, old in RENAMED.items():
        if argument == new or argument.startswith(new + "="):
            return old + argument[len(new) :]
    return argument


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a static pod's process."""
    own = {entry["name"]: str(entry.get("value", "")) for entry in container.get("env", [])}
    base = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    if sys.dont_write_bytecode:
        base["PYTHONDONTWRITEBYTECODE"] = "1"
    return base | own


def healthy(probe: dict[str, Any], container: dict[str, Any], *, timeout: float = 2.0) -> bool:
    """Whether an HTTP probe of `container` answers 2xx or 3xx."""
    get = probe.get("httpGet")
    if get is None:
        return True
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    port = ports.get(get["port"], get["port"])
    origin = f"{get.get('scheme', 'HTTP').lower()}://{get.get('host', '127.0.0.1')}:{port}"
    return answers(origin + get.get("path", "/"), timeout=timeout)


def answers(url: str, *, timeout: float = 2.0) -> bool:
    """Whether a GET of `url` succeeds; its certificate is not checked, as in kubelet probes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=timeout, context=context) as answer:  # noqa: S310 - fixed schemes
            return bool(answer.status < 400)  # noqa: PLR2004 - HTTP's border between good and bad
    except (TimeoutError, urllib.error.URLError, OSError, ValueError):
        return False
