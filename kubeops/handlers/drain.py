"""Takes the pods off a node: cordon, evictions, and the way back.

1. Cordon: in one request with a note on the Node that it was kubeops, so that no crash separates
   them. A node that is cordoned without the note is the operator's, and stays as it is.
2. Pods are evicted one by one, never through a long-running `kubectl drain`, which would go on
   evicting after the run that wanted it was killed. Static pods and those of DaemonSets stay.
3. What a PodDisruptionBudget forbids is asked for again until the timeout (`wait`), ends the step
   at once (`fail`), or is deleted (`force`, which is said of every pod).
4. Only the pods that were there at first are waited for: one that tolerates the cordon and comes
   back is not evicted for ever.
5. Uncordon, if the note is there; note and cordon go in one request.
"""

import json
from collections.abc import Mapping, Sequence

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import FactsError, GateError, StepError
from kubeops.facts.parse_kube import parse_nodes
from kubeops.facts.parse_upgrade import (
    POD_TABLE,
    Budget,
    Pod,
    parse_budgets,
    parse_evictions,
    parse_pods,
)
from kubeops.handlers.kube import kube, patient
from kubeops.handlers.tools import ADMIN, shell
from kubeops.model.observed import CORDONED_BY_US, NodeFacts
from kubeops.plan.actions import CordonNode, DrainNode, UncordonNode
from kubeops.transport.base import Command

_SHOWN = 4
# A line for each pod of stdin: namespace, name, kubectl's status and words.
_EVICT = """
export KUBECONFIG="$1" BODY="$2"
xargs -r -P 8 -n 2 sh -c '
  said=$(printf "$BODY" "$2" "$1" |
    kubectl --request-timeout=10s create -f - --raw \\
      "/api/v1/namespaces/$1/pods/$2/eviction" 2>&1)
  status=$?
  printf "%s\\t%s\\t%s\\t%.900s\\n" "$1" "$2" "$status" "$(printf %s "$said" | tr "\\n\\t" "  ")"
' kubeops || true
"""


def node_now(name: str, context: StepContext) -> NodeFacts | None:
    """Read the Node `name`, now; None when there is none."""
    text = kube(context, "get", "nodes", "-o", "json", f"--field-selector=metadata.name={name}")
    try:
        found = parse_nodes(text)
    except (ValueError, LookupError, TypeError) as error:
        raise FactsError(host=context.host, section="nodes", reason=str(error)) from error
    return found[0] if found else None


def cordon(name: str, context: StepContext) -> None:
    """Cordon the node `name` with our note, unless it is cordoned already."""
    node = node_now(name, context)
    if node is not None and not node.unschedulable:
        since = f"{context.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        _patch(name, {"unschedulable": True}, note=since, context=context)


def _patch(
    name: str, spec: Mapping[str, object], *, note: str | None, context: StepContext
) -> None:
    patch = {"metadata": {"annotations": {CORDONED_BY_US: note}}, "spec": dict(spec)}
    kube(context, "patch", "node", name, "--type=merge", "--patch", json.dumps(patch))


def _check_cordoned(action: CordonNode, context: StepContext) -> Check:
    node = node_now(action.node, context)
    return DONE if node is None or node.unschedulable else NEEDED


def _cordon(action: CordonNode, context: StepContext) -> None:
    cordon(action.node, context)


def _check_uncordoned(action: UncordonNode, context: StepContext) -> Check:
    node = node_now(action.node, context)
    return NEEDED if node is not None and node.cordoned_by_us else DONE


def _uncordon(action: UncordonNode, context: StepContext) -> None:
    _patch(action.node, {"unschedulable": None}, note=None, context=context)


def _check_drained(action: DrainNode, context: StepContext) -> Check:
    node = node_now(action.node, context)
    if node is None:
        return DONE
    return DONE if node.unschedulable and not _movable(action.node, context) else NEEDED


def _movable(node: str, context: StepContext) -> tuple[Pod, ...]:
    table = kube(
        context,
        "get",
        "pods",
        "--all-namespaces",
        f"--field-selector=spec.nodeName={node}",
        "-o",
        f"jsonpath={POD_TABLE}",
    )
    try:
        return tuple(pod for pod in parse_pods(table) if pod.movable)
    except (ValueError, LookupError, TypeError) as error:
        raise FactsError(host=context.host, section="pods", reason=str(error)) from error


