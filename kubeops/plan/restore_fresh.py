"""Plans a restore onto fresh hosts, when all control planes are lost.

1. The hosts are prepared as by an install, for the bundle's Kubernetes version (plan/hosts.py).
2. Snapshot and PKI are fetched from the store and brought to the first control plane, verified
   there, and a data directory is made of the snapshot: one member, with that host's name and URL, a
   new token, a revision higher than any that was ever seen, everything before marked as compacted.
3. The CAs, the key of the service accounts and what else the old control plane's pods read go to
   their places, and so does the data directory.
4. `kubeadm init` over that: it keeps CAs that it finds, makes the host's own certificates and
   manifests, and starts. Its settings are those that the cluster had (ClusterConfiguration and
   KubeletConfiguration of the bundle), with the names and addresses of the inventory.
5. When etcd has the revision and the API the bundle's identity, what the data says of lost hosts is
   deleted: their Nodes, their static pods; and every bootstrap token.
6. The other control planes join one at a time, then the workers that are new, as by an install.
   Workers that are still there come back by themselves: CA and endpoint are what they know. Their
   kubelets are restarted when they do not renew their lease.
7. Network plugin, labels and taints, and the last gate are those of an install.

The first control plane keeps the same mark as in any restore, with a word that it was fresh. A run
that was killed is continued by the same command: what a killed kubeadm left is moved aside, and the
control plane is made again of what was staged. There is no undo: nothing is there to go back to.
"""

from collections.abc import Sequence
from dataclasses import replace

from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, Reach
from kubeops.model.pki import Pki
from kubeops.model.restoring import Phase, RestoreFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import WORKSTATION, JoinControlPlane
from kubeops.plan.install import Membership, plan_install
from kubeops.plan.model import Lane, Plan, Wave
from kubeops.plan.network import ManifestSource
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    CloseAttempt,
    FetchBundle,
    ForgetTokens,
    PlaceRestored,
    ResyncNode,
    ReviveCluster,
    SetAside,
    StagePki,
)
from kubeops.plan.restore_fresh_checks import check_fresh
from kubeops.plan.restore_targets import Attempt, Target, control_planes_of, reviving
from kubeops.plan.restore_waves import (
    forget_bundle,
    forget_nodes,
    present,
    progress,
    restore_data,
    single,
    stage_snapshot,
    step,
    wide,
)

KIND = "fresh-restore"


def plan_fresh_restore(
    desired: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    *,
    bundle: Bundle,
    pki: Pki,
    answer: str = "",
    reach: Sequence[Reach] = (),
    manifests: Sequence[ManifestSource] = (),
    accepted: tuple[str, ...] = (),
) -> Plan:
    """Return the plan that makes fresh hosts the cluster that `bundle` is of.

    Args:
        desired: the inventory.
        facts: what was observed, the package source included.
        more: what only a restore asks.
        bundle: what is restored; it need not be proven.
        pki: what the bundle holds besides the snapshot.
        answer: HTTP status with which the cluster's endpoint answers; empty when nobody does.
        reach: what hosts said when they knocked at each other's ports.
        manifests: the manifests of network plugin and addons, in the order they are applied.
        accepted: checks whose acceptable findings the operator accepts.
    """
    attempt = reviving(desired, facts, more, bundle)
    wanted = as_it_was(desired, attempt, bundle)
    install = plan_install(wanted, facts, manifests=manifests)
    waves = {wave.name: wave for wave in install.waves}
    joins = waves.get("control-planes")
    return Plan(
        kind=KIND,
        cluster=desired.name,
        summary=f"{bundle.name}, revision {bundle.revision}, of {bundle.taken:%Y-%m-%d %H:%M} UTC, "
        f"onto fresh hosts, v{bundle.kubernetes}",
        waves=present(
            waves.get("hosts"),
            *_revive(wanted, facts, attempt, bundle, pki),
            *_forget(wanted, facts, attempt, bundle),
            _with_files(joins, pki) if joins is not None else None,
            waves.get("workers"),
            _resync(wanted, facts, attempt),
            *(waves.get(name) for name in ("network", "nodes", "cluster")),
            *_close(attempt),
        ),
        findings=check_fresh(
            wanted,
            facts,
            more,
            attempt,
            bundle=bundle,
            pki=pki,
            answer=answer,
            reach=reach,
            asked_for=desired.kubernetes,
        ),
        accepted=accepted,
        done=(*progress(attempt), *install.done),
        rehearsal=facts.rehearsal,
    )


def as_it_was(desired: Cluster, attempt: Attempt, bundle: Bundle) -> Cluster:
    """The inventory with the bundle's version, and with the revived control plane as the first."""
    first = {target.name for target in attempt.targets}
    hosts = sorted(desired.hosts, key=lambda host: host.name not in first)
    return replace(desired, hosts=tuple(hosts), kubernetes=KubeVersion.parse(bundle.kubernetes))


