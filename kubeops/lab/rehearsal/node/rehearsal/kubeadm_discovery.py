"""How a joining machine finds the cluster and makes sure that it is the right one.

With a token: `cluster-info` is read without credentials, its signature must be the token's (HMAC
over the kubeconfig in it), its CA must be one of the pinned ones, and reading it again through that
CA must give the same.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from rehearsal import files, pki
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.kubeadm_common import KubeadmError
from rehearsal.kubeconfig import Access

IDENTITY = "couldn't validate the identity of the API Server"
PHASE = "error execution phase preflight"
POLL_SECONDS = 0.5


def discover(
    *, server: str, token: str, pins: Sequence[str], unsafe: bool, timeout: float
) -> Access:
    """Return access to the cluster at `server` (`host:port`) as the owner of `token`.

    Raises:
        KubeadmError: it is not the cluster that was meant, or it did not answer in `timeout`
        seconds.
    """
    url = f"https://{server}"
    identifier, _, secret = token.partition(".")
    open_client = Client(Access(server=url, insecure=True), timeout=10.0, user_agent="kubeadm")
    kubeconfig = _signed(open_client, identifier, secret, timeout=timeout)
    document = files.load_yaml(kubeconfig)
    cluster = document["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"])
    own = pki.pin(pki.parse_certificate(ca))
    if pins and own not in {pin.lower() for pin in pins}:
        raise KubeadmError(
            f"{PHASE}: {IDENTITY}: cluster CA found in cluster-info ConfigMap is invalid: "
            "none of the public keys "
            f'"{own}" are pinned'
        )
    if not pins and not unsafe:
        raise KubeadmError(
            'discovery.bootstrapToken: Invalid value: "": using token-based discovery '
            "without caCertHashes can be unsafe. "
            "Set unsafeSkipCAVerification as true in your kubeadm config file or pass "
            "--discovery-token-unsafe-skip-ca-verification flag to continue"
        )
    access = Access(server=cluster["server"], ca=ca.decode(), token=token)
    checked = Client(access._replace(server=url, token=""), timeout=10.0, user_agent="kubeadm")
    try:
        again = checked.get("configmaps", "cluster-info", namespace="kube-public")
    except (ApiError, UnreachableError) as error:
        raise KubeadmError(
            f"{PHASE}: {IDENTITY}: failed to request the cluster-info ConfigMap: {error}"
        ) from error
    if again["data"]["kubeconfig"] != kubeconfig:
        raise KubeadmError(
            f"{PHASE}: {IDENTITY}: the second kubeconfig from the cluster-info ConfigMap is "
            "different from the first"
        )
    return access


def _signed(client: Client, identifier: str, secret: str, *, timeout: float) -> str:
    """Return cluster-info's kubeconfig once it carries the token's signature."""
    signed: list[str] = []
    problem = ""

    def look() -> bool:
        nonlocal problem
        try:
            found = client.get("configmaps", "cluster-info", namespace="kube-public")
        except (ApiError, UnreachableError) as error:
            problem = f"failed to request the cluster-info ConfigMap: {error}"
            return False
        data: dict[str, Any] = found.get("data", {})
        signature = data.get(f"jws-kubeconfig-{identifier}")
        if signature is None:
            problem = (
                "could not find a JWS signature in the cluster-info ConfigMap for token ID "
                f'"{identifier}"'
            )
            return False
        if not hmac.compare_digest(signature, sign(data["kubeconfig"], identifier, secret)):
            raise KubeadmError(
                f"{PHASE}: {IDENTITY}: failed to verify JWS signature of received "
                "cluster info object, can't "
                "trust this API Server"
            )
        signed.append(str(data["kubeconfig"]))
        return True

    if not files.wait(look, timeout=timeout, interval=POLL_SECONDS):
        raise KubeadmError(f"{PHASE}: {IDENTITY}: {problem}")
    return signed[0]


def sign(content: str, identifier: str, secret: str) -> str:
    """Return the detached JWS (HS256) of `content` by a bootstrap token."""
    header = _url64(json.dumps({"alg": "HS256", "kid": identifier}, separators=(",", ":")).encode())
    payload = _url64(content.encode())
    digest = hmac.new(secret.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    return f"{header}..{_url64(digest)}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
