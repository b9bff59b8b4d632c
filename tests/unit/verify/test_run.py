import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from kubeops.errors import TransportError, UnknownOutcomeError, UsageError
from kubeops.model.desired import Role
from kubeops.model.verify import Verdict, Verified, VerifyReport
from kubeops.verify.api import NODES
from kubeops.verify.run import verify
from tests.unit.verify.broken import BROKEN, Broken
from tests.unit.verify.machines import NOW, Machine, cluster, transport

CP, WORKER = Role.CONTROL_PLANE, Role.WORKER
HEALTHY = (
    Machine(name="cp1", role=CP),
    Machine(name="w1", role=WORKER),
    Machine(name="w2", role=WORKER),
)


def now() -> datetime:
    return NOW


def of(report: VerifyReport, host: str, verdict: Verdict) -> list[str]:
    return [
        item.text for item in report.properties if item.host == host and item.verdict is verdict
    ]


@pytest.fixture(scope="module")
def broken() -> VerifyReport:
    """One look at a cluster where each host has one thing broken."""
    machines = (*HEALTHY, *(each.machine for each in BROKEN))
    return verify(cluster(machines), transport(machines), now=now)


@pytest.mark.parametrize("each", BROKEN, ids=lambda each: each.machine.name)
def test_what_is_broken_is_found_and_nothing_else(broken: VerifyReport, each: Broken) -> None:
    failures = [item for item in broken.failures if item.host == each.machine.name]
    assert [item.text for item in failures] == [each.property]
    assert each.found in failures[0].found
    assert failures[0].expected
    assert failures[0].cure


def test_every_property_is_broken_by_some_case(broken: VerifyReport) -> None:
    """A property that cannot fail is a defect."""
    every = {item.text for item in broken.properties}
    assert every == {each.property for each in BROKEN} | {"answers over SSH, as root"}


def test_healthy_hosts_have_every_property() -> None:
    seen: list[tuple[str, int]] = []

    def progress(host: str, properties: tuple[Verified, ...]) -> None:
        seen.append((host, len(properties)))

    report = verify(cluster(HEALTHY), transport(HEALTHY), now=now, progress=progress)
    assert report.failures == ()
    assert report.count(Verdict.SKIPPED) == 0
    assert report.rehearsal
    assert report.hosts == ("cp1", "w1", "w2")
    assert seen == [(host, report.count(Verdict.PASSED, host=host)) for host in report.hosts]
    assert [item.host for item in report.properties] == sorted(
        item.host for item in report.properties
    )


def test_a_host_that_is_not_reached_fails_once() -> None:
    gone = Machine(
        name="w3", role=WORKER, error=TransportError("w3: no route", host="w3", hint="switch it on")
    )
    machines = (*HEALTHY, gone)
    report = verify(cluster(machines), transport(machines), now=now)
    assert [(item.host, item.text) for item in report.failures] == [
        ("w3", "answers over SSH, as root")
    ]
    assert (report.failures[0].found, report.failures[0].cure) == ("w3: no route", "switch it on")
    # Its node is told of by the control plane.
    assert of(report, "w3", Verdict.PASSED) == [
        "its node is Ready",
        "its node runs the inventory's version",
        "its node has the inventory's labels",
        "its node has the inventory's taints",
    ]


def test_a_host_that_is_not_reached_is_tried_once() -> None:
    gone = Machine(name="w3", role=WORKER, error=TransportError("w3: no route", host="w3"))
    machines = (*HEALTHY, gone)
    fake = transport(machines)
    verify(cluster(machines), fake, now=now)
    assert len(fake.runner("w3").commands) == 1


def test_nobody_is_asked_twice() -> None:
    fake = transport(HEALTHY)
    verify(cluster(HEALTHY), fake, now=now)
    for runner in fake.runners.values():
        scripts = [command.argv[2] for command in runner.commands]
        assert len(scripts) == len(set(scripts))
        assert all(command.root for command in runner.commands)