def _revive(
    wanted: Cluster, facts: ClusterFacts, attempt: Attempt, bundle: Bundle, pki: Pki
) -> tuple[Wave, ...]:
    """Make the first control plane, where it is not one already; leave no key here in any case."""
    waves: list[Wave] = []
    for target in attempt.targets:
        bare = target.name not in Membership.of(wanted, facts).members
        if bare:
            waves += (*_aside(facts, attempt, target), *_prepare(attempt, target, bundle))
        waves.append(forget_bundle(bundle.name))
        if bare:
            waves += _init(wanted, attempt, target, bundle, pki)
    return tuple(waves)


def _aside(facts: ClusterFacts, attempt: Attempt, target: Target) -> tuple[Wave, ...]:
    begun = facts.hosts[target.name].unfinished is not None
    if not begun and not target.is_beyond(Phase.RESTORED):
        return ()
    text = "move what a killed run left aside"
    return (single("aside", text, target.name, text, SetAside(attempt=attempt.id)),)


def _prepare(attempt: Attempt, target: Target, bundle: Bundle) -> tuple[Wave, ...]:
    data = step("prepare", target.name, "data", *restore_data(attempt, target, bundle))
    title = "verify the snapshot, make a data directory of it"
    if target.is_beyond(Phase.STAGED):
        return (wide("prepare", title, (Lane(name=target.name, steps=(data,)),)),)
    fetch = FetchBundle(bundle=bundle.name, proven=bundle.proven, pki=True)
    staged = stage_snapshot(attempt, target, bundle, fresh=True)
    pki = StagePki(attempt=attempt.id, bundle=bundle.name, sha256=bundle.pki.plain_sha256)
    steps = (
        step("prepare", target.name, "pki", "copy PKI and configuration", pki),
        step("prepare", target.name, "stage", *staged),
        data,
    )
    return (
        single("fetch", "fetch the backup", WORKSTATION, f"fetch {bundle.name}", fetch),
        wide("prepare", title, (Lane(name=target.name, steps=steps),)),
    )


def _init(
    wanted: Cluster, attempt: Attempt, target: Target, bundle: Bundle, pki: Pki
) -> tuple[Wave, ...]:
    place = PlaceRestored(attempt=attempt.id, files=pki.files)
    revive = ReviveCluster(
        attempt=attempt.id,
        version=bundle.kubernetes,
        addons=pki.endpoint != wanted.endpoint,
    )
    title = f"kubeadm init {wanted.kubernetes.tag} over the restored data"
    text = f"put {len(pki.files)} files of PKI and configuration, and the data, in place"
    return (
        single("place", "put PKI and data in place", target.name, text, place),
        single("init", "bring the first control plane up", target.name, title, revive),
    )


def _forget(
    wanted: Cluster, facts: ClusterFacts, attempt: Attempt, bundle: Bundle
) -> tuple[Wave | None, ...]:
    """See that it is the cluster of the backup; then delete what it says of hosts that are lost."""
    left = [target for target in attempt.targets if not target.is_beyond(Phase.API)]
    return tuple(
        wave
        for target in left
        for wave in (
            single(
                "members",
                "etcd is whole",
                target.name,
                "ask etcd",
                AwaitMembers(control_planes=(target.member,), revision=attempt.begins),
            ),
            single(
                "identity",
                "it is the cluster of the backup",
                target.name,
                "ask the API",
                AwaitRestored(uid=bundle.kube_system_uid, nodes=()),
            ),
            forget_nodes(target.name, lost(wanted, facts, target, bundle)),
            single(
                "tokens",
                "forget old tokens",
                target.name,
                "delete the bootstrap tokens in the data",
                ForgetTokens(attempt=attempt.id),
            ),
        )
    )


def lost(wanted: Cluster, facts: ClusterFacts, target: Target, bundle: Bundle) -> tuple[str, ...]:
    """Names of nodes that the restored data knows and that are gone, or are about to join anew."""
    members = Membership.of(wanted, facts).members
    names = control_planes_of(bundle)
    names |= {host.name for host in wanted.hosts if host.name in facts.hosts}
    return tuple(sorted(names - members - {target.name}))


def _with_files(joins: Wave, pki: Pki) -> Wave:
    """Have the files that pods of a control plane read on each before it joins."""
    lanes = (
        replace(
            lane,
            steps=tuple(
                replace(one, action=replace(one.action, files=pki.beside))
                if isinstance(one.action, JoinControlPlane)
                else one
                for one in lane.steps
            ),
        )
        for lane in joins.lanes
    )
    return replace(joins, lanes=tuple(lanes))


def _resync(wanted: Cluster, facts: ClusterFacts, attempt: Attempt) -> Wave | None:
    """Workers that were there all the time: a kubelet that goes on by itself is left alone."""
    members = Membership.of(wanted, facts).members
    lanes = tuple(
        Lane(
            name=host.name,
            steps=(
                step(
                    *("resync", host.name, "", "see that the kubelet goes on"),
                    ResyncNode(node=host.name, via=attempt.targets[0].name, always=False),
                ),
            ),
        )
        for host in wanted.workers
        if host.name in members and attempt.targets
    )
    return wide("resync", "workers come back by themselves", lanes)


def _close(attempt: Attempt) -> tuple[Wave, ...]:
    close = CloseAttempt(attempt=attempt.id, phase=Phase.DONE)
    return tuple(
        single("close", "note that it is done", target.name, "note that it is done", close)
        for target in attempt.targets
    )
