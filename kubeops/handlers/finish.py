"""What is left to do when every host is at the version."""

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.handlers.kube import kube
from kubeops.handlers.observe import always_due, change_nothing, host_facts, working_objects
from kubeops.handlers.runtime import configured_images
from kubeops.handlers.tools import shell
from kubeops.inventory import rewrite_kubernetes
from kubeops.model.observed import ApiObjects
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import FinishUpgrade, PruneUpgradeBackups, RewriteInventory
from kubeops.plan.convergence import not_yet
from kubeops.plan.standing import Cordon, cordon, superseded

FINISH_TIMEOUT = 600
_PRUNE = """
cd /etc/kubernetes/tmp
for name; do
  case $name in */* | .*) exit 2 ;; esac
  rm -rf -- "$name"
done
"""


def _finish_gate(action: FinishUpgrade, context: StepContext) -> Gate:
    wanted = KubeVersion.parse(action.version)
    listed = _configured_images(context)

    def look() -> Reading:
        api, etcd = working_objects(context, via=context.host)
        missing = not_yet(api, etcd, nodes=action.nodes, control_planes=action.control_planes)
        if not isinstance(api, str):
            missing = (*missing, *_behind(api, wanted, listed, action.nodes))
        return Reading(ok=not missing, text="; ".join(missing) or "everything is there")

    return Gate(name="the whole cluster", look=look, timeout=FINISH_TIMEOUT)


def _configured_images(context: StepContext) -> tuple[str, ...]:
    """Return the images that kubeadm lists for the cluster's own configuration.

    It may name a CoreDNS of the operator's own, or leave addons out; kubeadm knows the rest.
    """
    configuration = kube(
        context,
        "--namespace=kube-system",
        "get",
        "configmap",
        "kubeadm-config",
        "-o",
        "jsonpath={.data.ClusterConfiguration}",
    )
    return configured_images(configuration, context)


def _behind(
    api: ApiObjects, wanted: KubeVersion, listed: tuple[str, ...], nodes: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what is not at the version yet: nodes, and the addons' images."""
    return (
        *(
            f"node {node.name} reports {node.kubelet}"
            for node in api.nodes
            if node.name in nodes and node.kubelet < wanted
        ),
        *(
            f"node {node.name} is still cordoned"
            for node in api.nodes
            if node.name in nodes and cordon(node) is Cordon.OURS
        ),
        *(
            f"{workload.name} has the image {image}"
            for workload in api.system
            if workload.name in {"coredns", "kube-proxy"}
            for image in workload.images
            if _is_other(image, listed)
        ),
    )


def _is_other(image: str, listed: tuple[str, ...]) -> bool:
    """Whether kubeadm lists another tag of this image; one from elsewhere is the operator's."""
    name = image.rpartition(":")[0]
    return image not in listed and any(one.rpartition(":")[0] == name for one in listed)


def _check_pruned(_action: PruneUpgradeBackups, context: StepContext) -> Check:
    return NEEDED if superseded(host_facts(context).kubeadm_backups) else DONE


def _prune(_action: PruneUpgradeBackups, context: StepContext) -> None:
    names = superseded(host_facts(context).kubeadm_backups)
    context.run(shell(_PRUNE, *names, timeout=300))


def _check_rewritten(action: RewriteInventory, context: StepContext) -> Check:
    return DONE if str(context.desired.kubernetes) == action.version else NEEDED


def _rewrite(action: RewriteInventory, context: StepContext) -> None:
    file = rewrite_kubernetes(context.desired.source, KubeVersion.parse(action.version))
    context.progress(f"{file} says {action.version}")


FINISH_UPGRADE = Handler(check=always_due, apply=change_nothing, gate=_finish_gate)
PRUNE_UPGRADE_BACKUPS = Handler(check=_check_pruned, apply=_prune)
REWRITE_INVENTORY = Handler(check=_check_rewritten, apply=_rewrite)
