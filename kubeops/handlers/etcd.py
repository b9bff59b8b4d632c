"""etcd membership: a member leaves through a healthy peer, and never takes quorum with it.

Removal follows etcd's own rule: of the n-1 members that remain, a majority must be healthy
(kubeadm#1211, kubespray#6444: dead members left behind lose quorum at the next failure).
"""

from dataclasses import replace

from kubeops.engine.context import DONE, NEEDED, Check, Handler, State, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import StepError
from kubeops.handlers.observe import api_trouble, cluster_facts, etcd_facts
from kubeops.handlers.tools import shell
from kubeops.model.observed import EtcdFacts, EtcdMember
from kubeops.plan.actions import RemoveEtcdMember

SETTLE_TIMEOUT = 60

_ETCDCTL = """
manifest=/etc/kubernetes/manifests/etcd.yaml
flag() { sed -n "s/^ *- --$1=//p" "$manifest" | head -n 1; }
endpoint=$(flag listen-client-urls | tr , '\\n' | grep 127.0.0.1 || flag advertise-client-urls)
set -- etcdctl --endpoints "$endpoint" --cacert "$(flag trusted-ca-file)" \
  --cert "$(flag cert-file)" --key "$(flag key-file)" --command-timeout=10s "$@"
if command -v etcdctl >/dev/null; then exec "$@"; fi
exec crictl exec "$(crictl ps --quiet --name '^etcd$' | head -n 1)" "$@"
"""


def etcdctl(context: StepContext, *arguments: str, via: str) -> str:
    """Run etcdctl on control plane `via` against its own member; return what it printed.

    Endpoint and certificates are those of the member's manifest; the program is the host's, or the
    one in etcd's own image.
    """
    runner = context.transport.runner(via)
    asked = shell(_ETCDCTL, *arguments, shows=("etcdctl", *arguments))
    return runner.run(asked).must().stdout


def quorum_trouble(etcd: EtcdFacts, leaving: EtcdMember) -> str:
    """Say why removing `leaving` would cost quorum; empty when it would not."""
    remaining = [
        member for member in etcd.members if member.id != leaving.id and not member.learner
    ]
    healthy = sum(member.healthy for member in remaining)
    needed = len(remaining) // 2 + 1
    if not remaining:
        return f"{leaving.name} is the only member"
    if healthy < needed:
        return f"{healthy} of the {len(remaining)} other members are healthy, {needed} must be"
    return ""


def remove_stale_member(context: StepContext, *, via: str, node: str) -> None:
    """Remove the etcd member of `node`, if there is one, and wait until the others serve again.

    Raises:
        StepError: removing it would cost quorum.
        GateError: the others do not serve the API within a minute.
    """
    etcd = etcd_facts(context, via=via)
    member = etcd.member_of(context.desired.host(node))
    if member is None:
        return
    trouble = "" if member.learner else quorum_trouble(etcd, member)
    if trouble:
        raise StepError(
            f"cannot remove {node}'s etcd member {member.id}: {trouble}",
            hint="See the members: invoke status. Bring an unhealthy member back first.",
        )
    context.progress(f"removing {node}'s etcd member {member.id}")
    etcdctl(context, "member", "remove", member.id, via=via)
    wait_until(_settled(replace(context, host=via)), clock=context.clock, progress=context.progress)


def _check(action: RemoveEtcdMember, context: StepContext) -> Check:
    facts = cluster_facts(context, via=context.host)
    if facts.etcd is None:
        return Check(State.UNKNOWN, f"etcd does not answer: {facts.etcd_error}")
    host = context.desired.host(action.node)
    return DONE if facts.etcd.member_of(host) is None else NEEDED


def _remove(action: RemoveEtcdMember, context: StepContext) -> None:
    remove_stale_member(context, via=context.host, node=action.node)


def _settled(context: StepContext) -> Gate:
    """Pass when the others serve the API again: the leader that leaves takes requests with it."""

    def look() -> Reading:
        trouble = api_trouble(context)
        if trouble:
            return Reading(ok=False, text=trouble)
        members = etcd_facts(context, via=context.host).members
        leads = any(member.leader and member.healthy for member in members)
        return Reading(ok=leads, text="etcd has a leader" if leads else "etcd has no leader")

    return Gate(name="etcd without the member", look=look, timeout=SETTLE_TIMEOUT)


def _removed(_action: RemoveEtcdMember, context: StepContext) -> Gate:
    return _settled(context)


REMOVE_ETCD_MEMBER = Handler(check=_check, apply=_remove, gate=_removed)
