"""Leader election by a Lease, as the control plane's components hold it.

The times are Kubernetes' defaults: a lease counts 15 s from when we saw it change, is renewed every
2 s, and is lost after 10 s without success, which ends the process. A leader that is told to stop
gives the lease back.
"""

import socket
import threading
import time
import uuid
from typing import Any

from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.objects import micro_stamp

Obj = dict[str, Any]

_DURATION = 15
_RENEW_DEADLINE = 10.0
_RETRY = 2.0
_NAMESPACE = "kube-system"


class Elector:
    """Wins, keeps and gives back one lease in kube-system.

    Args:
        client: talks to the API server; its timeout should be shorter than the renew deadline.
        name: the lease's name, which is the component's.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self._seen: tuple[str, float] = ("", 0.0)

    def win(self, stopped: threading.Event) -> bool:
        """Wait until we lead; False when stopped before."""
        while not stopped.is_set():
            if self._try():
                return True
            stopped.wait(_RETRY)
        return False

    def keep(self, stopped: threading.Event) -> bool:
        """Renew until stopped (True, and the lease is free again) or lost (False)."""
        renewed = time.monotonic()
        while not stopped.wait(_RETRY):
            if self._try():
                renewed = time.monotonic()
            elif time.monotonic() - renewed > _RENEW_DEADLINE:
                return False
        self._release()
        return True

    def _try(self) -> bool:
        try:
            lease = self._client.find("leases", self._name, namespace=_NAMESPACE)
            if lease is None:
                self._client.create("leases", self._new())
                return True
            if not self._free(lease):
                return False
            self._client.replace("leases", self._taken(lease))
        except (ApiError, UnreachableError):
            return False
        return True

    def _free(self, lease: Obj) -> bool:
        spec = lease["spec"]
        holder = spec.get("holderIdentity", "")
        if holder in ("", self.identity):
            return True
        state = f"{holder} {spec.get('renewTime')}"
        if self._seen[0] != state:
            self._seen = (state, time.monotonic())
        limit: float = spec.get("leaseDurationSeconds", _DURATION)
        return time.monotonic() - self._seen[1] > limit

    def _new(self) -> Obj:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": _NAMESPACE},
            "spec": self._spec(transitions=0, acquired=micro_stamp()),
        }

    def _taken(self, lease: Obj) -> Obj:
        spec = lease["spec"]
        ours = spec.get("holderIdentity") == self.identity
        lease["spec"] = self._spec(
            transitions=spec.get("leaseTransitions", 0) + (0 if ours else 1),
            acquired=spec["acquireTime"] if ours else micro_stamp(),
        )
        return lease

    def _spec(self, *, transitions: int, acquired: str) -> Obj:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": _DURATION,
            "acquireTime": acquired,
            "renewTime": micro_stamp(),
            "leaseTransitions": transitions,
        }

    def _release(self) -> None:
        try:
            lease = self._client.get("leases", self._name, namespace=_NAMESPACE)
            if lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._client.replace("leases", lease)
        except (ApiError, UnreachableError):
            return
