"""What every kubeadm verb shares: its errors, its surroundings, its way to the API and services."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rehearsal import files
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Spec
from rehearsal.faults import Invocation
from rehearsal.kubeconfig import KubeconfigError
from rehearsal.kubelet_static import answers
from rehearsal.layout import Layout
from rehearsal.version import Version

T = TypeVar("T")
SOCKET = "unix:///var/run/containerd/containerd.sock"
CONFIG = Spec(values=("config",))
GLOBAL = Spec(
    values=("v", "rootfs", "kubeconfig"),
    switches=("skip-headers", "one-output", "help"),
    short={"v": "v", "h": "help"},
)


class KubeadmError(Exception):
    """kubeadm stops; the text stands behind `error: `."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a kubeadm verb works with."""

    version: Version
    layout: Layout = field(default_factory=Layout)
    invocation: Invocation = field(default_factory=Invocation)

    def reached(self, marker: str) -> None:
        """Tell that a phase is done; see `faults.Invocation.reached`."""
        self.invocation.reached(marker)

    def client(self, conf: str = "admin", *, timeout: float = 10.0) -> Client:
        """Return a client that uses /etc/kubernetes/`conf`.conf.

        Raises:
            KubeadmError: that file is missing or broken.
        """
        path = self.layout.conf(conf)
        try:
            return Client.from_kubeconfig(str(path), timeout=timeout)
        except KubeconfigError as error:
            raise KubeadmError(
                f"failed to load admin kubeconfig: open {path}: no such file or directory"
                if not path.exists()
                else str(error)
            ) from error


def retry(
    action: Callable[[], T],
    *,
    timeout: float,
    what: str = "",
    on: tuple[type[Exception], ...] = (ApiError, UnreachableError),
) -> T:
    """Repeat `action` while it fails by `on`: the API refuses, or cannot be reached.

    Raises:
        KubeadmError: it still fails after `timeout` seconds; `what` and the last failure are its
        text.
    """
    done: list[T] = []
    failure: Exception | None = None

    def attempt() -> bool:
        nonlocal failure
        try:
            done.append(action())
        except on as error:
            failure = error
        return bool(done)

    if not files.wait(attempt, timeout=timeout, interval=0.2):
        raise KubeadmError(f"{what}: {failure}" if what else str(failure)) from failure
    return done[0]


def systemctl(*arguments: str) -> int:
    """Run systemctl; its exit status, 127 where there is none."""
    try:
        done = subprocess.run(("systemctl", *arguments), capture_output=True, check=False)
    except FileNotFoundError:
        return 127
    return done.returncode


def start_kubelet() -> None:
    """Start the kubelet, afresh if it was running."""
    files.say("[kubelet-start] Starting the kubelet")
    systemctl("daemon-reload")
    systemctl("restart", "kubelet")


def wait_kubelet(*, timeout: float) -> None:
    """Wait until the kubelet says that it is healthy.

    Raises:
        KubeadmError: it does not in `timeout` seconds.
    """
    url = "http://127.0.0.1:10248/healthz"
    files.say(
        f"[kubelet-check] Waiting for a healthy kubelet at {url}. This can take up to "
        f"{files.go_duration(timeout)}"
    )
    start = time.monotonic()
    if not files.wait(lambda: answers(url, timeout=1.0), timeout=timeout, interval=0.05):
        files.say(f"[kubelet-check] The kubelet is not healthy after {took(start)}")
        files.say()
        files.say("Unfortunately, an error has occurred, likely caused by:")
        files.say("\t- The kubelet is not running")
        files.say(
            "\t- The kubelet is unhealthy due to a misconfiguration of the node in some way "
            "(required cgroups "
            "disabled)"
        )
        raise KubeadmError(
            "error execution phase kubelet-start: failed while waiting for the kubelet to "
            "start: The HTTP call "
            f"equal to 'curl -sSL {url}' returned error: Get \"{url}\": context deadline exceeded"
        )
    files.say(f"[kubelet-check] The kubelet is healthy after {took(start)}")


def wait_control_plane(*, address: str, port: int, timeout: float) -> None:
    """Wait until the three components of this node answer.

    Raises:
        KubeadmError: one of them does not in `timeout` seconds.
    """
    targets = {
        "kube-apiserver": f"https://{address}:{port}/livez",
        "kube-controller-manager": "https://127.0.0.1:10257/healthz",
        "kube-scheduler": "https://127.0.0.1:10259/livez",
    }
    files.say(
        "[control-plane-check] Waiting for healthy control plane components. This can take up to "
        f"{files.go_duration(timeout)}"
    )
    for name, url in targets.items():
        files.say(f"[control-plane-check] Checking {name} at {url}")
    start = time.monotonic()
    waiting = dict(targets)

    def healthy() -> bool:
        for name, url in list(waiting.items()):
            if answers(url):
                files.say(f"[control-plane-check] {name} is healthy after {took(start)}")
                del waiting[name]
        return not waiting

    if not files.wait(healthy, timeout=timeout, interval=0.1):
        for name in waiting:
            files.say(f"[control-plane-check] {name} is not healthy after {took(start)}")
        lines = "\n".join(
            f'{name} check failed at {url}: Get "{url}": context deadline exceeded'
            for name, url in waiting.items()
        )
        raise KubeadmError(
            "error execution phase wait-control-plane: failed while waiting for the control "
            "plane to start: "
            f"[{lines}]"
        )


def took(start: float) -> str:
    """Return the time since `start` as Go prints short durations."""
    seconds = time.monotonic() - start
    return f"{seconds:.9f}s" if seconds >= 1 else f"{seconds * 1000:.6f}ms"


def pinned(arguments: Sequence[str], limit: int, usage: str) -> None:
    """Refuse more words than a verb takes.

    Raises:
        KubeadmError: there are more than `limit`.
    """
    if len(arguments) > limit:
        raise KubeadmError(usage or f'unknown command "{arguments[limit]}" for "kubeadm"')
