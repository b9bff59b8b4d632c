"""Reading what `kubeadm join` is to do, and running it."""

import socket
from collections.abc import Callable
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_etcd
from rehearsal import kubeadm_texts as texts
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.cobra import Given
from rehearsal.kubeadm_common import (
    Context,
    KubeadmError,
    pinned,
)
from rehearsal.kubeadm_join import PHASES, Join


def load(context: Context, given: Given) -> Join:
    """Read flags and configuration into a run of `kubeadm join`.

    Raises:
        KubeadmError: they are not what they must be.
    """
    if given.has("config"):
        mixed = [name for name in given.found if name not in _WITH_CONFIG]
        if mixed:
            raise KubeadmError(f"can not mix '--config' with arguments [{' '.join(sorted(mixed))}]")
        documents = kubeadm_config.read(given.value("config"))
        kubeadm_config.check_documents(documents, "JoinConfiguration")
        settings = dict(documents["JoinConfiguration"])
    else:
        settings = _from_flags(given)
    if given.has("node-name"):
        settings["nodeRegistration"] = (settings.get("nodeRegistration") or {}) | {
            "name": given.value("node-name")
        }
    settings["discovery"] = dict(settings.get("discovery") or {})
    if not settings["discovery"].get("bootstrapToken") and not settings["discovery"].get("file"):
        raise KubeadmError('discovery: Invalid value: "": bootstrapToken or file must be set')
    token = (settings["discovery"].get("bootstrapToken") or {}).get("token")
    if token is not None and not _is_token(token):
        raise KubeadmError(
            f'discovery.bootstrapToken.token: Invalid value: "{token}": the bootstrap token '
            "is invalid"
        )
    settings["nodeRegistration"] = kubeadm_config.registration(
        settings, hostname=socket.gethostname()
    )
    return Join(context=context, given=given, settings=settings)


def _is_token(text: str) -> bool:
    first, _, second = str(text).partition(".")
    return len(first) == 6 and len(second) == 16 and (first + second).isalnum()  # noqa: PLR2004 - a token's form


def _from_flags(given: Given) -> dict[str, Any]:
    if not given.words and not given.has("discovery-file"):
        raise KubeadmError(
            'discovery.bootstrapToken: Invalid value: "": apiServerEndpoint must be set'
        )
    token = given.value("discovery-token") or given.value("token")
    discovery: dict[str, Any] = {
        "tlsBootstrapToken": given.value("tls-bootstrap-token") or given.value("token")
    }
    if given.has("discovery-file"):
        discovery["file"] = {"kubeConfigPath": given.value("discovery-file")}
    else:
        discovery["bootstrapToken"] = {
            "apiServerEndpoint": given.words[0],
            "token": token,
            "caCertHashes": list(given.values("discovery-token-ca-cert-hash")),
            "unsafeSkipCAVerification": given.switch("discovery-token-unsafe-skip-ca-verification"),
        }
    settings: dict[str, Any] = {"discovery": discovery}
    registration = {"name": given.value("node-name"), "criSocket": given.value("cri-socket")}
    settings["nodeRegistration"] = {name: value for name, value in registration.items() if value}
    if given.switch("control-plane"):
        settings["controlPlane"] = {
            "certificateKey": given.value("certificate-key"),
            "localAPIEndpoint": {
                "advertiseAddress": given.value("apiserver-advertise-address"),
                "bindPort": int(given.value("apiserver-bind-port", "6443")),
            },
        }
    return settings


def run(context: Context, given: Given) -> int:
    """Run `kubeadm join`.

    Raises:
        KubeadmError: it stopped.
    """
    pinned(given.words, 1, f"accepts at most 1 arg(s), received {len(given.words)}")
    join = load(context, given)
    skipped = {*given.values("skip-phases"), *(join.settings.get("skipPhases") or ())}
    for name in skipped:
        if name.split("/")[0] not in PHASES:
            raise KubeadmError(f"invalid phase name: {name}")
    if given.switch("dry-run") or join.settings.get("dryRun"):
        raise KubeadmError("the rehearsal does not know `kubeadm join --dry-run`")
    phases: dict[str, Callable[[], None]] = {
        "preflight": join.preflight,
        "control-plane-prepare": join.control_plane_prepare,
        "check-etcd": join.check_etcd,
        "kubelet-start": join.kubelet_start,
        "etcd-join": join.etcd_join,
        "kubelet-wait-bootstrap": join.kubelet_wait_bootstrap,
        "control-plane-join": join.control_plane_join,
        "wait-control-plane": join.wait_control_plane,
    }
    for name, phase in phases.items():
        if name in skipped:
            continue
        try:
            phase()
        except (ApiError, UnreachableError, kubeadm_etcd.EtcdError) as error:
            raise KubeadmError(f"error execution phase {name}: {error}") from error
        context.reached(name)
    files.say(texts.JOINED_CONTROL_PLANE if join.control_plane else texts.JOINED_WORKER)
    return 0


_WITH_CONFIG = {
    "config",
    "ignore-preflight-errors",
    "skip-phases",
    "dry-run",
    "v",
    "node-name",
    "rootfs",
    "patches",
}
