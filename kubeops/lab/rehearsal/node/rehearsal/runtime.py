"""What a container runtime knows on a rehearsal node: images and containers.

Images are one small file each below /var/lib/containerd; containers one JSON record each below
/run, so that they are forgotten by a reboot, as the containers of a real node are stopped by it.
There is no isolation: the process of a static pod runs on the node itself, in a systemd scope of
its own, and so outlives the kubelet. Containers of ordinary pods have no process at all.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rehearsal import files
from rehearsal.layout import Layout
from rehearsal.version import pullable

SIZES = {
    "coredns": 5_786_451,
    "etcd": 61_870_932,
    "kube-apiserver": 95_253_352,
    "kube-controller-manager": 78_889_850,
    "kube-proxy": 74_384_224,
    "kube-scheduler": 48_558_952,
    "pause": 707_408,
}
ELSEWHERE = 12_000_000
PULL_SECONDS = 0.03


class RuntimeFailureError(Exception):
    """The runtime cannot do what it was asked; the text is the one of a real containerd."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A pulled image."""

    name: str

    @property
    def id(self) -> str:
        """The image's id, without its `sha256:`."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def digest(self) -> str:
        """The digest of the image's manifest."""
        return hashlib.sha256(f"manifest {self.name}".encode()).hexdigest()

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The tag."""
        return self.name.rpartition(":")[2]

    @property
    def size(self) -> int:
        """Bytes it takes on disk (of the real image)."""
        return SIZES.get(self.repository.rpartition("/")[2], ELSEWHERE)


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container, running or exited. `pid` 0 means that it has no process."""

    id: str
    pod_id: str
    name: str
    image: str
    pod: str
    namespace: str
    uid: str
    created: int
    source: str  # "file" for a static pod, "api" for any other
    attempt: int = 0
    state: str = "CONTAINER_RUNNING"
    pid: int = 0
    started_ticks: int = 0
    exit_code: int = 0
    finished: int = 0
    grace: float = 30.0
    fingerprint: str = ""
    log: str = ""
    command: tuple[str, ...] = field(default=())

    @property
    def running(self) -> bool:
        """Whether it has not exited, as far as the record says."""
        return self.state == "CONTAINER_RUNNING"


def ticks(pid: int) -> int:
    """Return when process `pid` started, in clock ticks since boot; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The images and containers of one node."""

    layout: Layout = field(default_factory=Layout)

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.layout.at("/run/containerd/containerd.sock")

    @property
    def _images(self) -> Path:
        return self.layout.at("/var/lib/containerd/rehearsal/images")

    @property
    def _containers(self) -> Path:
        return self.layout.at("/run/kubeops-rehearsal/containers")

    def check(self) -> None:
        """Make sure that containerd answers.

        Raises:
            RuntimeFailureError: nobody listens on its socket.
        """
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.settimeout(2)
                probe.connect(str(self.socket))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise RuntimeFailureError(
                    "rpc error: code = Unavailable desc = connection error: desc = "
                    '"transport: Error while'
                    f' dialing: dial unix {self.socket}: connect: {reason}"'
                ) from error

    # Images

    def images(self) -> list[Image]:
        """Return the pulled images by name."""
        if not self._images.is_dir():
            return []
        names = [json.loads(path.read_text())["name"] for path in self._images.glob("*.json")]
        return [Image(name=name) for name in sorted(names)]

    def has_image(self, name: str) -> bool:
        """Whether image `name` was pulled."""
        return self._image_file(name).exists()

    def pull(self, name: str) -> Image:
        """Fetch an image.

        Raises:
            RuntimeFailureError: containerd is not running, or no registry has the image.
        """
        self.check()
        image = Image(name=tagged(name))
        if not pullable(image.name):
            raise RuntimeFailureError(
                "rpc error: code = NotFound desc = failed to pull and unpack image "
                f'"{image.name}": '
                f"failed to resolve image: {image.name}: not found"
            )
        if not self.has_image(image.name):
            time.sleep(PULL_SECONDS)
            files.write(self._image_file(image.name), json.dumps({"name": image.name}))
        return image

    def remove_image(self, name: str) -> bool:
        """Delete an image by name or id; False when there is none."""
        for image in self.images():
            if name in {image.name, image.id, f"sha256:{image.id}"} or image.id.startswith(name):
                self._image_file(image.name).unlink(missing_ok=True)
                return True
        return False

    def _image_file(self, name: str) -> Path:
        return self._images / f"{hashlib.sha256(tagged(name).encode()).hexdigest()}.json"

    # Containers

    def containers(self) -> list[Container]:
        """Return every container there is a record of, newest first."""
        found = []
        if self._containers.is_dir():
            for path in self._containers.glob("*.json"):
                with suppress(OSError, ValueError):
                    entry = json.loads(path.read_text())
                    found.append(Container(**{**entry, "command": tuple(entry["command"])}))
        return sorted(found, key=lambda container: -container.created)

    def save(self, container: Container) -> Container:
        """Record a container and return it."""
        files.write(self._containers / f"{container.id}.json", json.dumps(asdict(container)))
        return container

    def forget(self, container: Container) -> None:
        """Delete a container's record."""
        (self._containers / f"{container.id}.json").unlink(missing_ok=True)

    def alive(self, container: Container) -> bool:
        """Whether a running container's process still is the one that was started."""
        return container.pid == 0 or ticks(container.pid) == container.started_ticks

    def start(self, container: Container, *, env: Mapping[str, str]) -> Container:
        """Start a container's process and record it.

        Raises:
            RuntimeFailureError: its program is not on this node.
        """
        log = self.layout.at(container.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        argv = (*_scope(container.id), *container.command)
        try:
            with log.open("ab") as sink:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=dict(env),
                    cwd="/",
                )
        except OSError as error:
            raise RuntimeFailureError(f"failed to create containerd task: {error}") from error
        return self.save(replace(container, pid=process.pid, started_ticks=ticks(process.pid)))

    def end(self, container: Container, *, code: int) -> Container:
        """Record that a container has exited."""
        return self.save(
            replace(container, state="CONTAINER_EXITED", exit_code=code, finished=time.time_ns())
        )

    def send(self, container: Container, number: signal.Signals) -> None:
        """Signal a container's process group, if it still is the container's."""
        if container.pid and self.alive(container):
            with suppress(ProcessLookupError):
                os.killpg(container.pid, number)

    def stop(self, container: Container, *, grace: float | None = None) -> None:
        """End a container: SIGTERM, then SIGKILL after `grace` seconds (its pod's by default)."""
        if container.running and container.pid:
            self.send(container, signal.SIGTERM)
            limit = container.grace if grace is None else grace
            if not files.wait(lambda: not self.alive(container), timeout=limit, interval=0.05):
                self.send(container, signal.SIGKILL)
                files.wait(lambda: not self.alive(container), timeout=5, interval=0.05)
        if container.running:
            self.end(container, code=0)


def tagged(name: str) -> str:
    """Return an image's name with its tag, `latest` when it has none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def new_id(*parts: object) -> str:
    """Return an id of 64 hexadecimal digits."""
    return hashlib.sha256(" ".join(map(str, (*parts, time.time_ns()))).encode()).hexdigest()


def _scope(identifier: str) -> Sequence[str]:
    """Return what puts a process in a scope of its own, where systemd runs."""
    if not Path("/run/systemd/system").is_dir():
        return ()
    unit = f"--unit=cri-containerd-{identifier[:24]}"
    return ("systemd-run", "--scope", "--quiet", "--collect", "--slice=kubepods.slice", unit, "--")
