"""Where the manifests of network plugins and known addons come from, pinned by version."""

from pathlib import PurePath

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
    project publishes none.
    """
    cni = desired.cni
    template = _PLUGINS.get(cni.name)
    sources: list[tuple[str, str]] = []
    if cni.source is not None:
        sources.append((cni.name, cni.source))
    elif template is not None and cni.version is not None:
        sources.append((cni.name, template.format(version=cni.version)))
    for addon in desired.addons:
        name = addon if addon in _ADDONS else PurePath(addon).name
        sources.append((name, _ADDONS.get(addon, addon)))
    return tuple(sources)
