"""The way from what runs to what is wished for: one hop for each minor release.

kubeadm upgrades one minor at a time. Each hop goes to the newest patch release that the package
source offers to every host; a hop that was begun is finished at its own version first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from kubeops.model.upgrading import Offer
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.findings import blocking
from kubeops.plan.model import Finding
from kubeops.plan.standing import ClusterStanding, Cordon


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What `--to` says: a minor release (its newest patch), or one exact version."""

    minor: Minor
    version: KubeVersion | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.36` or `1.36.1`, with or without a leading v.

        Raises:
            ValueError: `text` is neither.
        """
        try:
            return cls(minor=Minor.parse(text))
        except ValueError:
            version = KubeVersion.parse(text)
            return cls(minor=version.minor, version=version)

    def __str__(self) -> str:
        return str(self.version or self.minor)


@dataclass(frozen=True, kw_only=True)
class Path:
    """The hops in their order; with a finding, those before the way ends."""

    hops: tuple[KubeVersion, ...] = ()
    findings: tuple[Finding, ...] = ()


def sources_to_ask(standing: ClusterStanding, wish: Wish) -> tuple[Minor, ...]:
    """The minor releases whose package sources `find_path` has to know the offers of.

    Empty when the wish is older than what runs, or nothing is known to run.
    """
    running = _running(standing)
    if not running:
        return ()
    return tuple(_minors(min(running).minor, wish.minor))


def find_path(standing: ClusterStanding, offers: Sequence[Offer], wish: Wish) -> Path:
    """Return the hops from where the cluster stands to `wish`.

    A path with one hop, to what runs already, is the way to finish what may be half done.

    Args:
        standing: where the cluster stands.
        offers: what the sources of `sources_to_ask` offer to each host.
        wish: where to.
    """
    running = _running(standing)
    if not running:
        return Path(
            findings=(
                blocking(
                    "control-plane-version",
                    "no control plane's version could be read",
                    "See what its hosts run: invoke status",
                ),
            )
        )
    lowest, highest = min(running), max(running)
    if (wish.version is not None and wish.version < highest) or wish.minor < highest.minor:
        return Path(findings=(_downgrade(wish, highest),))
    hops: list[KubeVersion] = []
    findings: list[Finding] = []
    for minor in _minors(lowest.minor, wish.minor):
        begun = [version for version in running if version.minor == minor]
        if minor == lowest.minor < wish.minor:
            if minor == highest.minor and _half_done(standing, minor):
                hops.append(max(begun))
            continue
        version = _version(minor, wish, begun, offers)
        if version is None:
            findings.append(_nothing_offered(minor, offers))
        elif not findings:
            hops.append(version)
    return Path(hops=tuple(hops), findings=tuple(findings))


def newest_offered(offers: Iterable[Offer], minor: Minor) -> KubeVersion | None:
    """The newest version offered to every host that could ask; None when there is none.

    When hosts agree on none, it is the newest that any of them is offered.
    """
    answers = [set(offer.versions) for offer in offers if offer.minor == minor and not offer.error]
    if not answers:
        return None
    everywhere = set.intersection(*answers) or set.union(*answers)
    return max(everywhere, default=None)


def _running(standing: ClusterStanding) -> list[KubeVersion]:
    return [one.control_plane for one in standing.control_planes if one.control_plane is not None]


def _minors(first: Minor, last: Minor) -> Iterable[Minor]:
    while first <= last:
        yield first
        first = first.next


def _version(
    minor: Minor, wish: Wish, begun: Sequence[KubeVersion], offers: Sequence[Offer]
) -> KubeVersion | None:
    """The version of the hop to `minor`; `begun` are the versions of it that run already."""
    if minor == wish.minor:
        if wish.version is not None:
            return wish.version
        newest = newest_offered(offers, minor)
        return max((version for version in (newest, *begun) if version is not None), default=None)
    return max(begun) if begun else newest_offered(offers, minor)


def _half_done(standing: ClusterStanding, minor: Minor) -> bool:
    """Whether an upgrade to `minor`, at which every API server is, was not finished.

    A kubeadm that was stopped half-way counts when it is of that minor: a newer one was on its way
    to the next hop, which goes on with it.
    """
    proxy = standing.kube_proxy
    return (proxy is not None and proxy.minor < minor) or any(
        one.cordon is Cordon.OURS
        or (one.kubelet is not None and one.kubelet.minor < minor)
        or (one.unfinished is not None and one.kubeadm is not None and one.kubeadm.minor == minor)
        for one in standing.hosts
    )


def _downgrade(wish: Wish, highest: KubeVersion) -> Finding:
    return blocking(
        "downgrade",
        f"the control plane runs {highest}, which is newer than {wish}; kubeadm and etcd do not go "
        "back",
        f"invoke upgrade --to {highest.minor}, or restore a backup: invoke backup.list",
    )


def _nothing_offered(minor: Minor, offers: Sequence[Offer]) -> Finding:
    errors = [
        f"{offer.host}: {offer.error}" for offer in offers if offer.minor == minor and offer.error
    ]
    return blocking(
        "packages-missing",
        f"the package source of {minor} offers no version of kubeadm, kubelet and kubectl"
        + (f" ({'; '.join(errors)})" if errors else ""),
        "Check packages.repository in the inventory, and that the minor release exists.",
    )
