"""Drains against the recorded session: a budget, a DaemonSet, a bare pod, an emptyDir."""

from collections.abc import Callable
from typing import Any

import pytest
from rehearsal import kubectl_drain
from rehearsal.kubectl_drain import Removal
from rehearsal.kubectl_session import Args, Session, parse

Obj = dict[str, Any]
FLAGS = (
    "ignore-daemonsets delete-emptydir-data force timeout= dry-run? disable-eviction grace-period="
    " pod-selector= skip-wait-for-delete-timeout= selector/l="
)
DAEMONS = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
BARE = "cannot delete cannot delete Pods that declare no controller (use --force to override)"
LOCAL = "cannot delete Pods with local storage (use --delete-emptydir-data to override)"
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


class FakeTime:
    """A clock that moves only when somebody waits; `after` runs once, when its moment comes."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def drain(admin: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `kubectl drain node4 FLAGS`, or another verb, without waiting for real."""
    time = FakeTime()

    def removal(session: Session, args: Args) -> Removal:
        return Removal(session, args, clock=time, wait=time.wait)

    monkeypatch.setattr(kubectl_drain, "Removal", removal)

    def run(*flags: str, verb: str = "drain") -> int:
        args = parse(["node4", *flags], FLAGS, verb=verb)
        session = Session(args, version="1.35.4")
        session.client = admin
        return int(getattr(kubectl_drain, verb)(session, args))

    return run


@pytest.fixture
def recorded(admin: Any, add_node: Any, add_pod: Any) -> None:
    """The node of the recorded session, with room for no disruption of `web`."""
    add_node("node4")
    add_pod("agent-bc65h", node="node4", owner=("DaemonSet", "agent"))
    add_pod("bare", node="node4")
    add_pod(
        "scratch-5spjr",
        node="node4",
        owner=("ReplicaSet", "scratch"),
        volumes=({"name": "e", "emptyDir": {}},),
    )
    for number in range(2):
        add_pod(f"web-{number}", node="node4", labels={"app": "web"}, owner=("ReplicaSet", "web"))
    admin.create(
        "pdb",
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        },
    )
    status = {"observedGeneration": 1, "disruptionsAllowed": 0}
    admin.patch("pdb", "web", {"status": status}, namespace="default", subresource="status")


def unschedulable(admin: Any) -> bool:
    return bool(admin.get("nodes", "node4")["spec"].get("unschedulable"))


