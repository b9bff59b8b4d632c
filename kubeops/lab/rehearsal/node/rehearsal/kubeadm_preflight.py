"""kubeadm's checks before it touches a node: their names, texts and order.

System verification looks at the cgroup version only; the kernel's configuration is the host's
business in a rehearsal.
"""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rehearsal import files
from rehearsal.kubeadm_common import Context, KubeadmError, systemctl
from rehearsal.runtime import Runtime, RuntimeFailureError
from rehearsal.version import images, parse

CPUS = 2
MEMORY_MB = 1700
CGROUP_V1_REFUSED = 35
PROGRAMS = ("losetup", "mount", "cp")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
CGROUP_V1 = (
    "cgroups v1 support is deprecated and will be removed in a future release. Please "
    "migrate to cgroups v2. To "
    "explicitly enable cgroups v1 support for kubelet v1.35 or newer, you must set the "
    "kubelet configuration option "
    "'FailCgroupV1' to 'false'. You must also explicitly skip this validation. For more "
    "information, see "
    "https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1"
)
RUNTIME_CONFIG_ASKED = 35
RUNTIME_CONFIG_REQUIRED = 37
NO_RUNTIME_CONFIG = (
    "You must update your container runtime to a version that supports the CRI method "
    "RuntimeConfig. Falling back to using cgroupDriver from kubelet config will be removed in "
    "1.37. For more information, see "
    "https://git.k8s.io/enhancements/keps/sig-node/4033-group-driver-detection-over-cri"
)
SWAP = (
    "swap is supported for cgroup v2 only. The kubelet must be properly configured to use "
    "swap. Please refer to "
    "https://kubernetes.io/docs/concepts/architecture/nodes/#swap-memory, or disable swap on "
    "the node"
)


@dataclass(frozen=True)
class Problem:
    """What a check found: a warning, or what stops kubeadm."""

    check: str
    text: str
    fatal: bool = True