def test_a_command_that_hangs_fails_what_needs_it() -> None:
    hanging = transport(HEALTHY)
    error = UnknownOutcomeError("w1: `crictl version` was ended", host="w1", hint="look there")
    runner = hanging.runner("w1")
    runner._answers.clear()
    runner.on(("sh", "-c", "crictl version"), error=error)
    HEALTHY[1].script(runner, nodes="")
    report = verify(cluster(HEALTHY), hanging, now=now)
    assert [(item.host, item.text) for item in report.failures] == [
        ("w1", "crictl talks to containerd")
    ]
    assert report.failures[0].found == "w1: `crictl version` was ended"


def test_a_silent_api_is_one_failure_for_each_node() -> None:
    refused = (1, "The connection to the server 10.0.0.10:6443 was refused")
    machines = (
        Machine(name="cp1", role=CP, answers={"kubectl": refused}),
        Machine(name="w1", role=WORKER),
    )
    report = verify(cluster(machines), transport(machines), now=now)
    assert [(item.host, item.text) for item in report.failures] == [
        ("cp1", "its node is Ready"),
        ("w1", "its node is Ready"),
    ]
    assert "cp1: The connection to the server" in report.failures[1].found
    assert report.count(Verdict.SKIPPED, host="w1") == 3


def test_limit_asks_the_api_all_the_same() -> None:
    fake = transport(HEALTHY)
    report = verify(cluster(HEALTHY), fake, now=now, limit=("w2",))
    assert report.hosts == ("w2",)
    assert {item.host for item in report.properties} == {"w2"}
    assert report.failures == ()
    assert of(report, "w2", Verdict.SKIPPED) == ["its clock agrees with the other hosts'"]
    assert fake.runner("w1").commands == []
    assert [command.argv[2].split()[0] for command in fake.runner("cp1").commands] == ["kubectl"]


def test_only_what_fits_is_looked_at() -> None:
    report = verify(cluster(HEALTHY), transport(HEALTHY), now=now, only="held and w1 and kubelet")
    assert [(item.host, item.text) for item in report.properties] == [("w1", "kubelet is held")]


@pytest.mark.parametrize(
    ("only", "says"), [("held and", "no expression"), ("nothing_like_it", "no property fits")]
)
def test_only_has_to_make_sense(only: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        verify(cluster(HEALTHY), transport(HEALTHY), now=now, only=only)


def test_no_configuration_around_it_matters(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('read')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    report = verify(cluster(HEALTHY), transport(HEALTHY), now=now, only="swap")
    assert report.failures == ()
    assert report.properties
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conftest.py", "pytest.ini"]
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_ends_it() -> None:
    def progress(_host: str, _properties: tuple[Verified, ...]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(cluster(HEALTHY), transport(HEALTHY), now=now, only="swap", progress=progress)


def test_a_defect_of_the_suite_is_not_taken_for_a_finding() -> None:
    def progress(_host: str, _properties: tuple[Verified, ...]) -> None:
        raise ValueError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        verify(cluster(HEALTHY), transport(HEALTHY), now=now, only="swap", progress=progress)


@pytest.mark.parametrize(
    ("known", "left_out"),
    [
        ({"w1": True, "w2": False}, ("w2", "w2: waits to replace w1")),
        ({"w1": False, "w2": True}, ("w1", "w1: replaced by w2")),
    ],
    ids=["waiting", "replaced"],
)
def test_hosts_that_are_not_to_be_nodes_are_left_out_unless_named(
    known: Mapping[str, bool], left_out: tuple[str, str]
) -> None:
    machines = (HEALTHY[0], *(replace(one, known=known[one.name]) for one in HEALTHY[1:]))
    made = cluster(machines)
    made = replace(made, hosts=(*made.hosts[:2], replace(made.hosts[2], replaces="w1")))
    name, why = left_out
    report = verify(made, transport(machines), now=now)
    assert (report.left_out, report.failures) == ((why,), ())
    assert name not in report.hosts
    named = verify(made, transport(machines), now=now, limit=[name])
    assert (named.hosts, named.left_out) == ((name,), ())
    assert named.failures


def test_while_the_api_is_silent_nobody_is_left_out() -> None:
    silent = {NODES: (1, "the server is away")}
    machines = (replace(HEALTHY[0], answers=silent), *HEALTHY[1:])
    made = cluster(machines)
    made = replace(made, hosts=(*made.hosts[:2], replace(made.hosts[2], replaces="w1")))
    report = verify(made, transport(machines), now=now)
    assert report.hosts == ("cp1", "w1", "w2")