@pytest.mark.usefixtures("recorded")
def test_a_refusal_names_every_reason_and_leaves_the_node_cordoned(
    admin: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drain() == 1
    out, err = capsys.readouterr()
    assert out == "node/node4 cordoned\n"
    daemons, bare = f"{DAEMONS}: default/agent-bc65h", f"{BARE}: default/bare"
    local = f"{LOCAL}: default/scratch-5spjr"
    assert err == (
        f'error: unable to drain node "node4" due to error: [{daemons}, {bare}, {local}],'
        " continuing command...\n"
        f"There are pending nodes to be drained:\n node4\n{daemons}\n{bare}\n{local}\n"
    )
    assert unschedulable(admin)


@pytest.mark.usefixtures("recorded")
def test_one_reason_stands_without_brackets(drain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert drain("--ignore-daemonsets", "--delete-emptydir-data") == 1
    assert capsys.readouterr().err == (
        f'error: unable to drain node "node4" due to error: {BARE}: default/bare, continuing'
        " command...\n"
        f"There are pending nodes to be drained:\n node4\n{BARE}: default/bare\n"
    )


@pytest.mark.usefixtures("recorded")
def test_a_client_side_dry_run_asks_no_budget_and_touches_nothing(
    admin: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--dry-run=client")
    assert drain(*flags) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "node/node4 cordoned (dry run)",
        "evicting pod default/bare (dry run)",
        "evicting pod default/scratch-5spjr (dry run)",
        "evicting pod default/web-0 (dry run)",
        "evicting pod default/web-1 (dry run)",
        "node/node4 drained (dry run)",
    ]
    assert err == (
        "Warning: ignoring DaemonSet-managed Pods: default/agent-bc65h; deleting Pods that declare"
        " no controller: default/bare\n"
    )
    assert not unschedulable(admin)


@pytest.mark.usefixtures("recorded")
def test_a_blocked_drain_retries_every_five_seconds_until_its_timeout(
    admin: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.delete("pods", "bare", namespace="default", grace=0)
    admin.delete("pods", "scratch-5spjr", namespace="default", grace=0)
    assert drain("--ignore-daemonsets", "--timeout=12s") == 1
    out, err = capsys.readouterr()
    again = ["evicting pod default/web-0", "evicting pod default/web-1"]
    assert out.splitlines() == ["node/node4 cordoned", *again * 3]
    late = [
        f'error when evicting pods/"web-{number}" -n "default": global timeout reached: 12s'
        for number in range(2)
    ]
    retried = [
        f'error when evicting pods/"web-{number}" -n "default" (will retry after 5s): {VIOLATES}'
        for number in range(2)
    ]
    joined = ", ".join(late)
    assert err.splitlines() == [
        "Warning: ignoring DaemonSet-managed Pods: default/agent-bc65h",
        *retried * 3,
        f'There are pending pods in node "node4" when an error occurred: [{joined}]',
        "pod/web-0",
        "pod/web-1",
        f'error: unable to drain node "node4" due to error: [{joined}], continuing command...',
        "There are pending nodes to be drained:",
        " node4",
        *late,
    ]
    assert unschedulable(admin)


@pytest.mark.usefixtures("recorded")
def test_a_server_side_dry_run_asks_the_budgets_and_evicts_nobody(
    admin: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--dry-run=server")
    assert drain(*flags, "--timeout=4s") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "node/node4 cordoned (server dry run)"
    assert "evicting pod default/bare (server dry run)" in out
    assert VIOLATES in err
    assert len(admin.list("pods")["items"]) == 5
    assert not unschedulable(admin)


def test_a_drain_ends_when_the_pods_are_gone(
    admin: Any, add_node: Any, add_pod: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    add_node("node4", unschedulable=True)
    pod = add_pod("web-0", node="node4", owner=("ReplicaSet", "web"))
    status = {**pod["status"], "phase": "Succeeded"}  # finished pods need no kubelet to go
    admin.patch("pods", "web-0", {"status": status}, namespace="default", subresource="status")
    assert drain() == 0
    assert capsys.readouterr().out.splitlines() == [
        "node/node4 already cordoned",
        "evicting pod default/web-0",
        "pod/web-0 evicted",
        "node/node4 drained",
    ]


def test_a_pod_that_does_not_go_is_named_at_the_timeout(
    add_node: Any, add_pod: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    add_node("node4")
    add_pod("web-0", node="node4", owner=("ReplicaSet", "web"))
    assert drain("--timeout=3s") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        'error when waiting for pod "web-0" in namespace "default" to terminate: global timeout'
        " reached: 3s"
    )


@pytest.mark.usefixtures("recorded")
def test_without_eviction_no_budget_is_asked(
    admin: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--disable-eviction")
    assert drain(*flags, "--timeout=1s") == 1
    assert "deleting pod default/web-0\n" in capsys.readouterr().out
    assert admin.get("pods", "web-0", namespace="default")["metadata"]["deletionTimestamp"]


def test_cordon_and_uncordon_say_what_was_so_already(
    add_node: Any, drain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    add_node("node4")
    for verb in ("cordon", "cordon", "uncordon", "uncordon"):
        assert drain(verb=verb) == 0
    assert capsys.readouterr().out.splitlines() == [
        "node/node4 cordoned",
        "node/node4 already cordoned",
        "node/node4 uncordoned",
        "node/node4 already uncordoned",
    ]
