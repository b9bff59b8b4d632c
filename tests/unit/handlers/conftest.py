import pytest

from kubeops.handlers import observe, packages, runtime
from tests.unit.handlers.values import Bench


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A cluster of cp1 to cp3, w1 and w2; what is observed of it is what the bench was told."""
    made = Bench()
    monkeypatch.setattr(observe, "gather_host", lambda name, *_, **__: made.see_host(name))
    for reading in ("gather_from", "gather_answers"):
        monkeypatch.setattr(observe, reading, lambda name, *_, **__: made.see_cluster(name))
    monkeypatch.setattr(observe, "gather_objects", lambda name, *_: made.see_objects(name))
    monkeypatch.setattr(observe, "gather_etcd", lambda name, *_: made.see_objects(name)[1])
    for module in (packages, runtime):
        monkeypatch.setattr(module, "installed", made.see_packages)
    monkeypatch.setattr(observe, "kubeadm_state", made.see_kubeadm)
    monkeypatch.setattr(runtime, "containerd_version", made.see_containerd)
    return made
