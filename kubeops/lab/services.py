"""The lab's own services, run in its hub: the package server and the load balancer."""

import socket
import sys
from collections.abc import Callable

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.lab import cgroups, places, shell, state
from kubeops.lab.model import Lab

API_PORT = 6443
PACKAGES_PORT = 80


def start(lab: Lab) -> None:
    """Start the services that do not run."""
    write_backends(lab)
    lab.repository.mkdir(parents=True, exist_ok=True)
    for name, arguments in _services(lab).items():
        cgroup = lab.cgroup / f"service-{name}"
        if cgroups.populated(cgroup):
            continue
        cgroup.mkdir(exist_ok=True)
        program = str(places.PROGRAMS / f"{name}.py")
        shell.daemon(
            *("nsenter", f"--net=/run/netns/{lab.hub}", sys.executable, "-I", "-S", program),
            *("--cgroup", str(cgroup), "--listen", lab.gateway, *arguments),
            log=lab.directory / f"{name}.log",
        )


def wait(lab: Lab, *, progress: Callable[[str], None]) -> None:
    """Wait until every service accepts connections.

    Raises:
        GateError: one does not within ten seconds; its log in the lab's directory says why.
    """

    def look() -> Reading:
        silent = [port for port in (PACKAGES_PORT, API_PORT) if not _accepts(lab.gateway, port)]
        return Reading(ok=not silent, text=f"silent: ports {silent}" if silent else "all do")

    gate = Gate(
        name="the lab's services to answer", look=look, timeout=10.0, successes=1, interval=0.05
    )
    wait_until(gate, clock=Clock(), progress=progress)


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def write_backends(lab: Lab) -> None:
    """Tell the load balancer which control planes there are; it reads the file again by itself."""
    lines = (f"{node.address} {API_PORT}\n" for node in lab.control_planes)
    state.write(lab.backends, "".join(lines))


def _services(lab: Lab) -> dict[str, tuple[str, ...]]:
    return {
        "fileserver": ("--port", str(PACKAGES_PORT), "--directory", str(lab.repository)),
        "balancer": ("--port", str(API_PORT), "--backends", str(lab.backends)),
    }
