"""The lab's own services, run in its hub: the package server and the load balancer."""

import sys

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


def write_backends(lab: Lab) -> None:
    """Tell the load balancer which control planes there are; it reads the file again by itself."""
    lines = (f"{node.address} {API_PORT}\n" for node in lab.control_planes)
    state.write(lab.backends, "".join(lines))


def _services(lab: Lab) -> dict[str, tuple[str, ...]]:
    return {
        "fileserver": ("--port", str(PACKAGES_PORT), "--directory", str(lab.repository)),
        "balancer": ("--port", str(API_PORT), "--backends", str(lab.backends)),
    }
