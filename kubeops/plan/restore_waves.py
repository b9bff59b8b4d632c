"""What the plans of a restore are built of, onto whatever hosts: waves, steps and their gates."""

from collections.abc import Sequence

from kubeops.model.bundle import Bundle
from kubeops.model.restoring import Phase
from kubeops.plan.actions import WORKSTATION, Action
from kubeops.plan.model import Lane, Step, Wave
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    ForgetBundle,
    ForgetNodes,
    RestoreData,
    ResyncNode,
    ReviveCluster,
    StageSnapshot,
    StartStaticPods,
    StopControlPlane,
)
from kubeops.plan.restore_targets import Attempt, Target

HOSTS_AT_ONCE = 32


def stage_snapshot(
    attempt: Attempt, target: Target, bundle: Bundle, *, fresh: bool = False
) -> tuple[str, Action]:
    """Title and action that bring the snapshot to a control plane."""
    return "copy the snapshot and verify it", StageSnapshot(
        attempt=attempt.id,
        bundle=bundle.name,
        sha256=bundle.snapshot.plain_sha256,
        revision=bundle.revision,
        begins=attempt.begins,
        data=target.data,
        fresh=fresh,
    )


def restore_data(attempt: Attempt, target: Target, bundle: Bundle) -> tuple[str, Action]:
    """Title and action that make a member's data directory of the staged snapshot."""
    return f"restore into a new directory beside {target.data}", RestoreData(
        attempt=attempt.id,
        sha256=bundle.snapshot.plain_sha256,
        member=target.member,
        peers=target.peers,
        members=attempt.members,
        token=attempt.token,
        bump=attempt.begins - bundle.revision,
    )


def wide(name: str, title: str, lanes: Sequence[Lane]) -> Wave:
    """A wave whose lanes all run, whatever becomes of the others."""
    return Wave(
        name=name,
        title=title,
        lanes=tuple(lanes),
        at_once=max(1, min(len(lanes), HOSTS_AT_ONCE)),
        failure_budget=max(1, len(lanes)),
    )


def single(name: str, title: str, host: str, text: str, action: Action) -> Wave:
    """A wave of one step."""
    return wide(name, title, (Lane(name=host, steps=(step(name, host, "", text, action),)),))


def step(wave: str, host: str, name: str, title: str, action: Action) -> Step:
    """A step `/WAVE/HOST[/NAME]`, with what is waited for after its action."""
    path = "/".join(part for part in (wave, host, name) if part)
    return Step(id=f"/{path}", host=host, title=title, action=action, gate=_gate(action))


def _gate(action: Action) -> str:  # noqa: PLR0911 - one per kind of wait
    """Say what is waited for when `action` is done."""
    match action:
        case StopControlPlane():
            return "containers are gone"
        case AwaitMembers():
            return "all healthy, hashKV equal" if action.revision else "all healthy"
        case StartStaticPods(phase=Phase.API):
            return "/readyz"
        case StartStaticPods(phase=Phase.CONTROLLERS):
            return "containers run"
        case ResyncNode():
            return "lease is renewed"
        case AwaitRestored():
            return "UID, nodes Ready" if action.nodes else "UID"
        case ReviveCluster():
            return "API and etcd ready"
        case _:
            return ""


def forget_bundle(name: str) -> Wave:
    """Leave no decrypted copy of a bundle here; always planned: a killed run may have left one."""
    forget = ForgetBundle(bundle=name)
    return single("forget", "leave no copy here", WORKSTATION, "remove the local copy", forget)


def forget_nodes(via: str, names: Sequence[str]) -> Wave | None:
    """Delete the Nodes called `names`, asked of the control plane `via`; None for no names."""
    if not names:
        return None
    text = f"delete node{'s' if len(names) > 1 else ''} {', '.join(names)}"
    action = ForgetNodes(nodes=tuple(names))
    return single("lost", "forget the lost hosts", via, text, action)


def present(*waves: Wave | None) -> tuple[Wave, ...]:
    """Those of `waves` in which there is something to do."""
    return tuple(wave for wave in waves if wave is not None and wave.lanes)


def progress(attempt: Attempt) -> tuple[str, ...]:
    """How far an attempt is that was begun already, a line per control plane."""
    return tuple(
        f"{target.name}: {target.mark.phase} (attempt {attempt.id})"
        for target in attempt.targets
        if target.mark is not None
    )
