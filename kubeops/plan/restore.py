"""Plans a restore onto the hosts of the cluster, one control plane or several; and its undo.

Before anything is touched:

1. The snapshot is fetched from the store, decrypted and compared with its manifest.
2. It is brought to every control plane and verified there: SHA-256, what etcdutl says of it.
3. Every control plane makes its new data directory of it, beside the present one. etcdutl
   compares the SHA-256 inside the snapshot once more. All members get the same new token, the
   same membership (the control planes' own names and URLs, never a manifest's `--initial-cluster`),
   and a revision higher than any that was ever seen, everything before marked as compacted.
4. A member that answers saves a last snapshot of the present state.

Then, each on all control planes before the next begins:

5. The four static pod manifests are moved out; their containers are waited for.
6. The data directories change places; the old one is kept as `DIRECTORY.before-restore-TIME`.
7. etcd's manifests go back, at the same time: alone a member would wait for the others for ever.
   All members are healthy, are the control planes, have no alarm, the same hashKV, the revision.
8. API servers, until each is ready; then controller managers and schedulers. Nodes of control
   planes that are no longer in the inventory are deleted.
9. Kubelets that do not renew their lease within a deadline are restarted, no others.
10. The identity of the cluster and its convergence are verified, and the attempt is closed.

Every control plane keeps a mark of how far it is (`model.restoring`), written before anything is
touched. A run that was killed is continued from these by the same command, or undone:

U1. All control planes are stopped, as in 5.
U2. The data directories change places back; the one of the restore is kept as
    `DIRECTORY.undone-restore-TIME`.
U3. All four manifests go back: what was broken before the restore must come back as it was, too.
    Then as 9 and 10; the revision is lower than what kubelets have seen, so all are restarted.

An undo of what has touched nothing only removes what was prepared.
"""

from collections.abc import Callable
from dataclasses import replace

from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.model.restoring import Phase, RestoreFacts
from kubeops.plan.actions import WORKSTATION, Action
from kubeops.plan.model import Lane, Plan, Wave
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    CloseAttempt,
    FetchBundle,
    KeepPresent,
    ResyncNode,
    StartStaticPods,
    StopControlPlane,
    SwapData,
    SwapDataBack,
)
from kubeops.plan.restore_checks import check_restore, check_undo
from kubeops.plan.restore_targets import (
    Attempt,
    Target,
    control_planes_of,
    restoring,
    undoing,
)
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

CONTROLLERS = ("kube-controller-manager", "kube-scheduler")


def plan_restore(
    desired: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    *,
    bundle: Bundle,
    authority: str,
    accepted: tuple[str, ...] = (),
) -> Plan:
    """Return the plan that makes the cluster what it was when `bundle` was taken.

    Args:
        desired: the inventory.
        facts: what was observed.
        more: what only a restore asks.
        bundle: what is restored; it need not be proven.
        authority: SHA-256 of the bundle's ca.crt; empty when it holds none.
        accepted: checks whose acceptable findings the operator accepts.
    """
    attempt = restoring(desired, facts, more, bundle)
    return Plan(
        kind="restore",
        cluster=desired.name,
        summary=f"{bundle.name}, revision {bundle.revision}, of {bundle.taken:%Y-%m-%d %H:%M} UTC",
        waves=present(
            *_prepare(attempt, bundle),
            _keep(attempt, facts, more),
            *_exchange(attempt, undo=False),
            *_start(attempt),
            _forget(attempt, desired, bundle),
            *_verify(attempt, desired, facts, uid=bundle.kube_system_uid, undo=False),
        ),
        findings=check_restore(desired, facts, more, attempt, bundle=bundle, authority=authority),
        accepted=accepted,
        done=progress(attempt),
        rehearsal=facts.rehearsal,
    )


def plan_undo(
    desired: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    *,
    accepted: tuple[str, ...] = (),
) -> Plan:
    """Return the plan that puts back what was there before the newest attempt to restore."""
    newest = undoing(desired, facts, more)
    attempt = newest.marked
    forget = forget_bundle(attempt.marks[0].bundle) if attempt.marks else None
    if attempt.touched:
        waves = present(
            forget,
            *_exchange(attempt, undo=True),
            *_start_old(attempt),
            *_verify(attempt, desired, facts, uid="", undo=True),
        )
    else:
        waves = present(forget, _close(attempt, Phase.UNDONE, "remove what was prepared"))
    return Plan(
        kind="undo-restore",
        cluster=desired.name,
        summary=f"what was there before restore {attempt.id}" if attempt.id else "nothing",
        waves=waves,
        findings=check_undo(desired, facts, more, newest),
        accepted=accepted,
        done=progress(attempt),
        rehearsal=facts.rehearsal,
    )


Make = Callable[[Target], tuple[str, Action]]


def _prepare(attempt: Attempt, bundle: Bundle) -> tuple[Wave, ...]:
    """Fetch, stage and restore beside, where that is not done yet."""
    behind = [target for target in attempt.targets if not target.is_beyond(Phase.STAGED)]
    pending = [target for target in attempt.targets if not target.is_beyond(Phase.RESTORED)]
    lanes = tuple(
        Lane(
            name=target.name,
            steps=(
                *(
                    (
                        step(
                            "prepare",
                            target.name,
                            "stage",
                            *stage_snapshot(attempt, target, bundle),
                        ),
                    )
                    if target in behind
                    else ()
                ),
                step("prepare", target.name, "data", *restore_data(attempt, target, bundle)),
            ),
        )
        for target in pending
    )
    prepared = wide("prepare", "verify the snapshot everywhere, restore it beside the data", lanes)
    if not behind:
        return (prepared, forget_bundle(bundle.name))
    fetch = FetchBundle(bundle=bundle.name, proven=bundle.proven)
    return (
        single("fetch", "fetch the backup", WORKSTATION, f"fetch {bundle.name}", fetch),
        prepared,
        forget_bundle(bundle.name),
    )


