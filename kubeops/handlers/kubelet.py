"""The kubelet's own upgrade, and the wait for its node.

Upgrading the package restarts nothing: the old kubelet runs on from a deleted file, and its node
goes on reporting the old version, until systemd is told to read the units anew and restarts it.
"""

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.handlers.drain import node_now
from kubeops.handlers.observe import always_due, change_nothing, via_control_plane
from kubeops.handlers.packages import at_version, install_exactly
from kubeops.handlers.pods import pods_not_yet
from kubeops.handlers.tools import systemctl
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import AwaitNode, UpgradeKubelet

READY_TIMEOUT = 300
PACKAGES = ("kubelet", "kubectl")


def _check_kubelet(action: UpgradeKubelet, context: StepContext) -> Check:
    if not at_version(action.version, *PACKAGES, context=context):
        return NEEDED
    node = node_now(action.node, via_control_plane(context))
    runs = node is not None and str(node.kubelet) == action.version
    return DONE if runs else NEEDED


def _upgrade_kubelet(action: UpgradeKubelet, context: StepContext) -> None:
    if not at_version(action.version, *PACKAGES, context=context):
        install_exactly(action.version, *PACKAGES, context=context)
    context.progress("restarting the kubelet")
    context.run(systemctl("daemon-reload"))
    context.run(
        systemctl("restart", "kubelet.service"),
        hint=f"On {context.host}: journalctl -u kubelet -n 50",
    )


def _await_gate(action: AwaitNode, context: StepContext) -> Gate:
    wanted = KubeVersion.parse(action.version)

    def look() -> Reading:
        node = node_now(action.node, context)
        if node is None:
            return Reading(ok=False, text=f"there is no node {action.node}")
        missing = []
        if node.kubelet < wanted:
            missing.append(f"its kubelet reports {node.kubelet}")
        if not node.ready:
            missing.append(f"not Ready: {node.ready_message or 'the kubelet does not report'}")
        if not missing:
            missing += pods_not_yet(action.node, context, control_plane=None)
        return Reading(ok=not missing, text="; ".join(missing) or f"Ready at v{wanted}")

    return Gate(name=f"node {action.node}", look=look, timeout=READY_TIMEOUT)


UPGRADE_KUBELET = Handler(check=_check_kubelet, apply=_upgrade_kubelet)
AWAIT_NODE = Handler(check=always_due, apply=change_nothing, gate=_await_gate)
