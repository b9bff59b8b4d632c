"""Does: one handler per action. REGISTRY is where the executor looks them up."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kubeops.engine.context import Handler
from kubeops.handlers import (
    drain,
    etcd,
    finish,
    hosts,
    kubeadm,
    kubelet,
    network,
    nodes,
    packages,
    reset,
    runtime,
    snapshot,
    upgrade,
)
from kubeops.plan import actions

REGISTRY: Mapping[type, Handler[Any]] = MappingProxyType(
    {
        actions.AddPackageSource: packages.ADD_PACKAGE_SOURCE,
        actions.ApplyManifest: network.APPLY_MANIFEST,
        actions.AwaitCluster: nodes.AWAIT_CLUSTER,
        actions.AwaitNode: kubelet.AWAIT_NODE,
        actions.CheckUpgrade: upgrade.CHECK_UPGRADE,
        actions.ConfigureBridge: network.CONFIGURE_BRIDGE,
        actions.ConfigureKernel: hosts.CONFIGURE_KERNEL,
        actions.CordonNode: drain.CORDON_NODE,
        actions.DeleteNode: nodes.DELETE_NODE,
        actions.DescribeNode: nodes.DESCRIBE_NODE,
        actions.DisableSwap: hosts.DISABLE_SWAP,
        actions.DrainNode: drain.DRAIN_NODE,
        actions.FetchPackages: packages.FETCH_PACKAGES,
        actions.FinishUpgrade: finish.FINISH_UPGRADE,
        actions.HoldPackages: packages.HOLD_PACKAGES,
        actions.InitCluster: kubeadm.INIT_CLUSTER,
        actions.InstallPackages: packages.INSTALL_PACKAGES,
        actions.InstallPrerequisites: packages.INSTALL_PREREQUISITES,
        actions.InstallRuntime: runtime.INSTALL_RUNTIME,
        actions.JoinControlPlane: kubeadm.JOIN_CONTROL_PLANE,
        actions.JoinWorker: kubeadm.JOIN_WORKER,
        actions.PruneUpgradeBackups: finish.PRUNE_UPGRADE_BACKUPS,
        actions.PullImages: runtime.PULL_IMAGES,
        actions.RemoveEtcdMember: etcd.REMOVE_ETCD_MEMBER,
        actions.ResetHost: reset.RESET_HOST,
        actions.RewriteInventory: finish.REWRITE_INVENTORY,
        actions.SaveSnapshot: snapshot.SAVE_SNAPSHOT,
        actions.UncordonNode: drain.UNCORDON_NODE,
        actions.UpgradeApply: upgrade.UPGRADE_APPLY,
        actions.UpgradeKubeadm: packages.UPGRADE_KUBEADM,
        actions.UpgradeKubelet: kubelet.UPGRADE_KUBELET,
        actions.UpgradeNode: upgrade.UPGRADE_NODE,
    }
)
