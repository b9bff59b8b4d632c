"""Reading what `kubeadm init` is to do, and running it whole or by phase."""

import socket
from collections.abc import Callable
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_kubelet
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.cobra import Given
from rehearsal.kubeadm_common import (
    Context,
    KubeadmError,
    pinned,
    retry,
)
from rehearsal.kubeadm_init import BAD_PHASE, PHASES, Init
from rehearsal.kubelet_node import host_address
from rehearsal.version import Version


def load(context: Context, given: Given) -> Init:
    """Read flags and configuration into a run of `kubeadm init`.

    Raises:
        KubeadmError: they are not what they must be.
    """
    documents = kubeadm_config.read(given.value("config")) if given.has("config") else {}
    if given.has("config"):
        mixed = [n for n in given.found if n not in _WITH_CONFIG]
        if mixed:
            raise KubeadmError(f"can not mix '--config' with arguments [{' '.join(sorted(mixed))}]")
        kubeadm_config.check_documents(documents, "InitConfiguration", "ClusterConfiguration")
    own = dict(documents.get("InitConfiguration", {}))
    cluster = dict(documents.get("ClusterConfiguration", {}))
    _from_flags(given, own, cluster)
    target = kubeadm_config.wanted_version(cluster, context.version)
    _supported(target, context.version)
    complete = kubeadm_config.cluster(cluster, version=target)
    address = (own.get("localAPIEndpoint") or {}).get("advertiseAddress") or host_address()
    hostname = socket.gethostname()
    settings = kubeadm_config.init(own, address=address, hostname=hostname)
    kubelet = kubeadm_kubelet.configuration(complete, documents.get("KubeletConfiguration", {}))
    return Init(
        context=context,
        given=given,
        settings=settings,
        cluster=complete,
        kubelet=kubelet,
        proxy=documents.get("KubeProxyConfiguration", {}),
        target=target,
    )


def _from_flags(given: Given, own: dict[str, Any], cluster: dict[str, Any]) -> None:
    networking = {
        "podSubnet": given.value("pod-network-cidr"),
        "serviceSubnet": given.value("service-cidr"),
        "dnsDomain": given.value("service-dns-domain"),
    }
    present = {name: value for name, value in networking.items() if value}
    if present:
        cluster["networking"] = present
    for flag, name in (
        ("kubernetes-version", "kubernetesVersion"),
        ("control-plane-endpoint", "controlPlaneEndpoint"),
        ("image-repository", "imageRepository"),
        ("cert-dir", "certificatesDir"),
    ):
        if given.has(flag):
            cluster[name] = given.value(flag)
    if given.has("apiserver-cert-extra-sans"):
        cluster["apiServer"] = {"certSANs": list(given.values("apiserver-cert-extra-sans"))}
    endpoint = {
        "advertiseAddress": given.value("apiserver-advertise-address"),
        "bindPort": int(given.value("apiserver-bind-port", "0")),
    }
    if any(endpoint.values()):
        own["localAPIEndpoint"] = {name: value for name, value in endpoint.items() if value}
    registration = {"name": given.value("node-name"), "criSocket": given.value("cri-socket")}
    if any(registration.values()):
        own["nodeRegistration"] = {name: value for name, value in registration.items() if value}


def _supported(target: Version, own: Version) -> None:
    oldest = own.minor - 1
    if target.minor < oldest:
        raise KubeadmError(
            "this version of kubeadm only supports deploying clusters with the control "
            f"plane version >= 1.{oldest}.0. "
            f"Current version: {target}"
        )


