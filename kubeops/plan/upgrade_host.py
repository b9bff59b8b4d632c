"""The steps that take one host to the version of a hop.

The order (kubernetes.io, "Upgrading kubeadm clusters"): kubeadm's package, kubeadm's upgrade,
drain, kubelet, uncordon. What is at the version already gets no step.
"""

from collections.abc import Iterator

from kubeops.model.desired import Host
from kubeops.plan.actions import (
    Action,
    AwaitNode,
    CheckUpgrade,
    CordonNode,
    DrainNode,
    UncordonNode,
    UpgradeApply,
    UpgradeKubeadm,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.model import Lane, Step
from kubeops.plan.standing import Cordon, Standing
from kubeops.plan.upgrade_hop import Hop

AT_ONCE_DRAIN = "force"


def host_lane(hop: Hop, one: Standing, *, apply: bool) -> Lane:
    """What takes `one` to the version; `apply`: on this host `kubeadm upgrade apply` runs."""
    steps = (*_kubeadm_steps(hop, one, apply=apply), *_kubelet_steps(hop, one))
    return Lane(name=one.host.name, steps=steps)


def _kubeadm_steps(hop: Hop, one: Standing, *, apply: bool) -> Iterator[Step]:
    """The package of kubeadm, and its part of the upgrade."""
    tag, version = hop.version.tag, str(hop.version)
    if one.wants_kubeadm(hop.version, apply=apply):
        yield step_on(
            hop,
            one,
            "kubeadm",
            f"install kubeadm {version}",
            action=UpgradeKubeadm(version=version),
        )
    if apply:
        yield step_on(
            hop,
            one,
            "plan",
            f"kubeadm upgrade plan {tag}",
            action=CheckUpgrade(version=version),
        )
        yield step_on(
            hop,
            one,
            "apply",
            f"kubeadm upgrade apply {tag}",
            action=UpgradeApply(version=version),
            gate=f"API ready, etcd has quorum, static pods at {tag}",
        )
    elif one.wants_node(hop.version):
        yield step_on(
            hop,
            one,
            "node",
            "kubeadm upgrade node",
            action=UpgradeNode(version=version),
            gate=f"API ready, etcd has quorum, static pods at {tag}"
            if one.host.is_control_plane
            else "",
        )


def _kubelet_steps(hop: Hop, one: Standing) -> Iterator[Step]:
    """Drain, kubelet, uncordon; or what is left of them."""
    name, version = one.host.name, str(hop.version)
    drained = name not in hop.settings.undrainable
    ours = one.cordon is Cordon.OURS
    if not one.has_kubelet(hop.version):
        if drained and one.cordon is Cordon.NONE:
            yield step_on(hop, one, "cordon", f"cordon {name}", action=CordonNode(node=name))
            ours = True
        if drained:
            yield step_on(hop, one, "drain", f"drain {name}", action=drain_of(hop, one.host))
        yield step_on(
            hop,
            one,
            "kubelet",
            f"install kubelet and kubectl {version}, restart the kubelet",
            action=UpgradeKubelet(node=name, version=version),
        )
    elif not ours:
        return
    yield step_on(
        hop,
        one,
        "await",
        f"wait for {name}",
        action=AwaitNode(node=name, version=version),
        gate=f"Ready at v{version}, system pods ready",
    )
    if ours:
        yield step_on(hop, one, "uncordon", f"uncordon {name}", action=UncordonNode(node=name))


def drain_of(hop: Hop, host: Host) -> DrainNode:
    """How this upgrade drains the node of `host`."""
    settings = hop.settings
    policy = settings.desired.upgrade.drain
    deleted = settings.all_at_once and not host.is_control_plane
    return DrainNode(
        node=host.name,
        timeout=policy.timeout,
        grace=policy.grace,
        pdb=AT_ONCE_DRAIN if deleted else policy.pdb,
        bare_pods=settings.bare_pods,
    )


def step_on(
    hop: Hop, one: Standing, name: str, title: str, *, action: Action, gate: str = ""
) -> Step:
    """A step of this hop about `one`; those on its Node go where kubectl is an administrator."""
    plane = one.host.is_control_plane
    remote = isinstance(action, CordonNode | DrainNode | AwaitNode | UncordonNode) and not plane
    return Step(
        id=hop.id("control-planes" if plane else "workers", one.host.name, name),
        host=hop.via if remote else one.host.name,
        title=title,
        action=action,
        gate=gate,
    )
