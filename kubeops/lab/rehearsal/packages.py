"""The stand-ins' packages as data: versions, dependencies, scripts and files of the real ones.

Every package with a program carries a copy of the stand-ins' code below
/usr/lib/kubeops-rehearsal/NAME, so that kubeadm 1.36 and kubelet 1.35 work side by side on a node,
and no file belongs to two packages. It is compiled when the package is made, and never by the
programs themselves, so that no program runs what was compiled from another version.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

CODE = Path(__file__).with_name("node") / "rehearsal"
LIBRARY = "/usr/lib/kubeops-rehearsal"
REVISION = "1.1"
MAINTAINER = "kubeops rehearsal <rehearsal@localhost>"
"""What handlers/packages.py knows the stand-ins by: their versions are those of the real ones."""
PLUGINS = (
    "bandwidth",
    "bridge",
    "dhcp",
    "firewall",
    "host-device",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tuning",
    "vlan",
    "vrf",
)
CONTAINERD = ("1.7.27-1", "1.7.30-1", "2.1.4-1", "2.1.9-1")
MODULES = {
    "kubeadm": "kubeadm",
    "kubelet": "kubelet",
    "kubectl": "kubectl_call",
    "cri-tools": "crictl",
    "containerd": "containerd",
}
DESCRIPTIONS = {
    "kubeadm": "Command-line utility for administering a Kubernetes cluster",
    "kubelet": "Node agent for Kubernetes clusters",
    "kubectl": "Command-line utility for interacting with a Kubernetes cluster",
    "cri-tools": "Command-line utility for interacting with a container runtime",
    "kubernetes-cni": "Binaries required to provision kubernetes container networking",
    "containerd": "An open and reliable container runtime",
}


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of one package.

    Attributes:
        version: with the packaging revision, as apt shows it.
        files: content and mode by path.
        conffiles: which of them dpkg treats as configuration.
        scripts: maintainer scripts by name.
        code: whether it carries the stand-ins' code.
    """

    name: str
    version: str
    depends: str = ""
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)
    code: bool = False

    @property
    def upstream(self) -> str:
        """The version without the packaging revision."""
        return self.version.rpartition("-")[0]

    @property
    def control(self) -> str:
        """The package's control file."""
        depends = f"Depends: {self.depends}\n" if self.depends else ""
        provides = "Provides: container-runtime\n" if self.name == "containerd" else ""
        summary = DESCRIPTIONS[self.name]
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: amd64\n"
            f"Maintainer: {MAINTAINER}\nSection: admin\nPriority: optional\n"
            f"{depends}{provides}Homepage: https://kubernetes.io\n"
            f"Description: {summary}\n A stand-in of the kubeops rehearsal: no containers, "
            "real files and texts.\n"
        )


def releases() -> dict[str, dict[str, list[str] | str]]:
    """Return the minors of the rehearsal and what belongs to each."""
    found: dict[str, dict[str, list[str] | str]] = json.loads((CODE / "releases.json").read_text())
    return found


def patches() -> tuple[str, ...]:
    """Return every version of Kubernetes that there are stand-ins of, such as `1.35.4`."""
    return tuple(patch for release in releases().values() for patch in release["patches"])


def of_minor(series: str) -> tuple[Package, ...]:
    """Return every package in the repository of one minor, such as `1.35`."""
    release = releases()[series]
    packages: list[Package] = []
    for patch in release["patches"]:
        version = f"{patch}-{REVISION}"
        packages += [
            kubeadm(version),
            kubelet(version),
            _program("kubectl", version, program="kubectl"),
        ]
    tools = f"{release['cri-tools']}-{REVISION}"
    packages += [
        _program("cri-tools", tools, program="crictl"),
        cni(f"{release['kubernetes-cni']}-{REVISION}"),
    ]
    return tuple(packages)


def runtimes() -> tuple[Package, ...]:
    """Return every containerd there is."""
    return tuple(containerd(version) for version in CONTAINERD)


def kubeadm(version: str) -> Package:
    """Return a kubeadm, with the kubelet's drop-in, as in the real package."""
    drop_in = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
    return _program("kubeadm", version, program="kubeadm", files={drop_in: (DROP_IN, 0o644)})


