"""What forbids a restore, or has to be known before one."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from kubeops.model.bundle import Bundle, Member
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, EtcdMember
from kubeops.model.restoring import Phase, RestoreFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Finding
from kubeops.plan.restore_targets import Attempt, Target, open_attempt

OLD = timedelta(days=7)
LOG = 192_000_000
"""Bytes that a data directory takes besides the database: etcd's log comes in pieces of 64 MB."""

COPIES = 3
"""The staged snapshot, the data directory made of it, the last snapshot of the present state."""

UNDO = "invoke restore --undo"


def check_restore(
    desired: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    attempt: Attempt,
    *,
    bundle: Bundle,
    authority: str,
) -> tuple[Finding, ...]:
    """Return what is to be known of restoring `bundle`; arguments as for `plan_restore`."""
    return (
        *_unfinished(more, attempt),
        *_again(more, bundle),
        *check_reachable(desired, facts, more),
        *_taking_part(desired, facts, attempt, bundle),
        *check_trust(bundle),
        *_identity(facts, attempt, bundle, authority),
        *_versions(facts, more, attempt, bundle),
        *_log_apart(facts, attempt),
        *check_space(more, attempt, bundle),
        *(() if attempt.touched else _loss(facts, bundle)),
    )


def check_undo(
    desired: Cluster, facts: ClusterFacts, more: RestoreFacts, attempt: Attempt
) -> tuple[Finding, ...]:
    """Return what is to be known of undoing `attempt`; arguments as for `plan_undo`."""
    found = [*check_reachable(desired, facts, more)]
    if not attempt.id:
        cure = "See what is there: invoke status"
        found.append(blocking("nothing-to-undo", "no control plane knows of a restore", cure))
    if not attempt.touched:
        return tuple(found)
    if any(mark.fresh for mark in attempt.marks):
        mark = attempt.marks[0]
        finish = f"Finish it: invoke restore --from {mark.bundle}"
        cure = finish if mark.phase.open else "Restore another backup"
        text = f"restore {attempt.id} was onto fresh hosts: nothing is there to go back to"
        found.append(blocking("fresh-restore", text, f"{cure}; or give it up: invoke reset"))
        return tuple(found)
    found += [
        blocking(
            "joined-since",
            f"it has no data of before restore {attempt.id}: it joined, or was reset, since then",
            f"invoke reset --limit {target.name}, then undo, then invoke install",
            host=target.name,
        )
        for target in attempt.targets
        if target.mark is None
    ]
    if all(phase is Phase.DONE for phase in attempt.phases):
        found.append(
            warning(
                "undo-loses",
                f"restore {attempt.id} was completed; what was changed since then will be gone",
                "It is kept on every control plane, as DIRECTORY.undone-restore-TIME.",
            )
        )
    return tuple(found)


def _unfinished(more: RestoreFacts, attempt: Attempt) -> Iterator[Finding]:
    """An attempt under way is finished or undone before another one begins."""
    other = open_attempt(more)
    if other and other != attempt.id:
        yield blocking(
            "unfinished-restore",
            f"restore {other} is under way",
            f"Finish it: invoke restore --from {other.partition('-')[2]}, or undo it: {UNDO}",
        )
    if any(phase.undoing for phase in attempt.phases):
        yield blocking("unfinished-undo", f"restore {attempt.id} is being undone", UNDO)


def _again(more: RestoreFacts, bundle: Bundle) -> Iterator[Finding]:
    """A run that was killed after its last step is typed again; it must not all happen again."""
    newest = more.newest
    marks = [more.mark(host, newest) for host in more.hosts]
    done = [mark for mark in marks if mark is not None and mark.phase is Phase.DONE]
    whole = len(done) == len(marks) or any(mark.fresh for mark in done)
    if newest.partition("-")[2] == bundle.name and whole:
        yield acceptable(
            "restored-already",
            f"{bundle.name} was restored already, by the restore begun at {done[0].began}; what "
            "was changed since then would be gone",
            "See whether the cluster is what you want: invoke status",
        )