def run(context: Context, given: Given) -> int:
    """Run `kubeadm init`.

    Raises:
        KubeadmError: it stopped.
    """
    pinned(given.words, 0, f'unknown command "{"".join(given.words[:1])}" for "kubeadm init"')
    init = load(context, given)
    skipped = {*given.values("skip-phases"), *(init.settings.get("skipPhases") or ())}
    for name in skipped:
        if name.split("/")[0] not in PHASES:
            raise KubeadmError(BAD_PHASE.format(name=name))
    if given.switch("dry-run") or init.settings.get("dryRun"):
        raise KubeadmError("the rehearsal does not know `kubeadm init --dry-run`")
    files.say(f"[init] Using Kubernetes version: {init.target}")
    results: dict[str, str] = {}
    phases: dict[str, Callable[[], Any]] = {
        "preflight": init.preflight,
        "certs": init.certs,
        "kubeconfig": init.kubeconfig,
        "etcd": init.etcd,
        "control-plane": init.control_plane,
        "kubelet-start": init.kubelet_start,
        "wait-control-plane": init.wait_control_plane,
        "upload-config": init.upload_config,
        "upload-certs": init.upload_certs,
        "mark-control-plane": init.mark_control_plane,
        "bootstrap-token": init.bootstrap_token,
        "kubelet-finalize": init.kubelet_finalize,
        "addon": init.addon,
    }
    for name, phase in phases.items():
        if name in skipped:
            continue
        try:
            results[name] = phase() or ""
        except (ApiError, UnreachableError) as error:
            raise KubeadmError(f"error execution phase {name}: {error}") from error
        context.reached(name)
    if "show-join-command" not in skipped:
        init.show(token=results.get("bootstrap-token", ""), key=results.get("upload-certs", ""))
    return 0


def run_phase(context: Context, given: Given) -> int:
    """Run `kubeadm init phase ...`.

    Raises:
        KubeadmError: there is no such phase, or it stopped.
    """
    name, *rest = given.words or ("",)
    what = rest[0] if rest else "all"
    init = (
        load_for_phase(context, given)
        if name.startswith(("upload", "addon", "bootstrap", "mark"))
        else load(context, given)
    )
    phases: dict[str, Callable[[], Any]] = {
        "preflight": init.preflight,
        "certs": init.certs,
        "kubeconfig": init.kubeconfig,
        "etcd": init.etcd,
        "control-plane": init.control_plane,
        "kubelet-start": init.kubelet_start,
        "upload-config": lambda: init.upload_config(what),
        "upload-certs": init.upload_certs,
        "mark-control-plane": init.mark_control_plane,
        "bootstrap-token": init.bootstrap_token,
        "addon": lambda: init.addon(what),
    }
    if name not in phases or what not in {
        "all",
        "kubeadm",
        "kubelet",
        "coredns",
        "kube-proxy",
        "local",
    }:
        raise KubeadmError(f'unknown command "{" ".join(given.words)}" for "kubeadm init phase"')
    try:
        phases[name]()
    except (ApiError, UnreachableError) as error:
        raise KubeadmError(f"error execution phase {name}: {error}") from error
    return 0


def load_for_phase(context: Context, given: Given) -> Init:
    """Read what a phase on a finished cluster needs: the user's file, or what the cluster keeps."""
    init = load(context, given)
    if given.has("config") or not context.layout.admin.exists():
        return init
    client = init.client()
    found = retry(
        lambda: client.get("configmaps", "kubeadm-config", namespace="kube-system"),
        timeout=60.0,
        what="failed to get config map",
    )
    kept = files.load_yaml(found["data"]["ClusterConfiguration"])
    target = kubeadm_config.wanted_version(kept, context.version, quiet=True)
    complete = kubeadm_config.cluster(kept, version=target)
    return Init(
        context=context,
        given=given,
        settings=init.settings,
        cluster=complete,
        kubelet=kubeadm_kubelet.configuration(complete, {}),
        proxy={},
        target=target,
    )


_WITH_CONFIG = {
    "config",
    "upload-certs",
    "ignore-preflight-errors",
    "skip-phases",
    "skip-certificate-key-print",
    "skip-token-print",
    "dry-run",
    "v",
    "certificate-key",
    "rootfs",
    "kubeconfig",
    "patches",
    "node-name",
    "cri-socket",
}
