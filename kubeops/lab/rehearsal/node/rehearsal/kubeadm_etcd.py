"""Membership of the stacked etcd, through etcd's own JSON gateway."""

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rehearsal.client import Client
from rehearsal.kubeadm_common import retry

T = TypeVar("T")

ANNOTATION = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
REQUEST_SECONDS = 5.0


class EtcdError(Exception):
    """An etcd member refused or did not answer."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of the cluster. A member that never started has no name."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True, kw_only=True)
class Etcd:
    """A client of the members at `endpoints` (URLs); the first that answers is asked.

    Args:
        pki: the folder with etcd's CA and the healthcheck client's certificate.
    """

    endpoints: Sequence[str]
    pki: Path

    def members(self) -> tuple[Member, ...]:
        """Return the members, as the cluster's majority sees them."""
        answer = self._ask("/v3/cluster/member/list", {})
        return tuple(
            Member(
                id=entry["ID"],
                name=entry.get("name", ""),
                peer_urls=tuple(entry.get("peerURLs", ())),
                client_urls=tuple(entry.get("clientURLs", ())),
                learner=bool(entry.get("isLearner")),
            )
            for entry in answer["members"]
        )

    def add_learner(self, peer: str) -> tuple[Member, ...]:
        """Announce a learner that will be reached at `peer`; returns all members."""
        known = self.members()
        if not any(peer in member.peer_urls for member in known):
            self._ask("/v3/cluster/member/add", {"peerURLs": [peer], "isLearner": True})
            known = self.members()
        return known

    def promote(self, identifier: str) -> None:
        """Make a learner a voting member."""
        self._ask("/v3/cluster/member/promote", {"ID": identifier})

    def remove(self, identifier: str) -> None:
        """Remove a member."""
        self._ask("/v3/cluster/member/remove", {"ID": identifier})

    def healthy(self, endpoint: str) -> bool:
        """Whether the member at `endpoint` reads through the cluster's majority."""
        try:
            key = base64.b64encode(b"health").decode()
            self._post(endpoint, "/v3/kv/range", {"key": key})
        except EtcdError:
            return False
        return True

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        problem: EtcdError = EtcdError("no endpoints available")
        for endpoint in self.endpoints:
            try:
                return self._post(endpoint, path, body)
            except EtcdError as error:
                problem = error
        raise problem

    def _post(self, endpoint: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        host = endpoint.removeprefix("https://")
        try:
            context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
            client = self.pki / "healthcheck-client"
            context.load_cert_chain(f"{client}.crt", f"{client}.key")
            connection = http.client.HTTPSConnection(host, timeout=REQUEST_SECONDS, context=context)
            try:
                connection.request("POST", path, body=json.dumps(body))
                answer = connection.getresponse()
                text = answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise EtcdError(f"{endpoint}: {error}") from error
        found: dict[str, Any] = json.loads(text or "{}")
        if answer.status != http.client.OK:
            raise EtcdError(found.get("message") or text.decode(errors="replace"))
        return found


def endpoints(client: Client, *, but: str = "", timeout: float = 20.0) -> list[str]:
    """Return the client URLs of every etcd that has a pod, without that of node `but`.

    Raises:
        KubeadmError: the API does not answer.
    """
    found = retry(
        lambda: client.list(
            "pods", namespace="kube-system", labels="component=etcd,tier=control-plane"
        ),
        timeout=timeout,
        what="could not retrieve the list of etcd endpoints",
    )
    return [
        pod["metadata"]["annotations"][ANNOTATION]
        for pod in found["items"]
        if pod["spec"].get("nodeName") != but
        and ANNOTATION in pod["metadata"].get("annotations", {})
    ]


def persist(action: Callable[[], T], *, timeout: float, what: str) -> T:
    """Repeat `action` while etcd refuses; raises as `retry`."""
    return retry(action, timeout=timeout, what=what, on=(EtcdError,))