def check_reachable(desired: Cluster, facts: ClusterFacts, more: RestoreFacts) -> Iterator[Finding]:
    """Yield which hosts do not answer; a control plane among them forbids every restore."""
    for host in desired.hosts:
        lost = facts.unreachable.get(host.name)
        if lost is None and not host.is_control_plane:
            continue
        if lost is None and host.name in more.hosts:
            continue
        reason = lost.reason if lost is not None else "it does not answer any more"
        if host.is_control_plane:
            yield blocking(
                "unreachable",
                f"{reason}; a control plane that goes on with the old data would split the cluster",
                "Mend it. If it is lost for good, make sure that it is off, take it out of the "
                "inventory, restore, and add its replacement with invoke install.",
                host=host.name,
            )
        else:
            cure = "When it is back: systemctl restart kubelet there, if its node is not Ready."
            yield warning("unreachable-worker", reason, cure, host=host.name)


def _taking_part(
    desired: Cluster, facts: ClusterFacts, attempt: Attempt, bundle: Bundle
) -> Iterator[Finding]:
    names = {target.name for target in attempt.targets}
    if not names:
        yield blocking(
            "no-etcd",
            "no control plane that was reached has an etcd to restore into",
            "Mend what does not answer. When all are lost, put fresh hosts into the inventory.",
        )
        return
    for host in desired.control_planes:
        if host.name in facts.hosts and host.name not in names:
            yield warning(
                "joins-later",
                "it has no etcd and takes no part",
                "When the restore is done: invoke install",
                host=host.name,
            )
    if facts.etcd is not None:
        yield from _dropped(desired, facts.etcd.members, attempt)
    else:
        yield from _dropped(desired, bundle.members, attempt)


def _dropped(
    desired: Cluster, members: Sequence[EtcdMember | Member], attempt: Attempt
) -> Iterator[Finding]:
    """Members that the restored etcd will not have; once something is touched that is decided.

    `members` are those there are; when nobody can tell, those there were at the bundle's time.
    """
    if attempt.touched:
        return
    names = {target.member for target in attempt.targets}
    names |= {host.name for host in desired.control_planes}
    urls = {url for target in attempt.targets for url in target.peers.split(",")}
    for member in members:
        # A member that has just been started has no name yet.
        if member.name not in names and urls.isdisjoint(member.peer_urls):
            yield acceptable(
                "member-dropped",
                f"etcd member {member.name or member.id} is no control plane of the inventory and "
                "will not be a member any more",
                "Make sure that it is off, or put it into the inventory.",
            )


def check_trust(bundle: Bundle) -> Iterator[Finding]:
    """Yield that the bundle is unproven, and why."""
    failed = bundle.proof.failed
    if not bundle.proven:
        why = f"{failed.name}: {failed.detail}" if failed is not None else "it was never restored"
        cure = "Use a proven one: invoke backup.list"
        yield acceptable("unproven-bundle", f"{bundle.name} is unproven: {why}", cure)


def _identity(
    facts: ClusterFacts, attempt: Attempt, bundle: Bundle, authority: str
) -> Iterator[Finding]:
    cure = "Make sure that --inventory and --from are what you mean: invoke backup.list"
    if facts.api is not None and bundle.kube_system_uid not in {"", facts.api.uid}:
        text = f"{bundle.name} is of cluster {bundle.kube_system_uid}, this is {facts.api.uid}"
        yield acceptable("other-cluster", text, cure)
        return
    for target in attempt.targets:
        found = facts.hosts[target.name].cluster_ca
        if authority and found and found != authority:
            text = f"its CA is not that of {bundle.name}: nobody's credentials would fit"
            yield acceptable("other-cluster", text, cure, host=target.name)


def _versions(
    facts: ClusterFacts, more: RestoreFacts, attempt: Attempt, bundle: Bundle
) -> Iterator[Finding]:
    then = KubeVersion.parse(bundle.kubernetes).minor
    now = _kubernetes(facts, attempt)
    if now is not None and now != then:
        yield acceptable(
            "other-version",
            f"{bundle.name} is of Kubernetes {then}, the control planes run {now}; what only one "
            "of them knows may be lost or left unread",
            "Use a backup of this release, or accept a difference of one minor release.",
        )
    wrote = KubeVersion.parse(bundle.etcd).minor
    for target in attempt.targets:
        if target.is_beyond(Phase.STAGED):
            continue
        yield from _tools(facts, more, target, wrote=wrote)


