import itertools
import socket

import pytest
from rehearsal import store as stores
from rehearsal.hub import Event, Hub
from rehearsal.store import Change, EtcdStore, StoreError


def test_who_watches_little_of_a_busy_cluster_hears_something_all_the_same(hub: Hub) -> None:
    """Nobody ever waits here: with each look at the clock something else has changed."""
    moments = itertools.count(step=4)

    def busy() -> float:
        moment = next(moments)
        hub._take(Event(Change("/registry/leases/a", b'{"metadata": {}}', None, moment + 1)))
        return float(moment)

    heard = list(hub.follow("/registry/pods/", 0, beat=10.0, until=80.0, clock=busy))
    assert len(heard) > 1
    assert all(isinstance(one, int) for one in heard)


def test_an_etcd_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_CONNECT_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        etcd = EtcdStore([f"http://127.0.0.1:{silent.getsockname()[1]}"])
        with pytest.raises(StoreError, match="watch broke: timed out"):
            next(iter(etcd.watch("/registry/", 1)))