def _drain(action: DrainNode, context: StepContext) -> None:
    cordon(action.node, context)
    pods = _movable(action.node, context)
    bare = [pod.full_name for pod in pods if not pod.controller]
    if bare and not action.bare_pods:
        raise StepError(
            f"{action.node}: nobody would create {', '.join(bare)} again, so nothing was evicted",
            hint="Delete them, or accept their loss by name: --accept bare-pods",
        )
    if pods:
        _evict_all(action, pods, context)


def _evict_all(action: DrainNode, pods: Sequence[Pod], context: StepContext) -> None:
    wanted = {pod.uid for pod in pods}
    unseen = [pods]

    def look() -> Reading:
        there = unseen.pop() if unseen else _movable(action.node, context)
        left = [pod for pod in there if pod.uid in wanted]
        if not left:
            return Reading(ok=True, text="no pods are left")
        refused = _evict([pod for pod in left if not pod.leaving], action, context)
        if refused and action.pdb == "force":
            _delete([pod for pod in left if pod.full_name in refused], action, context)
            refused = {}
        text = _waiting_for(left, refused, _budgets(context) if refused else ())
        return Reading(ok=False, text=text, failed=bool(refused) and action.pdb == "fail")

    gate = Gate(
        name=f"{action.node} to be drained",
        look=look,
        timeout=action.timeout,
        successes=1,
        interval=1.0,
    )
    try:
        wait_until(gate, clock=context.clock, progress=context.progress)
    except GateError as error:
        raise GateError(
            f"{error.message}. {action.node} stays cordoned",
            last=error.last,
            hint="See what holds them: kubectl get poddisruptionbudgets -A. Give the workload room "
            "(more replicas, or a budget that allows a disruption), then type the command again.",
        ) from error


def _budgets(context: StepContext) -> tuple[Budget, ...]:
    return parse_budgets(
        kube(context, "get", "poddisruptionbudgets", "--all-namespaces", "-o", "json")
    )


def _evict(pods: Sequence[Pod], action: DrainNode, context: StepContext) -> Mapping[str, str]:
    """Ask for evictions; return why some were refused, by full name."""
    if not pods:
        return {}
    names = "".join(f"{pod.namespace} {pod.name}\n" for pod in pods)
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "%s", "namespace": "%s"},
        "deleteOptions": {"gracePeriodSeconds": int(action.grace)},
    }
    script = shell(_EVICT, ADMIN, json.dumps(body), stdin=names.encode(), timeout=120)
    result = context.run(script)
    return parse_evictions(result.stdout)


def _delete(pods: Sequence[Pod], action: DrainNode, context: StepContext) -> None:
    for pod in pods:
        context.progress(f"deleting {pod.full_name} against its budget, as ordered")
        command = Command(
            argv=(
                "kubectl",
                "--kubeconfig",
                ADMIN,
                "--namespace",
                pod.namespace,
                "delete",
                "pod",
                pod.name,
                "--wait=false",
                "--ignore-not-found",
                f"--grace-period={action.grace:.0f}",
            )
        )
        patient(context, command).must()


def _waiting_for(left: Sequence[Pod], refused: Mapping[str, str], budgets: Sequence[Budget]) -> str:
    """Say which pods are left and what keeps each of them, the refused ones first."""
    ordered = sorted(left, key=lambda pod: pod.full_name not in refused)
    told = [_kept(pod, refused, budgets) for pod in ordered[:_SHOWN]]
    if len(left) > _SHOWN:
        told.append(f"and {len(left) - _SHOWN} more")
    return "; ".join(told)


def _kept(pod: Pod, refused: Mapping[str, str], budgets: Sequence[Budget]) -> str:
    words = refused.get(pod.full_name)
    if words is None:
        return f"{pod.full_name} is ending"
    names = [budget.name for budget in budgets if budget.covers(pod)]
    if not names:
        return f"{pod.full_name} is refused: {words}"
    return f"{pod.full_name} is held by the budget {', '.join(names)}"


CORDON_NODE = Handler(check=_check_cordoned, apply=_cordon)
DRAIN_NODE = Handler(check=_check_drained, apply=_drain)
UNCORDON_NODE = Handler(check=_check_uncordoned, apply=_uncordon)