Check = Callable[[], Iterator[Problem]]


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The checks there are, for one node."""

    context: Context
    name: str
    target: str  # the release to be run, `v1.35.4`

    def init(self, *, port: int, data: str, first: bool = True) -> list[Check]:
        """The checks of a new control plane; those of the machine when it is the `first` one."""
        components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
        found: list[Check] = [self.cpus, self.memory]
        if first:
            found.append(self.kubernetes_version)
        found += [self.port(number) for number in (port, 10259, 10257)]
        found += [
            self.absent(f"/etc/kubernetes/manifests/{component}.yaml") for component in components
        ]
        if first:
            found += [*self.machine(), self.forwarding]
        found += [self.port(2379), self.port(2380), self.empty(data)]
        return found

    def join(self, *, ca: str, worker: bool) -> list[Check]:
        """The checks of a machine that joins."""
        found = [
            self.absent("/etc/kubernetes/kubelet.conf"),
            self.absent("/etc/kubernetes/bootstrap-kubelet.conf"),
            *self.machine(),
        ]
        return [*found, self.absent(ca), self.forwarding] if worker else [*found, self.forwarding]

    def machine(self) -> list[Check]:
        """The checks every machine gets."""
        return [
            self.runtime,
            self.swap,
            *(self.program(name) for name in PROGRAMS),
            self.system,
            self.runtime_version,
            self.hostname,
            self.kubelet_version,
            self.kubelet_service,
            self.port(10250),
        ]

    def cpus(self) -> Iterator[Problem]:
        """NumCPU."""
        count = os.cpu_count() or 1
        if count < CPUS:
            yield Problem(
                "NumCPU", f"the number of available CPUs {count} is less than the required {CPUS}"
            )

    def memory(self) -> Iterator[Problem]:
        """Mem."""
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024 // 1024
        if size < MEMORY_MB:
            yield Problem(
                "Mem", f"the system RAM ({size} MB) is less than the minimum {MEMORY_MB} MB"
            )

    def kubernetes_version(self) -> Iterator[Problem]:
        """KubernetesVersion."""
        wanted, own = parse(self.target), self.context.version
        if wanted.series != own.series and wanted > own:
            yield Problem(
                "KubernetesVersion",
                "Kubernetes version is greater than kubeadm version. Please consider to "
                "upgrade kubeadm. "
                f"Kubernetes version: {wanted.bare}. Kubeadm version: {own.major}.{own.minor}.x",
                fatal=False,
            )

    def port(self, number: int) -> Check:
        """Port-N: nobody listens there."""

        def check() -> Iterator[Problem]:
            with closing(
                socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET)
            ) as probe:
                try:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("", number))
                    probe.listen(1)
                except OSError:
                    yield Problem(f"Port-{number}", f"Port {number} is in use")

        return check

    def absent(self, path: str) -> Check:
        """FileAvailable-P: there is no such file yet."""

        def check() -> Iterator[Problem]:
            if self.context.layout.at(path).exists():
                yield Problem(f"FileAvailable-{path.replace('/', '-')}", f"{path} already exists")

        return check

    def empty(self, path: str) -> Check:
        """DirAvailable-P: there is no such folder yet, or nothing in it."""

        def check() -> Iterator[Problem]:
            folder = self.context.layout.at(path)
            if folder.is_dir() and any(folder.iterdir()):
                yield Problem(f"DirAvailable-{path.replace('/', '-')}", f"{path} is not empty")

        return check

    def runtime(self) -> Iterator[Problem]:
        """CRI: the container runtime answers."""
        try:
            Runtime(layout=self.context.layout).check()
        except RuntimeFailureError as error:
            text = str(error).replace("unix /run/", "unix /var/run/")
            yield Problem(
                "CRI",
                "could not connect to the container runtime: failed to create new CRI "
                "runtime service: validate "
                "service connection: validate CRI v1 runtime API for endpoint "
                '"unix:///var/run/containerd/'
                f'containerd.sock": {text}',
            )

    def swap(self) -> Iterator[Problem]:
        """Swap."""
        table = self.context.layout.at("/proc/swaps")
        if table.exists() and len(table.read_text().splitlines()) > 1:
            yield Problem("Swap", SWAP, fatal=False)

    def program(self, name: str) -> Check:
        """FileExisting-P: the program is in the path."""

        def check() -> Iterator[Problem]:
            if shutil.which(name) is None:
                yield Problem(f"FileExisting-{name}", f"{name} not found in system path")

        return check

    def system(self) -> Iterator[Problem]:
        """SystemVerification: the cgroup version."""
        if _cgroup_v2():
            return
        files.say(
            "[preflight] The system verification failed. Printing the output from the verification:"
        )
        files.say(f"KERNEL_VERSION: {os.uname().release}")
        files.say("OS: Linux")
        fatal = parse(self.target).minor >= CGROUP_V1_REFUSED
        yield Problem("SystemVerification", CGROUP_V1, fatal=fatal)

    def runtime_version(self) -> Iterator[Problem]:
        """ContainerRuntimeVersion: containerd 1 lacks a call that kubelets rely on from 1.37 on."""
        path = self.context.layout.at("/usr/lib/kubeops-rehearsal/containerd/VERSION")
        minor = parse(self.target).minor
        old = path.exists() and path.read_text().startswith("1.")
        if old and minor >= RUNTIME_CONFIG_ASKED:
            fatal = minor >= RUNTIME_CONFIG_REQUIRED
            yield Problem("ContainerRuntimeVersion", NO_RUNTIME_CONFIG, fatal=fatal)

    def hostname(self) -> Iterator[Problem]:
        """Hostname: a valid name that can be looked up."""
        if not NAME.fullmatch(self.name):
            yield Problem(
                "Hostname",
                f'nodeRegistration.name: Invalid value: "{self.name}": a lowercase RFC 1123 '
                "subdomain must consist of "
                "lower case alphanumeric characters, '-' or '.', and must start and end with "
                "an alphanumeric character",
            )
        try:
            socket.getaddrinfo(self.name, None)
        except OSError:
            yield Problem("Hostname", f'hostname "{self.name}" could not be reached', fatal=False)
            yield Problem(
                "Hostname", f'hostname "{self.name}": lookup {self.name}: no such host', fatal=False
            )

    def kubelet_version(self) -> Iterator[Problem]:
        """KubeletVersion: installed, and not newer than the control plane."""
        path = self.context.layout.at("/usr/lib/kubeops-rehearsal/kubelet/VERSION")
        if not path.exists():
            yield Problem(
                "KubeletVersion",
                "couldn't get kubelet version: cannot execute 'kubelet --version': "
                "executable file not found in $PATH",
            )
            return
        kubelet = parse(path.read_text())
        if (kubelet.major, kubelet.minor) > (parse(self.target).major, parse(self.target).minor):
            yield Problem(
                "KubeletVersion",
                "the kubelet version is higher than the control plane version. This is not a "
                "supported version skew "
                f'and may lead to a malfunctional cluster. Kubelet version: "{kubelet.bare}" '
                "Control plane version: "
                f'"{parse(self.target).bare}"',
            )

    def kubelet_service(self) -> Iterator[Problem]:
        """Service-Kubelet: enabled."""
        if systemctl("is-enabled", "--quiet", "kubelet") not in {0, 127}:
            yield Problem(
                "Service-Kubelet",
                "kubelet service is not enabled, please run 'systemctl enable kubelet.service'",
                fatal=False,
            )

    def forwarding(self) -> Iterator[Problem]:
        """FileContent of ip_forward."""
        path = "/proc/sys/net/ipv4/ip_forward"
        file = self.context.layout.at(path)
        if not file.exists() or file.read_text().strip() != "1":
            yield Problem(
                f"FileContent-{path.replace('/', '-')}", f"{path} contents are not set to 1"
            )

    def pulled(self, *, repository: str, etcd_tag: str = "", required: bool = True) -> Check:
        """ImagePull: every image is here or can be fetched."""

        def check() -> Iterator[Problem]:
            runtime = Runtime(layout=self.context.layout)
            for image in images(parse(self.target), repository=repository, etcd_tag=etcd_tag):
                try:
                    if not runtime.has_image(image):
                        runtime.pull(image)
                except RuntimeFailureError as error:
                    yield Problem(
                        "ImagePull", f"failed to pull image {image}: {error}", fatal=required
                    )

        return check


def run(checks: Sequence[Check], *, ignore: Sequence[str], phase: str = "preflight") -> None:
    """Run every check and tell what was found.

    Raises:
        KubeadmError: something fatal was found that is not in `ignore` (names in any case, or
        `all`).
    """
    skipped = {name.lower() for name in ignore}
    problems = [problem for check in checks for problem in check()]
    fatal = []
    for problem in problems:
        spared = problem.check.lower() in skipped or "all" in skipped
        if problem.fatal and not spared:
            fatal.append(problem)
        else:
            files.warn(f"\t[WARNING {problem.check}]: {problem.text}")
    if fatal:
        files.warn("[preflight] Some fatal errors occurred:")
        for problem in fatal:
            files.warn(f"\t[ERROR {problem.check}]: {problem.text}")
        files.warn(
            "[preflight] If you know what you are doing, you can make a check non-fatal with "
            "`--ignore-preflight-errors=...`"
        )
        raise KubeadmError(f"error execution phase {phase}: preflight checks failed")


def _cgroup_v2() -> bool:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == "/sys/fs/cgroup":
            return fields[fields.index("-") + 1] == "cgroup2"
    return False
