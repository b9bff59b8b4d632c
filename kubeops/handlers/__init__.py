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
    restore,
    restore_start,
    runtime,
    snapshot,
    upgrade,
)
from kubeops.plan import actions, restore_actions

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
        restore_actions.AwaitMembers: restore_start.AWAIT_MEMBERS,
        restore_actions.AwaitRestored: restore_start.AWAIT_RESTORED,
        restore_actions.CloseAttempt: restore_start.CLOSE_ATTEMPT,
        restore_actions.FetchBundle: restore.FETCH_BUNDLE,
        restore_actions.ForgetBundle: restore.FORGET_BUNDLE,
        restore_actions.KeepPresent: restore.KEEP_PRESENT,
        restore_actions.ResyncNode: restore_start.RESYNC_NODE,
        restore_actions.RestoreData: restore.RESTORE_DATA,
        restore_actions.StageSnapshot: restore.STAGE_SNAPSHOT,
        restore_actions.StartStaticPods: restore_start.START_STATIC_PODS,
        restore_actions.StopControlPlane: restore_start.STOP_CONTROL_PLANE,
        restore_actions.SwapData: restore.SWAP_DATA,
        restore_actions.SwapDataBack: restore.SWAP_DATA_BACK,
    }
)
