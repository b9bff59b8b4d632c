"""Joining nodes: approving and signing their certificates, bootstrap tokens and cluster-info."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rehearsal.access import token_expired
from rehearsal.objects import stamp
from rehearsal.world import World

Obj = dict[str, Any]

_KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
_SIGNED = (_KUBELET, "kubernetes.io/kube-apiserver-client", "kubernetes.io/kubelet-serving")
_JOINING = "system:bootstrappers:kubeadm:default-node-token"
_JWS = "jws-kubeconfig-"


def approve_kubelets(world: World) -> None:
    """Approve client certificates of joining nodes, and renewals nodes ask for themselves."""
    for request in world.all("certificatesigningrequests"):
        spec = request["spec"]
        if spec.get("signerName") != _KUBELET or _decided(request):
            continue
        groups = spec.get("groups") or []
        joining = _JOINING in groups
        renewing = "system:nodes" in groups and spec["username"].startswith("system:node:")
        if not (joining or renewing):
            continue
        kind = "kubelet" if joining else "self kubelet"
        approval = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": f"Auto approving {kind} client certificate after SubjectAccessReview.",
            "lastUpdateTime": stamp(),
            "lastTransitionTime": stamp(),
        }
        body = {**request, "status": {"conditions": [approval]}}
        world.client.replace("certificatesigningrequests", body, subresource="approval")


def _decided(request: Obj) -> bool:
    return any(
        item["type"] in ("Approved", "Denied")
        for item in request.get("status", {}).get("conditions") or []
    )


def _approved(request: Obj) -> bool:
    return any(
        item["type"] == "Approved" for item in request.get("status", {}).get("conditions") or []
    )


class Signer:
    """Signs approved requests with the cluster's CA.

    Args:
        certfile: the CA's certificate.
        keyfile: its key.
        validity: how long what it signs is valid.
    """

    def __init__(self, *, certfile: str, keyfile: str, validity: timedelta) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._validity = validity

    def __call__(self, world: World) -> None:
        """Sign what is approved and not signed yet."""
        for request in world.all("certificatesigningrequests"):
            status = request.get("status") or {}
            if (
                _approved(request)
                and not status.get("certificate")
                and request["spec"].get("signerName") in _SIGNED
            ):
                certificate = base64.b64encode(self._sign(request["spec"])).decode()
                world.set_status(
                    "certificatesigningrequests", request, {**status, "certificate": certificate}
                )

    def _sign(self, spec: Obj) -> bytes:
        from cryptography import x509  # noqa: PLC0415 - slow to load, and seldom needed
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

        with open(self._certfile, "rb") as file:
            authority = x509.load_pem_x509_certificate(file.read())
        with open(self._keyfile, "rb") as file:
            key: Any = serialization.load_pem_private_key(file.read(), password=None)
        request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
        now = datetime.now(UTC).replace(microsecond=0)
        asked = spec.get("expirationSeconds")
        validity = min(self._validity, timedelta(seconds=asked)) if asked else self._validity
        usages = spec.get("usages") or []
        purposes = [
            purpose
            for name, purpose in (
                ("client auth", ExtendedKeyUsageOID.CLIENT_AUTH),
                ("server auth", ExtendedKeyUsageOID.SERVER_AUTH),
            )
            if name in usages
        ]
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(
                min(now - timedelta(minutes=5) + validity, authority.not_valid_after_utc)
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        certificate = builder.sign(key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)


def clean_tokens(world: World) -> None:
    """Delete bootstrap tokens whose time is over."""
    for secret in world.all("secrets"):
        if secret.get("type") == "bootstrap.kubernetes.io/token":
            data = _decoded(secret)
            if token_expired(data.get("expiration", "")):
                world.delete("secrets", secret)


def sign_cluster_info(world: World) -> None:
    """Sign kube-public/cluster-info with every token that is for signing.

    The signature is a detached JWS (HS256 with the token's secret, the token's id as `kid`) under
    `jws-kubeconfig-<id>`; joining nodes trust cluster-info by it.
    """
    info = world.get("configmaps", "kube-public", "cluster-info")
    if info is None:
        return
    data = dict(info.get("data") or {})
    signatures = {}
    for secret in world.all("secrets"):
        token = _decoded(secret) if secret.get("type") == "bootstrap.kubernetes.io/token" else {}
        if token.get("usage-bootstrap-signing") == "true" and not token_expired(
            token.get("expiration", "")
        ):
            signatures[_JWS + token["token-id"]] = detached_jws(
                data.get("kubeconfig", ""), token["token-id"], token["token-secret"]
            )
    present = {key: value for key, value in data.items() if key.startswith(_JWS)}
    if present != signatures:
        removed = dict.fromkeys(set(present) - set(signatures))
        world.patch("configmaps", info, {"data": {**signatures, **removed}})


def detached_jws(content: str, identity: str, secret: str) -> str:
    """Return the detached JWS of `content` under a bootstrap token."""
    header = _url64(json.dumps({"alg": "HS256", "kid": identity}, separators=(",", ":")).encode())
    signed = f"{header}.{_url64(content.encode())}".encode()
    return f"{header}..{_url64(hmac.new(secret.encode(), signed, hashlib.sha256).digest())}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(secret: Obj) -> dict[str, str]:
    return {
        key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()
    }
