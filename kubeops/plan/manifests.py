"""Where the manifests of network plugins and known addons come from, pinned by version."""

import hashlib
import re
from pathlib import PurePath
from urllib.parse import urlsplit

from kubeops.model.desired import Cluster

_PLUGINS = {
    "flannel": "https://github.com/flannel-io/flannel/releases/download/v{version}/kube-flannel.yml",
    "calico": "https://raw.githubusercontent.com/projectcalico/calico/v{version}/manifests/calico.yaml",
}
_ADDONS = {
    "metrics-server": (
        "https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.8.0/components.yaml"
    ),
    "ingress-nginx": (
        "https://raw.githubusercontent.com/kubernetes/ingress-nginx/controller-v1.13.3/"
        "deploy/static/provider/baremetal/deploy.yaml"
    ),
}


def manifest_sources(desired: Cluster) -> tuple[tuple[str, str], ...]:
    """Return name and source (URL or absolute path) of every manifest, in order of application.

    The network plugin comes first. `bridge` has no manifest, and cilium's has to be given: the
    project publishes none. Names are unique, and may be keys of a ConfigMap.
    """
    cni = desired.cni
    template = _PLUGINS.get(cni.name)
    sources: list[tuple[str, str]] = []
    if cni.source is not None:
        sources.append((cni.name, cni.source))
    elif template is not None and cni.version is not None:
        sources.append((cni.name, template.format(version=cni.version)))
    for addon in desired.addons:
        name = _name(addon, taken={name for name, _ in sources})
        sources.append((name, _ADDONS.get(addon, addon)))
    return tuple(sources)


def _name(addon: str, *, taken: set[str]) -> str:
    """Name an addon after its file; two files of one name are told apart by their place."""
    if addon in _ADDONS:
        return addon
    file = PurePath(urlsplit(addon).path).name or "manifest"
    name = re.sub(r"[^-._a-zA-Z0-9]+", "-", file)
    return f"{name}-{hashlib.sha256(addon.encode()).hexdigest()[:8]}" if name in taken else name
