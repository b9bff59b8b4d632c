"""Observes what only an upgrade asks: one script on every host, one on a control plane, together.

What is asked: which releases the package source of each minor offers, as each host sees it; which
pods a drain could not evict now; which deprecated APIs are still requested; and which files of
kubeadm were edited by hand, which an upgrade would undo.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from kubeops.errors import CommandError, TransportError, UnknownOutcomeError
from kubeops.facts import parse_upgrade
from kubeops.facts.probe import script, split
from kubeops.facts.reader import Reader
from kubeops.model.desired import Cluster
from kubeops.model.observed import (
    ClusterFacts,
    HostFacts,
)
from kubeops.model.upgrading import BlockedPod, DeprecatedApi, Drainability, Offer, UpgradeFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.transport.base import Command, Transport
from kubeops.transport.pool import each

AT_ONCE = 32
HOST_TIMEOUT = 60.0
CLUSTER_TIMEOUT = 180.0
_KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"


def gather_upgrade(
    desired: Cluster,
    facts: ClusterFacts,
    transport: Transport,
    *,
    minors: Sequence[Minor],
    at_once: int = AT_ONCE,
) -> tuple[ClusterFacts, UpgradeFacts]:
    """Ask every host that was read, and the control plane that answered for the API.

    Args:
        desired: the inventory.
        facts: what was observed a moment ago.
        transport: the way to the hosts.
        minors: whose package sources are asked.
        at_once: how many hosts are asked at the same time.

    Returns:
        `facts` with `drifted` of every host, and what else was asked. What could not be found out
        is an `error` of its part.

    Raises:
        FactsError: an answer cannot be understood.
    """
    asked = facts.api.asked if facts.api is not None else ""
    questions: list[Callable[[], Reader | str]] = [
        partial(_ask_host, host, desired, transport, minors) for host in facts.hosts.values()
    ]
    if asked:
        questions.append(partial(_ask_cluster, asked, desired, transport))
    answers = [outcome.value for outcome in each(questions, lambda it: it(), at_once=at_once)]
    cluster = _Cluster.of(answers.pop(), asked) if asked else _Cluster(error=facts.api_error)
    hosts = dict(zip(facts.hosts, answers, strict=True))
    seen = {
        name: replace(facts.hosts[name], drifted=_drifted(answer, cluster.kubelet_config))
        for name, answer in hosts.items()
    }
    nodes = tuple(node.name for node in facts.api.nodes) if facts.api is not None else ()
    return replace(facts, hosts=seen), UpgradeFacts(
        offers=tuple(
            _offer(name, minor, answer) for name, answer in hosts.items() for minor in minors
        ),
        drainability=tuple(cluster.drainability(node) for node in nodes),
        deprecated=cluster.deprecated,
    )


def _ask_host(
    facts: HostFacts, desired: Cluster, transport: Transport, minors: Sequence[Minor]
) -> Reader | str:
    sources = (
        f"source:{minor}={desired.package_repository.format(minor=minor)}" for minor in minors
    )
    return _ask(
        facts.host,
        transport,
        Command(
            argv=("sh", "-s", "--", *sources, *_comparable(facts)),
            stdin=script("upgrade_host.sh"),
            timeout=HOST_TIMEOUT,
        ),
    )


def _comparable(facts: HostFacts) -> tuple[str, ...]:
    """Ask kubeadm about the manifests, unless it is of another minor release than they are.

    It would then write what belongs to its own release, and all of that would look like drift.
    """
    pod = facts.static_pods.get("kube-apiserver")
    if pod is None or facts.kubeadm is None:
        return ()
    try:
        runs = KubeVersion.parse(pod.image.rpartition(":")[2])
    except ValueError:
        return ()
    return (f"manifests:{runs.tag}",) if runs.minor == facts.kubeadm.minor else ()


def _ask_cluster(name: str, desired: Cluster, transport: Transport) -> Reader | str:
    servers = (
        f"{host.name}=https://{f'[{host.address}]' if ':' in host.address else host.address}:6443"
        for host in desired.control_planes
    )
    return _ask(
        name,
        transport,
        Command(
            argv=("sh", "-s", "--", parse_upgrade.POD_TABLE, *servers),
            stdin=script("upgrade_cluster.sh"),
            timeout=CLUSTER_TIMEOUT,
        ),
    )


def _ask(name: str, transport: Transport, command: Command) -> Reader | str:
    """Return the sections of a host's answer, or why there is none."""
    try:
        result = transport.runner(name).run(command).must()
    except (TransportError, UnknownOutcomeError, CommandError) as error:
        return error.message
    return Reader(host=name, sections=split(result.stdout, host=name))


