"""The vocabulary of a restore and of its undo; part of `kubeops.plan.actions.Action`.

`attempt` is the id of `model.restoring.Mark`. Actions that a restore and its undo share say which
of the two by the `phase` a control plane is in once they are done. Those of a restore onto fresh
hosts come last.
"""

from dataclasses import dataclass

from kubeops.model.restoring import Phase


@dataclass(frozen=True, kw_only=True)
class FetchBundle:
    """Bring a bundle's snapshot from the store to this machine, decrypted and verified, 0600.

    With `pki` its PKI and configuration, too.
    """

    bundle: str
    proven: bool
    pki: bool = False


@dataclass(frozen=True, kw_only=True)
class StageSnapshot:
    """Bring the fetched snapshot to a control plane and verify it there; touches nothing else.

    Attributes:
        attempt: the attempt; its mark is made by this action.
        bundle: the bundle's name.
        sha256: of the snapshot.
        revision: the snapshot's, as etcdutl must count it again.
        begins: the revision that the restored etcd begins with.
        data: etcd's data directory on the host.
        fresh: whether the host was no control plane before; its mark says so.
    """

    attempt: str
    bundle: str
    sha256: str
    revision: int
    begins: int
    data: str
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class RestoreData:
    """Make a member's data directory of the staged snapshot, beside the present one.

    Attributes:
        attempt: the attempt.
        sha256: of the snapshot: verified once more right before it is used.
        member: the member's own name.
        peers: the member's own peer URLs, comma separated.
        members: all members, as `--initial-cluster` wants them; equal on all control planes.
        token: the new cluster's token; equal on all control planes.
        bump: what is added to the snapshot's revision.
    """

    attempt: str
    sha256: str
    member: str
    peers: str
    members: str
    token: str
    bump: int


@dataclass(frozen=True, kw_only=True)
class ForgetBundle:
    """Remove the decrypted snapshot, and the PKI, from this machine."""

    bundle: str


@dataclass(frozen=True, kw_only=True)
class KeepPresent:
    """Save a last snapshot of the present state, kept on the host and not proven.

    Unless it is `required`, a member that does not answer is no failure: its data directory is
    kept in any case.
    """

    attempt: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class StopControlPlane:
    """Move the four static pod manifests out, and wait until their containers are gone."""

    attempt: str
    phase: Phase


@dataclass(frozen=True, kw_only=True)
class SwapData:
    """Put the restored data directory in the place of the present one, which is kept, dated."""

    attempt: str


@dataclass(frozen=True, kw_only=True)
class SwapDataBack:
    """Put the data directory of before the restore back; that of the restore is kept, dated.

    Where nothing was swapped, nothing is.
    """

    attempt: str


@dataclass(frozen=True, kw_only=True)
class StartStaticPods:
    """Put manifests back, then wait for their containers; an API server must be ready, too.

    etcd's container is waited for, not its members: they wait for each other.
    """

    attempt: str
    phase: Phase
    pods: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AwaitMembers:
    """Change nothing; wait until etcd is whole.

    The members `control_planes` are healthy voters, without alarms. With a `revision` they are the
    only members, have reached it, and have the same content (hashKV); without one (0: an undo) etcd
    is what it was before.
    """

    control_planes: tuple[str, ...]
    revision: int


@dataclass(frozen=True, kw_only=True)
class ResyncNode:
    """See to it that a kubelet goes on with the cluster as it is now.

    A kubelet that renews its lease is left alone; one that does not within a deadline is restarted.
    `always` restarts it at once: after an undo the revision is lower than what kubelets have seen.
    The API is asked on the control plane `via`.
    """

    node: str
    via: str
    always: bool


@dataclass(frozen=True, kw_only=True)
class AwaitRestored:
    """Change nothing; wait until the cluster is the one that was restored, and has converged.

    The kube-system namespace has `uid` (when it is known), those of `nodes` that are registered are
    Ready, and so is what runs in kube-system.
    """

    uid: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ForgetNodes:
    """Delete the Nodes of hosts that are no more, and what the API takes for their static pods."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CloseAttempt:
    """Note on a control plane that a restore (DONE) or its undo (UNDONE) is done.

    The staged copy of the snapshot, and a data directory that was never used, are removed. What was
    moved aside stays.
    """

    attempt: str
    phase: Phase


@dataclass(frozen=True, kw_only=True)
class StagePki:
    """Bring the fetched PKI and configuration to the host, beside the staged snapshot."""

    attempt: str
    bundle: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """Move what a killed run left of a control plane aside; what was staged is kept and used again.

    A kubeadm that is still at work is waited for. If it ends well, nothing is moved.
    """

    attempt: str


@dataclass(frozen=True, kw_only=True)
class PlaceRestored:
    """Put `files` of the staged archive and the restored data directory in their places.

    /var/lib/kubeops/unfinished says `restore` from before the first one until kubeadm begins.
    """

    attempt: str
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReviveCluster:
    """`kubeadm init` over restored data and PKI, with the settings the cluster had.

    Attributes:
        attempt: the attempt.
        version: of Kubernetes: the bundle's.
        addons: whether kubeadm applies CoreDNS and kube-proxy anew; else they are as restored.
    """

    attempt: str
    version: str
    addons: bool


@dataclass(frozen=True, kw_only=True)
class ForgetTokens:
    """Delete every bootstrap token that came with the data, and kubeadm's copy of certificates."""

    attempt: str


RestoreAction = (
    FetchBundle
    | StageSnapshot
    | RestoreData
    | ForgetBundle
    | KeepPresent
    | StopControlPlane
    | SwapData
    | SwapDataBack
    | StartStaticPods
    | AwaitMembers
    | ResyncNode
    | AwaitRestored
    | ForgetNodes
    | CloseAttempt
    | StagePki
    | SetAside
    | PlaceRestored
    | ReviveCluster
    | ForgetTokens
)
