"""The fields kubeadm's configuration kinds have, and nothing else.

A schema is a dictionary of fields. Its values: None takes anything, another dictionary the fields
below, and a list with one schema a list of such objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


def _names(text: str) -> dict[str, None]:
    return dict.fromkeys(text.split())


_ARGS = [{"name": None, "value": None}]
_ENVS = [{"name": None, "value": None, "valueFrom": None}]
_TIMEOUTS = dict.fromkeys(
    (
        "controlPlaneComponentHealthCheck",
        "kubeletHealthCheck",
        "kubernetesAPICall",
        "etcdAPICall",
        "tlsBootstrap",
        "discovery",
        "upgradeManifests",
    )
)
_REGISTRATION = {
    "name": None,
    "criSocket": None,
    "taints": [{"key": None, "value": None, "effect": None, "timeAdded": None}],
    "kubeletExtraArgs": _ARGS,
    "ignorePreflightErrors": None,
    "imagePullPolicy": None,
    "imagePullSerial": None,
}
_ENDPOINT = {"advertiseAddress": None, "bindPort": None}
_PATCHES = {"directory": None}
_COMPONENT = {
    "extraArgs": _ARGS,
    "extraVolumes": [
        {"name": None, "hostPath": None, "mountPath": None, "readOnly": None, "pathType": None}
    ],
    "extraEnvs": _ENVS,
}
_KUBEADM: Mapping[str, Schema] = {
    "InitConfiguration": {
        "bootstrapTokens": [
            dict.fromkeys(("token", "description", "expires", "ttl", "usages", "groups"))
        ],
        "dryRun": None,
        "nodeRegistration": _REGISTRATION,
        "localAPIEndpoint": _ENDPOINT,
        "certificateKey": None,
        "skipPhases": None,
        "patches": _PATCHES,
        "timeouts": _TIMEOUTS,
    },
    "ClusterConfiguration": {
        "etcd": {
            "local": {
                "imageRepository": None,
                "imageTag": None,
                "dataDir": None,
                "extraArgs": _ARGS,
                "extraEnvs": _ENVS,
                "serverCertSANs": None,
                "peerCertSANs": None,
            },
            "external": dict.fromkeys(
                ("endpoints", "httpEndpoints", "caFile", "certFile", "keyFile")
            ),
        },
        "networking": {"serviceSubnet": None, "podSubnet": None, "dnsDomain": None},
        "kubernetesVersion": None,
        "controlPlaneEndpoint": None,
        "apiServer": {**_COMPONENT, "certSANs": None},
        "controllerManager": _COMPONENT,
        "scheduler": _COMPONENT,
        "dns": {"imageRepository": None, "imageTag": None, "disabled": None},
        "proxy": {"disabled": None},
        "certificatesDir": None,
        "imageRepository": None,
        "featureGates": None,
        "clusterName": None,
        "encryptionAlgorithm": None,
        "certificateValidityPeriod": None,
        "caCertificateValidityPeriod": None,
    },
    "JoinConfiguration": {
        "dryRun": None,
        "nodeRegistration": _REGISTRATION,
        "caCertPath": None,
        "discovery": {
            "bootstrapToken": {
                "token": None,
                "apiServerEndpoint": None,
                "caCertHashes": None,
                "unsafeSkipCAVerification": None,
            },
            "file": {"kubeConfigPath": None},
            "tlsBootstrapToken": None,
        },
        "controlPlane": {"localAPIEndpoint": _ENDPOINT, "certificateKey": None},
        "skipPhases": None,
        "patches": _PATCHES,
        "timeouts": _TIMEOUTS,
    },
    "ResetConfiguration": {
        **dict.fromkeys(
            (
                "cleanupTmpDir",
                "certificatesDir",
                "criSocket",
                "dryRun",
                "force",
                "ignorePreflightErrors",
                "skipPhases",
                "unmountFlags",
            )
        ),
        "timeouts": _TIMEOUTS,
    },
    "UpgradeConfiguration": {
        "apply": {
            **dict.fromkeys(
                (
                    "kubernetesVersion",
                    "allowExperimentalUpgrades",
                    "allowRCUpgrades",
                    "certificateRenewal",
                    "dryRun",
                    "etcdUpgrade",
                    "forceUpgrade",
                    "ignorePreflightErrors",
                    "imagePullPolicy",
                    "imagePullSerial",
                    "printConfig",
                    "skipPhases",
                )
            ),
            "patches": _PATCHES,
        },
        "diff": {"kubernetesVersion": None, "contextLines": None},
        "node": {
            **dict.fromkeys(
                (
                    "certificateRenewal",
                    "dryRun",
                    "etcdUpgrade",
                    "ignorePreflightErrors",
                    "imagePullPolicy",
                    "imagePullSerial",
                    "skipPhases",
                )
            ),
            "patches": _PATCHES,
        },
        "plan": dict.fromkeys(
            (
                "kubernetesVersion",
                "allowExperimentalUpgrades",
                "allowRCUpgrades",
                "dryRun",
                "ignorePreflightErrors",
                "printConfig",
                "etcdUpgrade",
            )
        ),
        "timeouts": _TIMEOUTS,
    },
}
_KUBELET = _names(
    """
    allowedUnsafeSysctls authentication authorization cgroupDriver cgroupRoot cgroupsPerQOS
    clusterDNS clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxFiles
    containerLogMaxSize containerLogMaxWorkers containerLogMonitorInterval
    containerRuntimeEndpoint contentType cpuCFSQuota cpuCFSQuotaPeriod cpuManagerPolicy
    cpuManagerPolicyOptions cpuManagerReconcilePeriod crashLoopBackOff
    enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers
    enableProfilingHandler enableServer enableSystemLogHandler enableSystemLogQuery
    enforceNodeAllocatable eventBurst eventRecordQPS evictionHard evictionMaxPodGracePeriod
    evictionMinimumReclaim evictionPressureTransitionPeriod evictionSoft
    evictionSoftGracePeriod failCgroupV1 failSwapOn featureGates fileCheckFrequency
    hairpinMode healthzBindAddress healthzPort httpCheckFrequency
    imageGCHighThresholdPercent imageGCLowThresholdPercent imageMaximumGCAge
    imageMinimumGCAge imagePullCredentialsVerificationPolicy imageServiceEndpoint
    ipTablesDropBit iptablesMasqueradeBit keepTerminatedPodVolumes kernelMemcgNotification
    kubeAPIBurst kubeAPIQPS kubeReserved kubeReservedCgroup kubeletCgroups
    localStorageCapacityIsolation logging makeIPTablesUtilChains maxOpenFiles
    maxParallelImagePulls maxPods memoryManagerPolicy memorySwap memoryThrottlingFactor
    nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency
    nodeStatusUpdateFrequency oomScoreAdj podCIDR podLogsDir podPidsLimit podsPerCore port
    protectKernelDefaults providerID qosReserved readOnlyPort registerNode
    registerWithTaints registryBurst registryPullQPS reservedMemory reservedSystemCPUs
    resolvConf rotateCertificates runOnce runtimeRequestTimeout seccompDefault
    serializeImagePulls serverTLSBootstrap shutdownGracePeriod
    shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods singleProcessOOMKill
    showHiddenMetricsForVersion staticPodPath staticPodURL staticPodURLHeader
    streamingConnectionIdleTimeout syncFrequency systemCgroups systemReserved
    systemReservedCgroup tlsCertFile tlsCipherSuites tlsMinVersion tlsPrivateKeyFile
    topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope tracing
    userNamespaces volumePluginDir volumeStatsAggPeriod
    """
)
_PROXY = _names(
    """
    bindAddress bindAddressHardFail clientConnection clusterCIDR configSyncPeriod conntrack
    detectLocal detectLocalMode enableProfiling featureGates healthzBindAddress
    hostnameOverride iptables ipvs logging metricsBindAddress mode nftables
    nodePortAddresses oomScoreAdj portRange showHiddenMetricsForVersion winkernel
    windowsRunAsService
    """
)


@dataclass(frozen=True)
class Kind:
    """A configuration kind: its API group and its fields."""

    group: str
    schema: Schema


KINDS: Mapping[str, Kind] = {
    **{name: Kind("kubeadm.k8s.io", schema) for name, schema in _KUBEADM.items()},
    "KubeletConfiguration": Kind("kubelet.config.k8s.io", _KUBELET),
    "KubeProxyConfiguration": Kind("kubeproxy.config.k8s.io", _PROXY),
}


def unknown_fields(kind: str, document: Mapping[str, Any]) -> list[str]:
    """Return the paths of the fields that `kind` does not have."""
    body = {key: value for key, value in document.items() if key not in {"kind", "apiVersion"}}
    return _unknown(KINDS[kind].schema, body, "")


def _unknown(schema: Schema, value: Any, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return []
    found: list[str] = []
    for key, inner in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in schema:
            found.append(where)
            continue
        below = schema[key]
        if isinstance(below, Mapping):
            found += _unknown(below, inner, where)
        elif isinstance(below, list) and isinstance(inner, list):
            for index, item in enumerate(inner):
                found += _unknown(below[0], item, f"{where}[{index}]")
    return found