def _offer(name: str, minor: Minor, answer: Reader | str) -> Offer:
    if isinstance(answer, str):
        return Offer(host=name, minor=minor, error=answer)
    section = f"offers {minor}"
    if not answer.ok(section):
        words = answer.text(f"{section}.err").strip() or "its index could not be read"
        return Offer(host=name, minor=minor, error=words)
    versions = answer.need(section, parse_upgrade.parse_offers)
    return Offer(host=name, minor=minor, versions=versions)


def _drifted(answer: Reader | str, kept: str) -> tuple[str, ...]:
    if isinstance(answer, str):
        return ()
    manifests = answer.maybe("manifests", parse_upgrade.parse_drifted_manifests, ())
    if not kept:
        return manifests
    differ = partial(parse_upgrade.drifted_settings, kept=kept)
    settings = answer.maybe("kubelet-config", differ, ())
    return (*manifests, *([f"{_KUBELET_CONFIG}: {'; '.join(settings)}"] if settings else []))


@dataclass(frozen=True, kw_only=True)
class _Cluster:
    """What the API said; `error` says why nothing can be said of pods."""

    error: str = ""
    kubelet_config: str = ""
    pods: tuple[parse_upgrade.Pod, ...] = ()
    budgets: tuple[parse_upgrade.Budget, ...] = ()
    refused: Mapping[str, str] | None = None
    deprecated: tuple[DeprecatedApi, ...] = ()

    @classmethod
    def of(cls, answer: Reader | str, asked: str) -> "_Cluster":
        if isinstance(answer, str):
            return cls(error=answer)
        told: dict[DeprecatedApi, None] = {}
        for name in answer.sections:
            if name.startswith("deprecated ") and answer.ok(name):
                told |= dict.fromkeys(answer.parse(name, parse_upgrade.parse_deprecated))
        silent = next((one for one in ("pods", "budgets") if not answer.ok(one)), "")
        common = cls(kubelet_config=answer.maybe("kubelet-config", str, ""), deprecated=tuple(told))
        if silent:
            words = answer.text(silent).strip().rpartition("\n")[2]
            return replace(common, error=f"{asked}: {words}")
        return replace(
            common,
            pods=answer.parse("pods", parse_upgrade.parse_pods),
            budgets=answer.parse("budgets", parse_upgrade.parse_budgets),
            refused=answer.need("evictions", parse_upgrade.parse_evictions),
        )

    def drainability(self, node: str) -> Drainability:
        if self.refused is None:
            return Drainability(node=node, error=self.error)
        going = [pod for pod in self.pods if pod.node == node and pod.movable and not pod.leaving]
        return Drainability(
            node=node,
            blocked=tuple(
                BlockedPod(
                    pod=pod.full_name,
                    budgets=tuple(one.name for one in self.budgets if one.covers(pod)),
                    message=self.refused[pod.full_name],
                )
                for pod in going
                if pod.full_name in self.refused
            ),
            bare=tuple(pod.full_name for pod in going if not pod.controller),
            empty_dir=tuple(pod.full_name for pod in going if pod.empty_dir),
        )
