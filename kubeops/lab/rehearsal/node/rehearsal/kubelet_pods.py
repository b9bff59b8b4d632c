"""The pods of a node as the API knows them: mirrors of static pods, and ordinary ones.

An ordinary pod gets its images pulled, a container record, an address of the node's range, and is
Running and Ready after a moment; without a CNI configuration it waits, as it would. Deleted pods go
away when their preStop `sleep` is over (never later than their grace). Nothing of an ordinary pod
is executed, no probe of it is made; a pod that is not to be restarted succeeds after a second.
"""

import ipaddress
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rehearsal import files
from rehearsal import kubelet_status as shapes
from rehearsal.apierrors import ApiError
from rehearsal.client import Client
from rehearsal.kubelet_node import NodeKeeper, network_ready
from rehearsal.kubelet_static import StaticPod, StaticPods
from rehearsal.runtime import Container, Runtime, RuntimeFailureError, new_id

CREATE_SECONDS = 0.3
STOP_SECONDS = 0.3
RETRY_SECONDS = 2.0
MIRROR = "kubernetes.io/config.mirror"
Obj = dict[str, Any]
Key = tuple[str, str]


@dataclass(kw_only=True)
class Pods:
    """What the API says runs here, and the steps to make it so; one thread calls `tick` often."""

    node: str
    runtime: Runtime
    static: StaticPods
    keeper: NodeKeeper
    address: Callable[[], str]
    log: Callable[[str], None]
    known: dict[Key, Obj] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _due: dict[str, float] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)

    def follow(self, client: Client) -> None:
        """Take in the events of one watch until it ends."""
        first = client.list("pods", fields=f"spec.nodeName={self.node}")
        with self.lock:
            self.known = {_key(pod): pod for pod in first.get("items", [])}
        version = first["metadata"]["resourceVersion"]
        for event, pod in client.watch(
            "pods", fields=f"spec.nodeName={self.node}", resource_version=version
        ):
            with self.lock:
                if event == "DELETED":
                    self.known.pop(_key(pod), None)
                elif event in {"ADDED", "MODIFIED"}:
                    self.known[_key(pod)] = pod

    def tick(self, client: Client) -> None:
        """Take one step for every pod."""
        with self.lock:
            pods = dict(self.known)
        self._mirrors(client, pods)
        self._records(pods.values())
        for pod in pods.values():
            if MIRROR in (pod["metadata"].get("annotations") or {}):
                continue
            try:
                if pod["metadata"].get("deletionTimestamp"):
                    self._finish(client, pod)
                elif pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
                    self._run(client, pod)
            except ApiError as error:
                if error.reason not in {"NotFound", "Conflict"}:
                    raise

    # Mirrors of static pods

    def _mirrors(self, client: Client, pods: dict[Key, Obj]) -> None:
        wanted = self.static.wanted()
        names = {(pod.namespace, f"{pod.name}-{self.node}"): pod for pod in wanted.values()}
        stays: set[Key] = set()
        for key, pod in pods.items():
            mark = (pod["metadata"].get("annotations") or {}).get(MIRROR)
            if mark is None:
                continue
            static = names.get(key)
            record = self.static.record(static.name) if static else None
            replaced = (
                static is not None
                and record is not None
                and (mark != static.hash and record.fingerprint == static.hash)
            )
            gone = static is None and not any(
                c.pod == key[1] for c in self.static.running().values()
            )
            if replaced or gone or pod["metadata"].get("deletionTimestamp"):
                try:
                    client.delete("pods", key[1], namespace=key[0], grace=0)
                except ApiError as error:
                    if error.reason != "NotFound":
                        stays.add(key)
                        continue
                self._drop(key)
        for key, static in names.items():
            record = self.static.record(static.name)
            if key in stays or record is None or record.fingerprint != static.hash:
                continue
            present = self.known.get(key)
            if present is None:
                self._create_mirror(client, key, static)
            else:
                self._mirror_status(client, key, static, record)

    def _drop(self, key: Key) -> None:
        with self.lock:
            self.known.pop(key, None)

    def _create_mirror(self, client: Client, key: Key, static: StaticPod) -> None:
        owner = client.find("nodes", self.node)
        if owner is None:
            return
        meta = static.manifest["metadata"]
        body: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": key[1],
                "namespace": key[0],
                "labels": dict(meta.get("labels") or {}),
                "annotations": {
                    **(meta.get("annotations") or {}),
                    "kubernetes.io/config.hash": static.hash,
                    MIRROR: static.hash,
                    "kubernetes.io/config.seen": files.stamp(),
                    "kubernetes.io/config.source": "file",
                },
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "controller": True,
                        "kind": "Node",
                        "name": self.node,
                        "uid": owner["metadata"]["uid"],
                    }
                ],
            },
            "spec": {
                "terminationGracePeriodSeconds": 30,
                "restartPolicy": "Always",
                "dnsPolicy": "ClusterFirst",
                "tolerations": [{"effect": "NoExecute", "operator": "Exists"}],
                **static.manifest["spec"],
                "nodeName": self.node,
            },
        }
        with suppress(ApiError):
            created = client.create("pods", body)
            with self.lock:
                self.known[key] = created

    def _mirror_status(
        self, client: Client, key: Key, static: StaticPod, record: Container
    ) -> None:
        ready = self.static.ready.get(static.name, False) and record.running
        address = self.address()
        status = shapes.pod_status(
            phase="Running",
            ready=ready,
            started=shapes.moment(record.created),
            host=address,
            address=address,
            containers=[shapes.container_status(static.container, record, ready=ready)],
            before=self.known.get(key, {}).get("status", {}),
        )
        self._post(client, key, status)

    # Ordinary pods

    def _run(self, client: Client, pod: Obj) -> None:
        key, uid = _key(pod), pod["metadata"]["uid"]
        if uid in self._started:
            return
        known = any(record.uid == uid for record in self.runtime.containers())
        if known and pod["status"].get("phase") == "Running":
            self._started.add(uid)
            return
        moment = time.monotonic()
        host_network = bool(pod["spec"].get("hostNetwork"))
        if not host_network and not network_ready(self.runtime.layout):
            self._wait(client, pod, "ContainerCreating")
            return
        if uid not in self._due:
            self._due[uid] = moment + CREATE_SECONDS
            self._wait(client, pod, "ContainerCreating")
        if moment < self._due[uid]:
            return
        try:
            for container in _containers(pod):
                if not self.runtime.has_image(container["image"]):
                    self.runtime.pull(container["image"])
        except RuntimeFailureError as error:
            self._due[uid] = moment + RETRY_SECONDS
            self._wait(client, pod, "ErrImagePull", str(error))
            return
        self._post(client, key, self._running_status(pod, host_network=host_network))
        self._due.pop(uid, None)
        self._started.add(uid)

    def _wait(self, client: Client, pod: Obj, reason: str, message: str = "") -> None:
        status = shapes.waiting_status(pod, self.address(), reason, message)
        self._post(client, _key(pod), status)

    def _running_status(self, pod: Obj, *, host_network: bool) -> Obj:
        uid = pod["metadata"]["uid"]
        before = pod.get("status", {})
        old = {c["name"]: c for c in before.get("containerStatuses") or []}
        restarted = before.get("phase") == "Running"
        pod_id = new_id(uid)
        records = [
            self.runtime.save(
                Container(
                    id=new_id(uid, spec["name"]),
                    pod_id=pod_id,
                    name=spec["name"],
                    image=spec["image"],
                    pod=pod["metadata"]["name"],
                    namespace=pod["metadata"]["namespace"],
                    uid=uid,
                    created=time.time_ns(),
                    source="api",
                    attempt=old.get(spec["name"], {}).get("restartCount", 0) + restarted,
                    grace=float(pod["spec"].get("terminationGracePeriodSeconds", 30)),
                )
            )
            for spec in pod["spec"]["containers"]
        ]
        done = pod["spec"].get("restartPolicy", "Always") != "Always"
        address = self.address() if host_network else self._free_address()
        return shapes.pod_status(
            phase="Succeeded" if done else "Running",
            ready=not done,
            started=before.get("startTime") or files.stamp(),
            host=self.address(),
            address=address,
            containers=[
                shapes.container_status(spec, record, ready=not done)
                for spec, record in zip(pod["spec"]["containers"], records, strict=True)
            ],
            before=before,
        )

    def _free_address(self) -> str:
        network = ipaddress.ip_network(self.keeper.cidr or "10.244.0.0/24", strict=False)
        with self.lock:
            taken = {pod.get("status", {}).get("podIP") for pod in self.known.values()}
        hosts = network.hosts()
        next(hosts)  # the bridge's own
        return next(str(host) for host in hosts if str(host) not in taken)

    def _finish(self, client: Client, pod: Obj) -> None:
        key, uid = _key(pod), pod["metadata"]["uid"]
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        moment = time.monotonic()
        stop = f"stop {uid}"
        if stop not in self._due:
            runs = uid in self._started
            self._due[stop] = moment + (min(grace, pre_stop(pod) + STOP_SECONDS) if runs else 0.0)
        if moment < self._due[stop]:
            return
        for record in self.runtime.containers():
            if record.uid == uid:
                self.runtime.forget(record)
        client.delete("pods", key[1], namespace=key[0], grace=0, uid=uid)
        self._due.pop(stop)
        self._due.pop(uid, None)
        self._started.discard(uid)
        self._drop(key)

    def _records(self, pods: Iterable[Obj]) -> None:
        """Forget the containers of pods that vanished from the API, as after a restore."""
        if not self._started:
            return
        uids = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._started - uids:
            self._started.discard(uid)
            for record in self.runtime.containers():
                if record.uid == uid:
                    self.runtime.forget(record)

    def _post(self, client: Client, key: Key, status: Obj) -> None:
        present = self.known.get(key)
        if present is None or shapes.same(present.get("status", {}), status):
            return
        answer = client.patch(
            "pods", key[1], {"status": status}, namespace=key[0], subresource="status"
        )
        with self.lock:
            if key in self.known:
                self.known[key] = answer


def pre_stop(pod: Obj) -> float:
    """Return how long a pod's preStop hooks take: the longest `sleep` found in them, in seconds."""
    longest = 0.0
    for container in pod["spec"]["containers"]:
        hook = (container.get("lifecycle") or {}).get("preStop") or {}
        longest = max(longest, float((hook.get("sleep") or {}).get("seconds", 0)))
        words = " ".join((hook.get("exec") or {}).get("command", []))
        for match in re.finditer(r"\bsleep (\d+(?:\.\d+)?)", words):
            longest = max(longest, float(match[1]))
    return longest


def _key(pod: Obj) -> Key:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _containers(pod: Obj) -> list[Obj]:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
