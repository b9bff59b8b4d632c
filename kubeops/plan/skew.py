"""The version skew policy: which components may be at which versions at the same time.

Source: kubernetes.io/releases/version-skew-policy, by minor releases:

* API servers are within one minor of each other.
* A kubelet is never newer than its API server, and at most three minors older than any. A control
  plane's kubelet asks the API server beside it (ControlPlaneKubeletLocalMode), a worker's any.
* Controller manager and scheduler are not newer than the API server beside them, at most one older.
* kube-proxy is not newer than any API server, at most three older, and within three of kubelets.
* kubectl on a control plane is within one minor of every API server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    Action,
    DeleteNode,
    JoinWorker,
    UpgradeApply,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.standing import image_version, kube_proxy_version, package_version

KUBELET_SKEW = 3
PROXY_SKEW = 3
COMPANION_SKEW = 1
API_SKEW = 1
KUBECTL_SKEW = 1


@dataclass(frozen=True, kw_only=True)
class Components:
    """What runs where, by host; `kubectls` are those of the control planes."""

    control_planes: frozenset[str]
    apiservers: Mapping[str, KubeVersion]
    controllers: Mapping[str, KubeVersion]
    schedulers: Mapping[str, KubeVersion]
    kubelets: Mapping[str, KubeVersion]
    kubectls: Mapping[str, KubeVersion]
    kube_proxy: KubeVersion | None = None

    @classmethod
    def of(cls, desired: Cluster, facts: ClusterFacts) -> "Components":
        """Read them from what was observed; what is unknown is left out."""
        return cls(
            control_planes=frozenset(host.name for host in desired.control_planes),
            apiservers=_static(desired, facts, "kube-apiserver"),
            controllers=_static(desired, facts, "kube-controller-manager"),
            schedulers=_static(desired, facts, "kube-scheduler"),
            kubelets={}
            if facts.api is None
            else {node.name: node.kubelet for node in facts.api.nodes},
            kubectls={
                host.name: version
                for host in desired.control_planes
                if host.name in facts.hosts
                and (version := package_version(facts.hosts[host.name], "kubectl")) is not None
            },
            kube_proxy=None if facts.api is None else kube_proxy_version(facts.api),
        )

    def after(self, action: Action, host: str) -> "Components":
        """What runs when `action` has been done on `host`."""
        match action:
            case UpgradeApply(version=text) | UpgradeNode(version=text) if (
                host in self.control_planes
            ):
                return self._with_control_plane(host, KubeVersion.parse(text))
            case UpgradeKubelet(node=node, version=text):
                version = KubeVersion.parse(text)
                kubectls = {**self.kubectls, node: version} if node in self.kubectls else {}
                return replace(
                    self,
                    kubelets={**self.kubelets, node: version},
                    kubectls=kubectls or self.kubectls,
                )
            case JoinWorker(version=text):
                return replace(self, kubelets={**self.kubelets, host: KubeVersion.parse(text)})
            case DeleteNode(node=node):
                left = {name: found for name, found in self.kubelets.items() if name != node}
                return replace(self, kubelets=left)
            case _:
                return self

    def _with_control_plane(self, host: str, version: KubeVersion) -> "Components":
        """The control plane of `host` at `version`; the last one takes kube-proxy along."""
        apiservers = {**self.apiservers, host: version}
        complete = min(apiservers.values()) >= version
        return replace(
            self,
            apiservers=apiservers,
            controllers={**self.controllers, host: version},
            schedulers={**self.schedulers, host: version},
            kube_proxy=version if complete and self.kube_proxy is not None else self.kube_proxy,
        )


def _static(desired: Cluster, facts: ClusterFacts, pod: str) -> Mapping[str, KubeVersion]:
    return {
        host.name: version
        for host in desired.control_planes
        if host.name in facts.hosts
        and pod in facts.hosts[host.name].static_pods
        and (version := image_version(facts.hosts[host.name].static_pods[pod].image)) is not None
    }


def violations(components: Components) -> tuple[str, ...]:
    """Return each way in which `components` break the policy, naming both sides."""
    if not components.apiservers:
        return ()
    return (
        *_apiservers(components),
        *_kubelets(components),
        *_companions(components),
        *_proxy(components),
        *_kubectls(components),
    )


def _apiservers(found: Components) -> Iterator[str]:
    oldest, newest = _extremes(found.apiservers)
    if _minors(newest, oldest) > API_SKEW:
        yield (f"API servers run {oldest} and {newest}; they may be {API_SKEW} minor release apart")


def _kubelets(found: Components) -> Iterator[str]:
    oldest, newest = _extremes(found.apiservers)
    for name, kubelet in found.kubelets.items():
        server = found.apiservers.get(name, oldest)
        if _minors(kubelet, server) > 0:
            yield f"{name}'s kubelet {kubelet} is newer than its API server {server}"
        elif _minors(newest, kubelet) > KUBELET_SKEW:
            yield (
                f"{name}'s kubelet {kubelet} is more than {KUBELET_SKEW} minor releases older than "
                f"API server {newest}"
            )


def _companions(found: Components) -> Iterator[str]:
    for what, versions in (
        ("controller manager", found.controllers),
        ("scheduler", found.schedulers),
    ):
        for name, version in versions.items():
            server = found.apiservers.get(name, version)
            if not 0 <= _minors(server, version) <= COMPANION_SKEW:
                yield f"{name}'s {what} {version} does not fit its API server {server}"


def _proxy(found: Components) -> Iterator[str]:
    if found.kube_proxy is None:
        return
    oldest, newest = _extremes(found.apiservers)
    if _minors(found.kube_proxy, oldest) > 0:
        yield f"kube-proxy {found.kube_proxy} is newer than API server {oldest}"
    elif _minors(newest, found.kube_proxy) > PROXY_SKEW:
        yield (
            f"kube-proxy {found.kube_proxy} is more than {PROXY_SKEW} minor releases older than "
            f"API server {newest}"
        )
    for name, kubelet in found.kubelets.items():
        if abs(_minors(kubelet, found.kube_proxy)) > PROXY_SKEW:
            yield (
                f"kube-proxy {found.kube_proxy} and {name}'s kubelet {kubelet} are more than "
                f"{PROXY_SKEW} minor releases apart"
            )


def _kubectls(found: Components) -> Iterator[str]:
    oldest, newest = _extremes(found.apiservers)
    for name, kubectl in found.kubectls.items():
        if max(abs(_minors(kubectl, oldest)), abs(_minors(kubectl, newest))) > KUBECTL_SKEW:
            yield (
                f"{name}'s kubectl {kubectl} is more than {KUBECTL_SKEW} minor release away from "
                f"API servers {oldest} to {newest}"
            )


def _extremes(versions: Mapping[str, KubeVersion]) -> tuple[KubeVersion, KubeVersion]:
    return min(versions.values()), max(versions.values())


def _minors(newer: KubeVersion, older: KubeVersion) -> int:
    """How many minor releases `newer` is ahead; another major release is far away."""
    return 1000 * (newer.major - older.major) + newer.minor_number - older.minor_number
