"""Does: one handler per action. REGISTRY is where the executor looks them up."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kubeops.engine.context import Handler
from kubeops.handlers import etcd, hosts, kubeadm, network, nodes, packages, reset, runtime
from kubeops.plan import actions

REGISTRY: Mapping[type, Handler[Any]] = MappingProxyType(
    {
        actions.AddPackageSource: packages.ADD_PACKAGE_SOURCE,
        actions.ApplyManifest: network.APPLY_MANIFEST,
        actions.AwaitCluster: nodes.AWAIT_CLUSTER,
        actions.ConfigureBridge: network.CONFIGURE_BRIDGE,
        actions.ConfigureKernel: hosts.CONFIGURE_KERNEL,
        actions.DeleteNode: nodes.DELETE_NODE,
        actions.DescribeNode: nodes.DESCRIBE_NODE,
        actions.DisableSwap: hosts.DISABLE_SWAP,
        actions.DrainNode: nodes.DRAIN_NODE,
        actions.InitCluster: kubeadm.INIT_CLUSTER,
        actions.InstallPackages: packages.INSTALL_PACKAGES,
        actions.InstallPrerequisites: packages.INSTALL_PREREQUISITES,
        actions.InstallRuntime: runtime.INSTALL_RUNTIME,
        actions.JoinControlPlane: kubeadm.JOIN_CONTROL_PLANE,
        actions.JoinWorker: kubeadm.JOIN_WORKER,
        actions.PullImages: runtime.PULL_IMAGES,
        actions.RemoveEtcdMember: etcd.REMOVE_ETCD_MEMBER,
        actions.ResetHost: reset.RESET_HOST,
    }
)
