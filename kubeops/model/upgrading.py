"""What only an upgrade asks of hosts and the API, besides what is observed for every verb."""

from dataclasses import dataclass

from kubeops.model.observed import Reach
from kubeops.model.version import KubeVersion, Minor


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the package source of one minor release offers to one host.

    Attributes:
        host: the host that asked.
        minor: the minor release whose source was asked.
        versions: those in which kubeadm, kubelet and kubectl can all be had.
        error: why it could not be asked, in curl's or apt's words; empty when it could.
    """

    host: str
    minor: Minor
    versions: tuple[KubeVersion, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class BlockedPod:
    """A pod whose eviction (server-side dry run) is refused now, by which budgets, in whose words.

    `pod` is `namespace/name`, and so is each of `budgets`; none when something else refuses.
    """

    pod: str
    budgets: tuple[str, ...]
    message: str


@dataclass(frozen=True, kw_only=True)
class Drainability:
    """What draining one node would meet; pods are `namespace/name`.

    Attributes:
        node: the node.
        blocked: pods that may not be evicted now.
        bare: pods that no controller would create again.
        empty_dir: pods that keep data in an emptyDir, which is lost with them.
        error: why it could not be found out, in the API's words; empty when it could.
    """

    node: str
    blocked: tuple[BlockedPod, ...] = ()
    bare: tuple[str, ...] = ()
    empty_dir: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class DeprecatedApi:
    """An API that was requested since its server started, and the release without it.

    From `apiserver_requested_deprecated_apis`; `resource` is `resource` or `resource/subresource`,
    `removed` is None when no release is named.
    """

    group: str
    version: str
    resource: str
    removed: Minor | None = None


@dataclass(frozen=True, kw_only=True)
class UpgradeFacts:
    """What only an upgrade asks, besides what `ClusterFacts` holds.

    `reach` is what hosts that are to join and the others found at each other's ports.
    """

    offers: tuple[Offer, ...] = ()
    drainability: tuple[Drainability, ...] = ()
    deprecated: tuple[DeprecatedApi, ...] = ()
    reach: tuple[Reach, ...] = ()
