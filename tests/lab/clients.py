"""A client of a cluster, who looks at it through its endpoint while something is done to it."""

import base64
import http.client
import json
import ssl
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

INTERVAL = 0.25
PATIENCE = 5.0
PODS = "/api/v1/namespaces/default/pods"
NODES = "/api/v1/nodes"

Span = tuple[float, float]


class UnansweredError(Exception):
    """The endpoint did not answer as it should."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen, and when; `said` is what went wrong, empty when the endpoint answered.

    Attributes:
        available: how many pods are ready and not about to end, by their label `app`.
        pods: the names of those pods.
        away: nodes that are cordoned or not Ready.
    """

    began: float
    said: str = ""
    available: Mapping[str, int] = field(default_factory=dict)
    pods: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()


class Client:
    """Lists pods and nodes through the endpoint, over a new connection each time, in its `with`.

    Args:
        kubeconfig: an administrator's, as kubeadm writes it.
        directory: where certificate and key are put.
    """

    def __init__(self, kubeconfig: str, directory: Path) -> None:
        document = yaml.safe_load(kubeconfig)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._server = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        pair = directory / "client.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"])
            + base64.b64decode(user["client-key-data"])
        )
        self._tls.load_cert_chain(pair)
        self._over = Event()
        self._thread = Thread(target=self._watch, name="client", daemon=True)
        self.looks: list[Look] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def answered(self) -> list[Look]:
        return [look for look in self.looks if not look.said]

    def least(self, app: str) -> int:
        """The fewest available pods of `app` that were ever seen."""
        return min(look.available.get(app, 0) for look in self.answered)

    def away_together(self, names: Iterable[str]) -> int:
        """How many of the nodes were away at the same time, at most."""
        wanted = frozenset(names)
        return max(len(look.away & wanted) for look in self.answered)

    def gaps(self) -> Iterator[tuple[Span, str]]:
        """When the endpoint did not answer, from the first such look to the next good one."""
        began, said = 0.0, ""
        for look in self.looks:
            if look.said and not said:
                began, said = look.began, look.said
            elif said and not look.said:
                yield (began, look.began), said
                said = ""
        if said:
            yield (began, self.looks[-1].began), said

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            began = time.time()
            try:
                self.looks.append(self._look(began))
            except UnansweredError as error:
                self.looks.append(Look(began=began, said=str(error)))

    def _look(self, began: float) -> Look:
        connection = http.client.HTTPSConnection(
            str(self._server.hostname), self._server.port, timeout=PATIENCE, context=self._tls
        )
        try:
            pods = [pod for pod in self._list(connection, PODS) if _is_available(pod)]
            nodes = [node for node in self._list(connection, NODES) if _is_away(node)]
        finally:
            connection.close()
        return Look(
            began=began,
            available=Counter(pod["metadata"]["labels"]["app"] for pod in pods),
            pods=frozenset(pod["metadata"]["name"] for pod in pods),
            away=frozenset(node["metadata"]["name"] for node in nodes),
        )

    def _list(self, connection: http.client.HTTPSConnection, path: str) -> list[Any]:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnansweredError(f"{path}: {error!r}") from error
        if response.status != http.client.OK:
            raise UnansweredError(f"{path}: {response.status} {body.decode()[:200]}")
        found: list[Any] = json.loads(body)["items"]
        return found


def outside(gaps: Iterable[tuple[Span, str]], windows: Iterable[Span]) -> list[tuple[Span, str]]:
    """The gaps that lie in no window, or only partly in one."""
    spans = list(windows)
    return [
        ((began, ended), said)
        for (began, ended), said in gaps
        if not any(start <= began and ended <= end for start, end in spans)
    ]


def _is_available(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)


def _is_away(node: Mapping[str, Any]) -> bool:
    return bool(node["spec"].get("unschedulable")) or not _is_ready(node)


def _is_ready(thing: Mapping[str, Any]) -> bool:
    conditions = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
