"""The vocabulary of a restore and of its undo; part of `kubeops.plan.actions.Action`.

`attempt` is the id of `model.restoring.Mark`. Actions that a restore and its undo share say which
of the two by the `phase` a control plane is in once they are done.
"""

from dataclasses import dataclass

from kubeops.model.restoring import Phase


@dataclass(frozen=True, kw_only=True)
class FetchBundle:
    """Bring a bundle's snapshot from the store to this machine, decrypted and verified, 0600."""

    bundle: str
    proven: bool


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
    """

    attempt: str
    bundle: str
    sha256: str
    revision: int
    begins: int
    data: str


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
    """Remove the decrypted snapshot from this machine."""

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
class CloseAttempt:
    """Note on a control plane that a restore (DONE) or its undo (UNDONE) is done.

    The staged copy of the snapshot, and a data directory that was never used, are removed. What was
    moved aside stays.
    """

    attempt: str
    phase: Phase


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
    | CloseAttempt
)
