from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rehearsal.apierrors import ApiError
from rehearsal.kubelet_pods import MIRROR, Pods
from rehearsal.kubelet_static import StaticPod

OLD = {
    "metadata": {"name": "etcd-cp1", "namespace": "kube-system", "annotations": {MIRROR: "old"}},
    "spec": {"nodeName": "cp1"},
}
KEY = ("kube-system", "etcd-cp1")


class RefusingOnce:
    """An API server whose etcd is away at the first deletion, and that keeps one pod."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.there = True

    def delete(self, _resource: str, name: str, **_options: Any) -> None:
        self.asked.append(f"delete {name}")
        if len(self.asked) == 1:
            raise ApiError(500, "InternalError", "connection error: Connection refused")
        self.there = False

    def find(self, _resource: str, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": "1"}}

    def create(self, _resource: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(f"create {body['metadata']['name']}")
        if self.there:
            raise ApiError(409, "AlreadyExists", 'pods "etcd-cp1" already exists')
        return body


def test_a_mirror_that_could_not_be_deleted_is_replaced_later() -> None:
    manifest = {"metadata": {"name": "etcd", "namespace": "kube-system"}, "spec": {}}
    static: Any = SimpleNamespace(
        wanted=lambda: {"etcd": StaticPod(manifest=manifest, hash="new")},
        record=lambda _name: SimpleNamespace(fingerprint="new"),
        running=dict,
    )
    runtime: Any = SimpleNamespace(containers=list)
    keeper: Any = SimpleNamespace(layout=Path("/nowhere"))
    pods = Pods(
        node="cp1",
        runtime=runtime,
        static=static,
        keeper=keeper,
        address=lambda: "10.0.0.1",
        log=lambda _text: None,
        known={KEY: OLD},
    )
    api: Any = RefusingOnce()
    pods._mirrors(api, dict(pods.known))
    assert api.asked == ["delete etcd-cp1"]
    pods._mirrors(api, dict(pods.known))
    assert api.asked[1:] == ["delete etcd-cp1", "create etcd-cp1"]
    assert pods.known[KEY]["metadata"]["annotations"][MIRROR] == "new"
