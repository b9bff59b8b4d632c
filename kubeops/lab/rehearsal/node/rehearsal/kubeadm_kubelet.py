"""The kubelet's files as kubeadm writes them."""

from collections.abc import Mapping
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Any

from rehearsal import files
from rehearsal.kubeadm_common import SOCKET, Context, KubeadmError
from rehearsal.version import Version, companions

INSTANCE_CONFIG = 34
NO_PAUSE_FLAG = 35
ZERO = "0s"
DNS_INDEX = 9


def dns_address(service_subnet: str) -> str:
    """Return the cluster's DNS address: the tenth of the service network."""
    hosts = ip_network(service_subnet.split(",", maxsplit=1)[0]).hosts()
    return str(next(islice(hosts, DNS_INDEX, None)))


def configuration(cluster: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cluster-wide KubeletConfiguration: kubeadm's defaults under what the user gave."""
    networking = cluster["networking"]
    defaults: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": ZERO, "enabled": True},
            "x509": {"clientCAFile": f"{cluster['certificatesDir']}/ca.crt"},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": ZERO, "cacheUnauthorizedTTL": ZERO},
        },
        "cgroupDriver": "systemd",
        "clusterDNS": [dns_address(networking["serviceSubnet"])],
        "clusterDomain": networking["dnsDomain"],
        "containerRuntimeEndpoint": "",
        "crashLoopBackOff": {},
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "kind": "KubeletConfiguration",
        "logging": {
            "flushFrequency": 0,
            "options": {"json": {"infoBufferSize": "0"}, "text": {"infoBufferSize": "0"}},
            "verbosity": 0,
        },
        "memorySwap": {},
        "rotateCertificates": True,
        "staticPodPath": "/etc/kubernetes/manifests",
    }
    periods = (
        "cpuManagerReconcilePeriod",
        "evictionPressureTransitionPeriod",
        "fileCheckFrequency",
        "httpCheckFrequency",
        "imageMaximumGCAge",
        "imageMinimumGCAge",
        "nodeStatusReportFrequency",
        "nodeStatusUpdateFrequency",
        "runtimeRequestTimeout",
        "shutdownGracePeriod",
        "shutdownGracePeriodCriticalPods",
        "streamingConnectionIdleTimeout",
        "syncFrequency",
        "volumeStatsAggPeriod",
    )
    return defaults | dict.fromkeys(periods, ZERO) | dict(given)


def write_flags(
    context: Context, registration: Mapping[str, Any], cluster: Mapping[str, Any]
) -> None:
    """Write /var/lib/kubelet/kubeadm-flags.env."""
    path = context.layout.kubelet / "kubeadm-flags.env"
    files.say(
        "[kubelet-start] Writing kubelet environment file with flags to file "
        f'"{_shown(context, path)}"'
    )
    files.write(
        path, f'KUBELET_KUBEADM_ARGS="{" ".join(_flags(context.version, registration, cluster))}"\n'
    )


def _flags(
    version: Version, registration: Mapping[str, Any], cluster: Mapping[str, Any]
) -> list[str]:
    found: dict[str, str] = {}
    if version.minor < INSTANCE_CONFIG:
        found["container-runtime-endpoint"] = registration.get("criSocket") or SOCKET
    if version.minor < NO_PAUSE_FLAG:
        repository = cluster["imageRepository"]
        found["pod-infra-container-image"] = f"{repository}/pause:{companions(version).pause}"
    taints = registration.get("taints") or []
    if taints and registration.get("registerTaints"):
        found["register-with-taints"] = ",".join(
            f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in taints
        )
    for entry in registration.get("kubeletExtraArgs") or []:
        found[entry["name"]] = str(entry["value"])
    return [f"--{name}={value}" for name, value in sorted(found.items())]


def write_config(
    context: Context,
    configuration: Mapping[str, Any],
    *,
    socket: str = SOCKET,
    instance: bool = True,
) -> None:
    """Write config.yaml, and instance-config.yaml where this kubeadm has one."""
    folder = context.layout.kubelet
    complete = dict(configuration)
    if context.version.minor >= INSTANCE_CONFIG:
        if instance:
            path = folder / "instance-config.yaml"
            files.say(
                f'[kubelet-start] Writing kubelet configuration to file "{_shown(context, path)}"'
            )
            files.write(path, f'containerRuntimeEndpoint: "{socket}"\n')
        complete["containerRuntimeEndpoint"] = instance_socket(context) or socket
        files.say(
            '[patches] Applied patch of type "application/strategic-merge-patch+json" to '
            'target "kubeletconfiguration"'
        )
    path = folder / "config.yaml"
    files.say(f'[kubelet-start] Writing kubelet configuration to file "{_shown(context, path)}"')
    files.write(path, files.dump_yaml(complete))


def instance_socket(context: Context) -> str:
    """Return the runtime endpoint of instance-config.yaml; empty when there is none."""
    path = context.layout.kubelet / "instance-config.yaml"
    if not path.exists():
        return ""
    return str((files.load_yaml(path.read_text()) or {}).get("containerRuntimeEndpoint", ""))


def from_cluster(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the KubeletConfiguration of the `kubelet-config` ConfigMap.

    Raises:
        KubeadmError: there is none in it.
    """
    try:
        value = files.load_yaml(found["data"]["kubelet"])
    except (KeyError, TypeError) as error:
        raise KubeadmError(
            'no kubelet component config found in the cluster; "kubelet-config" is broken'
        ) from error
    return dict(value)


def _shown(context: Context, path: Path) -> str:
    return f"/{path.relative_to(context.layout.root)}"
