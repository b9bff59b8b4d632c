"""Node objects: labels and taints, deletion, and the wait for the whole cluster."""

from kubeops.engine.context import DONE, NEEDED, Check, Handler, State, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.handlers.observe import always_due, change_nothing, nodes, working_objects
from kubeops.handlers.tools import kubectl
from kubeops.model.observed import NodeFacts
from kubeops.plan.actions import AwaitCluster, DeleteNode, DescribeNode
from kubeops.plan.convergence import not_yet
from kubeops.plan.install import is_described

CLUSTER_TIMEOUT = 600


def _node(name: str, context: StepContext) -> NodeFacts | None:
    return next((node for node in nodes(context, via=context.host) if node.name == name), None)


def _check_described(action: DescribeNode, context: StepContext) -> Check:
    node = _node(action.node, context)
    if node is None:
        return Check(State.UNKNOWN, f"there is no node {action.node}")
    return DONE if is_described(action, node) else NEEDED


def _describe(action: DescribeNode, context: StepContext) -> None:
    if action.labels:
        labels = [f"{key}={value}" for key, value in action.labels]
        context.run(kubectl("label", "node", action.node, "--overwrite", *labels))
    taints = [*action.taints, *(f"{taint}-" for taint in _unwanted(action, context))]
    if taints:
        context.run(kubectl("taint", "node", action.node, "--overwrite", *taints))


def _unwanted(action: DescribeNode, context: StepContext) -> list[str]:
    """Return the taints to take off: kubectl refuses one that is not there."""
    node = _node(action.node, context) if action.untaint else None
    return [taint for taint in action.untaint if node is not None and taint in node.taints]


def _check_there(action: DeleteNode, context: StepContext) -> Check:
    return NEEDED if _node(action.node, context) is not None else DONE


def _delete(action: DeleteNode, context: StepContext) -> None:
    context.run(kubectl("delete", "node", action.node, "--ignore-not-found"))


def _await_gate(action: AwaitCluster, context: StepContext) -> Gate:
    left_out = [context.desired.host(name) for name in action.left_out]

    def look() -> Reading:
        missing = not_yet(
            *working_objects(context, via=context.host),
            nodes=action.nodes,
            control_planes=action.control_planes,
            left_out=left_out,
        )
        return Reading(ok=not missing, text="; ".join(missing) or "everything is there")

    return Gate(name="the whole cluster", look=look, timeout=CLUSTER_TIMEOUT)


DESCRIBE_NODE = Handler(check=_check_described, apply=_describe)
DELETE_NODE = Handler(check=_check_there, apply=_delete)
AWAIT_CLUSTER = Handler(check=always_due, apply=change_nothing, gate=_await_gate)