def _log_apart(facts: ClusterFacts, attempt: Attempt) -> Iterator[Finding]:
    for target in attempt.targets:
        pod = facts.hosts[target.name].static_pods.get("etcd")
        if pod is not None and "wal-dir" in pod.flags:
            text = f"etcd keeps its log apart, in {pod.flags['wal-dir']}: that is not supported"
            cure = "Move it into the data directory, and take --wal-dir out of the manifest."
            yield blocking("wal-dir", text, cure, host=target.name)


def _tools(
    facts: ClusterFacts, more: RestoreFacts, target: Target, *, wrote: Minor
) -> Iterator[Finding]:
    etcd = _etcd(facts, target)
    if etcd is not None and etcd < wrote:
        text = f"its etcd is {etcd}, the snapshot was written by {wrote}: it would not start"
        cure = "Upgrade the cluster first, or use an older backup."
        yield blocking("etcd-older", text, cure, host=target.name)
    etcdutl = more.hosts[target.name].etcdutl
    if not etcdutl:
        text = "etcdutl is neither on the PATH nor in an image of etcd there"
        yield blocking("etcdutl", text, "Install etcdutl there.", host=target.name)
    elif KubeVersion.parse(etcdutl).minor < wrote:
        text = f"its etcdutl is {etcdutl}, the snapshot was written by etcd {wrote}"
        yield blocking("etcdutl", text, f"Install etcdutl {wrote} there.", host=target.name)


def _kubernetes(facts: ClusterFacts, attempt: Attempt) -> Minor | None:
    """The minor release that the control planes run; the API server's, else the kubelets'."""
    if facts.api is not None:
        return facts.api.server.minor
    kubelets = (facts.hosts[target.name].kubelet for target in attempt.targets)
    return next((kubelet.minor for kubelet in kubelets if kubelet is not None), None)


def _etcd(facts: ClusterFacts, target: Target) -> Minor | None:
    """The minor release of a control plane's etcd, as its member says or its image is tagged."""
    for member in facts.etcd.members if facts.etcd is not None else ():
        if member.name == target.member and member.version:
            return KubeVersion.parse(member.version).minor
    pod = facts.hosts[target.name].static_pods.get("etcd")
    tag = pod.image.rpartition(":")[2] if pod is not None else ""
    try:
        return KubeVersion.parse(tag.partition("-")[0]).minor
    except ValueError:
        return None


def check_space(more: RestoreFacts, attempt: Attempt, bundle: Bundle) -> Iterator[Finding]:
    """Yield which control planes have no room for the snapshot and what is made of it."""
    for target in attempt.targets:
        if target.is_beyond(Phase.STAGED):
            continue
        host = more.hosts[target.name]
        needed = COPIES * max(bundle.snapshot.plain_size, host.database) + LOG
        for disk in dict.fromkeys((host.state, host.data)):
            if disk.free < needed:
                yield blocking(
                    "disk",
                    f"{disk.device} has room for {disk.free >> 20} MiB, {needed >> 20} MiB are "
                    f"needed: {COPIES} times the database, and its log",
                    f"Make room there; both /var/lib/kubeops and {target.data} need it.",
                    host=target.name,
                )


def check_age(facts: ClusterFacts, bundle: Bundle) -> Iterator[Finding]:
    """Yield that the bundle is old."""
    age = facts.at - bundle.taken
    if age > OLD:
        cure = "See whether there is a newer one: invoke backup.list"
        yield warning("old-bundle", f"{bundle.name} is {age.days} days old", cure)


def _loss(facts: ClusterFacts, bundle: Bundle) -> Iterator[Finding]:
    yield from check_age(facts, bundle)
    age = facts.at - bundle.taken
    present = max((m.revision for m in facts.etcd.members), default=0) if facts.etcd else 0
    hours = age.total_seconds() / 3600
    distance = f"{present - bundle.revision} revisions" if present > bundle.revision else "all"
    yield warning(
        "newer-objects",
        f"what was changed since the backup, {hours:.1f} hours ago ({distance}), will be gone",
        "A last snapshot and the data directories are kept on the control planes.",
    )
