"""What handlers ask of machines at a step's turn: the same facts the planner decides on."""

from dataclasses import dataclass, replace

from kubeops.engine.context import NEEDED, Check, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import FactsError, StepError, TransportError
from kubeops.facts.gather import (
    gather_answers,
    gather_etcd,
    gather_from,
    gather_host,
    gather_objects,
)
from kubeops.facts.parse_kube import parse_nodes
from kubeops.handlers.tools import kubectl, shell
from kubeops.model.observed import (
    ApiObjects,
    ClusterFacts,
    EtcdFacts,
    HostFacts,
    NodeFacts,
    Unreachable,
)
from kubeops.transport.pool import both

IDLE_TIMEOUT = 900

_KUBEADM_STATE = """
for comm in /proc/[0-9]*/comm; do
  if read -r program 2>/dev/null <"$comm" && [ "$program" = kubeadm ] &&
    [ "${comm%comm}ns/pid" -ef /proc/self/ns/pid ]; then
    process=${comm%/comm}; echo "running=${process#/proc/}"; break
  fi
done
if [ -e /etc/kubernetes/kubelet.conf ]; then echo joined; fi
if [ -e /var/lib/kubeops/unfinished ]; then
  echo "unfinished=$(cat /var/lib/kubeops/unfinished)"
fi
"""


def host_facts(context: StepContext) -> HostFacts:
    """Read the step's host, now.

    Raises:
        TransportError: it was not reached.
        FactsError: it answered something that cannot be understood.
    """
    facts = gather_host(context.host, context.transport, now=context.clock.now)
    if isinstance(facts, Unreachable):
        raise TransportError(facts.reason, host=context.host, hint=facts.hint)
    return facts


@dataclass(frozen=True, kw_only=True)
class KubeadmState:
    """How far kubeadm is with a host.

    Attributes:
        pid: of the one at work right now; None when there is none.
        joined: the host has a kubelet.conf.
        unfinished: what kubeops began there and did not end; None when nothing.
    """

    pid: int | None
    joined: bool
    unfinished: str | None

    @property
    def is_node(self) -> bool:
        """Whether kubeadm has done its work on the host."""
        return self.joined and self.unfinished is None


def kubeadm_state(context: StepContext) -> KubeadmState:
    """Ask the step's host how far kubeadm is with it, now: one short question."""
    told = context.run(shell(_KUBEADM_STATE)).stdout
    words = dict(line.partition("=")[::2] for line in told.splitlines())
    return KubeadmState(
        pid=int(words["running"]) if "running" in words else None,
        joined="joined" in words,
        unfinished=words.get("unfinished"),
    )


def settled(context: StepContext) -> KubeadmState:
    """Return the state of the step's host once no kubeadm is at work there.

    One of a killed run is waited for.

    Raises:
        GateError: it is still at work after a quarter of an hour.
    """
    found = [kubeadm_state(context)]

    def look() -> Reading:
        found.append(kubeadm_state(context))
        pid = found[-1].pid
        return Reading(ok=pid is None, text=_at_work(context.host, pid) if pid else "it has ended")

    if found[-1].pid is not None:
        wait_until(
            Gate(
                name="the kubeadm of an earlier run", look=look, timeout=IDLE_TIMEOUT, successes=1
            ),
            clock=context.clock,
            progress=context.progress,
        )
    return found[-1]


def _at_work(host: str, pid: int) -> str:
    """Say that a kubeadm is at work, and how who has waited enough ends it."""
    return f"it is still at work on {host}; if it hangs, end it there: sudo kill {pid}"


def via_control_plane(context: StepContext) -> StepContext:
    """Return the same step as if its host were a control plane, for questions to the API."""
    planes = context.desired.control_planes
    if context.desired.host(context.host).is_control_plane:
        return context
    return replace(context, host=planes[0].name)


def cluster_facts(context: StepContext, *, via: str) -> ClusterFacts:
    """Read API and etcd, now, as the control plane `via` sees them; no host is read."""
    return gather_answers(via, context.transport, now=context.clock.now)


def working_objects(context: StepContext, *, via: str) -> tuple[ApiObjects | str, EtcdFacts | str]:
    """Read what tells whether the cluster works, now, as `via` sees it; a text says why not."""
    return gather_objects(via, context.transport)


def control_plane_facts(context: StepContext, *, via: str) -> ClusterFacts:
    """Read the control plane `via`, and API and etcd as it sees them, now."""
    return gather_from(via, context.transport, now=context.clock.now)


def nodes(context: StepContext, *, via: str) -> tuple[NodeFacts, ...]:
    """Read the Node objects, now, on the control plane `via`: one question, one answer.

    Raises:
        CommandError: the API does not answer; the error has kubectl's words.
        FactsError: the answer cannot be understood.
    """
    answer = context.transport.runner(via).run(
        kubectl("--request-timeout=10s", "get", "nodes", "-o", "json")
    )
    text = answer.must().stdout
    try:
        return parse_nodes(text)
    except (ValueError, LookupError, TypeError) as error:
        raise FactsError(host=via, section="nodes", reason=str(error)) from error


def etcd_facts(context: StepContext, *, via: str) -> EtcdFacts:
    """Read etcd's members, now, as `via` sees them.

    Raises:
        StepError: etcd does not answer there.
    """
    etcd = gather_etcd(via, context.transport)
    if isinstance(etcd, str):
        raise StepError(
            f"etcd does not answer on {via}: {etcd}",
            hint=f"See what its container says, on {via}: crictl ps --all --name etcd",
        )
    return etcd


def api_trouble(context: StepContext) -> str:
    """Ask the API server of the step's own host; return what is wrong, empty when it is ready."""
    address = context.desired.host(context.host).address
    server = f"https://[{address}]:6443" if ":" in address else f"https://{address}:6443"
    answer = context.runner.run(
        kubectl("--server", server, "--request-timeout=5s", "get", "--raw", "/readyz")
    )
    return "" if answer.ok else f"its API server: {answer.output.strip()[-200:]}"


def control_plane(context: StepContext, *, via: str) -> EtcdFacts | str:
    """Ask the API server of the step's own host, and etcd as `via` sees it, at the same time.

    Returns:
        What etcd says when the API server is ready; else what is wrong, with both where both are.
    """
    server, etcd = both(lambda: api_trouble(context), lambda: gather_etcd(via, context.transport))
    silent = f"etcd does not answer on {via}: {etcd}" if isinstance(etcd, str) else ""
    return "; ".join(filter(None, (server, silent))) or etcd


def always_due(_action: object, _context: StepContext) -> Check:
    """The check of actions whose `apply` changes only what differs, or whose gate is the step."""
    return NEEDED


def change_nothing(_action: object, _context: StepContext) -> None:
    """The `apply` of actions whose gate is the step."""