def kubelet(version: str) -> Package:
    """Return a kubelet: enabled when installed, running once it has a configuration."""
    return _program(
        "kubelet",
        version,
        program="kubelet",
        depends="kubernetes-cni (>= 1.2.0), mount, util-linux",
        files={
            "/usr/lib/systemd/system/kubelet.service": (KUBELET_SERVICE, 0o644),
            "/etc/default/kubelet": ("KUBELET_EXTRA_ARGS=\n", 0o644),
            "/etc/kubernetes/manifests/.kubelet-keep": ("", 0o644),
            "/var/lib/kubelet/.kubelet-keep": ("", 0o644),
        },
        conffiles=("/etc/default/kubelet",),
        scripts={
            "postinst": enabling("kubelet"),
            "prerm": stopping("kubelet"),
            "postrm": RELOADING,
        },
    )


def cni(version: str) -> Package:
    """Return the CNI plugins."""
    plugin = (f'#!/bin/sh\necho "CNI plugin $(basename "$0") {version}+rehearsal"\n', 0o755)
    return Package(
        name="kubernetes-cni",
        version=version,
        files={f"/opt/cni/bin/{name}": plugin for name in PLUGINS},
    )


def containerd(version: str) -> Package:
    """Return a containerd, started when installed, as Debian's is."""
    return _program(
        "containerd",
        version,
        program="containerd",
        files={
            "/usr/lib/systemd/system/containerd.service": (CONTAINERD_SERVICE, 0o644),
            "/etc/containerd/config.toml": (CONTAINERD_CONFIG, 0o644),
        },
        conffiles=("/etc/containerd/config.toml",),
        scripts={
            "postinst": enabling("containerd", start=True),
            "prerm": stopping("containerd"),
            "postrm": RELOADING,
        },
    )


def _program(
    name: str,
    version: str,
    *,
    program: str,
    depends: str = "",
    files: dict[str, tuple[str, int]] | None = None,
    conffiles: tuple[str, ...] = (),
    scripts: dict[str, str] | None = None,
) -> Package:
    upstream = version.rpartition("-")[0]
    said = upstream if program in {"crictl", "containerd"} else f"v{upstream}+rehearsal"
    launcher = LAUNCHER.format(
        library=f"{LIBRARY}/{name}",
        module=MODULES[name],
        version=said,
    )
    own = {
        f"/usr/bin/{program}": (launcher, 0o755),
        f"{LIBRARY}/{name}/VERSION": (f"{upstream}\n", 0o644),
    }
    return Package(
        name=name,
        version=version,
        depends=", ".join(
            part for part in ("python3, python3-yaml, python3-cryptography", depends) if part
        ),
        files=own | (files or {}),
        conffiles=conffiles,
        scripts=scripts or {},
        code=True,
    )


def enabling(unit: str, *, start: bool = False) -> str:
    """Return a postinst that enables `unit`, the first time only, and starts it if so asked."""
    starting = f"  systemctl restart {unit}.service || true\n" if start else ""
    return (
        '#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n'
        f'  if [ -z "$2" ]; then deb-systemd-helper enable {unit}.service || systemctl '
        f"enable {unit}.service; fi\n"
        "  if [ -d /run/systemd/system ]; then\n    systemctl daemon-reload || true\n"
        f"  {starting.strip() or ':'}\n  fi\nfi\n"
    )


def stopping(unit: str) -> str:
    """Return a prerm that stops `unit` when its package goes."""
    return (
        '#!/bin/sh\nset -e\nif [ "$1" = remove ] && [ -d /run/systemd/system ]; then\n'
        f"  systemctl disable --now {unit}.service || true\nfi\n"
    )


RELOADING = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
"""
LAUNCHER = """\
#!/usr/bin/python3 -sP
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "{library}")
from rehearsal import {module}

sys.exit({module}.run(sys.argv[1:], "{version}"))
"""
KUBELET_SERVICE = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DROP_IN = """\
# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generates at runtime, populating the KUBELET_KUBEADM_ARGS variable dynamically
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# This is a file that the user can use for overrides of the kubelet args as a last resort. Preferably, the user should use
# the .NodeRegistration.KubeletExtraArgs object in the configuration files instead. KUBELET_EXTRA_ARGS should be sourced from this file.
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""  # noqa: E501 - the real file's lines
CONTAINERD_SERVICE = """\
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target local-fs.target dbus.service

[Service]
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""
CONTAINERD_CONFIG = """\
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