def _keep(attempt: Attempt, facts: ClusterFacts, more: RestoreFacts) -> Wave | None:
    """Save the present state on a member that answers; else on one that listens, if it can."""
    if attempt.touched:
        return None
    names = [target.name for target in attempt.targets]
    if facts.etcd is not None and facts.etcd.asked in names:
        host, required = facts.etcd.asked, True
    else:
        host, required = next((name for name in names if more.hosts[name].serving), ""), False
    if not host:
        return None
    keep = KeepPresent(attempt=attempt.id, required=required)
    return single("keep", "save the present state", host, "save a last snapshot, kept here", keep)


def _exchange(attempt: Attempt, *, undo: bool) -> tuple[Wave, ...]:
    """Stop everywhere, then have the data directories change places."""
    stopping = Phase.UNDO_STOPPING if undo else Phase.STOPPING

    def stop(_target: Target) -> tuple[str, Action]:
        action = StopControlPlane(attempt=attempt.id, phase=stopping)
        return "move the static pods out", action

    def swap(target: Target) -> tuple[str, Action]:
        if undo:
            return f"put the old data back into {target.data}", SwapDataBack(attempt=attempt.id)
        return f"put the restored data into {target.data}", SwapData(attempt=attempt.id)

    swapped = Phase.UNDO_SWAPPED if undo else Phase.SWAPPED
    return (
        _on_all(attempt, stopping, "stop", "stop the control plane everywhere", stop),
        _on_all(attempt, swapped, "swap", "exchange the data directories", swap),
    )


def _start(attempt: Attempt) -> tuple[Wave | None, ...]:
    """Start the restored etcd, all members at once; when it is whole, what depends on it."""
    members = _members(attempt, revision=attempt.begins)
    return (
        _put_back(attempt, Phase.ETCD, "etcd", "start etcd everywhere at once", "etcd"),
        members,
        _put_back(attempt, Phase.API, "api", "start the API servers", "kube-apiserver"),
        _put_back(attempt, Phase.CONTROLLERS, "controllers", "start the rest", *CONTROLLERS),
    )


def _forget(attempt: Attempt, desired: Cluster, bundle: Bundle) -> Wave | None:
    """Nodes of control planes that the inventory no longer has would never be Ready again."""
    gone = sorted(control_planes_of(bundle) - {host.name for host in desired.hosts})
    return forget_nodes(attempt.targets[0].name, gone) if attempt.targets else None


def _start_old(attempt: Attempt) -> tuple[Wave | None, ...]:
    """Start everything at once: what was broken before the restore must come back as well."""
    pods = ("etcd", "kube-apiserver", *CONTROLLERS)
    return (
        _put_back(attempt, Phase.UNDO_STARTED, "start", "start everything again", *pods),
        _members(attempt, revision=0),
    )


def _members(attempt: Attempt, *, revision: int) -> Wave | None:
    if not attempt.targets:
        return None
    members = AwaitMembers(
        control_planes=tuple(target.member for target in attempt.targets), revision=revision
    )
    first = attempt.targets[0].name
    return single("members", "etcd is whole", first, "ask all members", members)


def _verify(
    attempt: Attempt, desired: Cluster, facts: ClusterFacts, *, uid: str, undo: bool
) -> tuple[Wave | None, ...]:
    """Bring the kubelets along, verify, close the attempt."""
    if not attempt.targets:
        return ()
    # A host that waits to join, or was taken out, has no kubelet that could go on.
    joined = {name for name, found in facts.hosts.items() if found.kubelet_server is not None}
    nodes = tuple(host.name for host in desired.hosts if host.name in joined)
    first = attempt.targets[0].name
    title = "restart the kubelet" if undo else "see that the kubelet goes on"

    def resync(name: str) -> Action:
        return ResyncNode(node=name, via=first, always=undo)

    lanes = tuple(
        Lane(
            name=name,
            steps=(step("resync", name, "", title, resync(name)),),
        )
        for name in nodes
    )
    restored = AwaitRestored(uid=uid, nodes=nodes)
    return (
        wide("resync", "kubelets go on with the cluster as it is now", lanes),
        single("verify", "verify the cluster", first, "identity and convergence", restored),
        _close(attempt, Phase.UNDONE if undo else Phase.DONE, "note that it is done"),
    )


def _close(attempt: Attempt, phase: Phase, title: str) -> Wave:
    def close(_target: Target) -> tuple[str, Action]:
        return title, CloseAttempt(attempt=attempt.id, phase=phase)

    left = (one for one in attempt.targets if one.mark is None or one.mark.phase is not phase)
    return _on_all(replace(attempt, targets=tuple(left)), phase, "close", title, close)


def _put_back(attempt: Attempt, phase: Phase, name: str, title: str, *pods: str) -> Wave:
    def start(_target: Target) -> tuple[str, Action]:
        action = StartStaticPods(attempt=attempt.id, phase=phase, pods=pods)
        return f"put back the manifest of {', '.join(pods)}", action

    return _on_all(attempt, phase, name, title, start)


def _on_all(attempt: Attempt, phase: Phase, name: str, title: str, make: Make) -> Wave:
    """One step on every control plane that is not beyond `phase`, all at once."""
    lanes = tuple(
        Lane(name=target.name, steps=(step(name, target.name, "", *make(target)),))
        for target in attempt.targets
        if not target.is_beyond(phase)
    )
    return wide(name, title, lanes)
