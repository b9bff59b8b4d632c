import io
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.cli.approval import approve
from kubeops.errors import PlanChangedError, PreflightError, UsageError
from kubeops.plan.model import Finding, Plan, Severity
from tests.unit.cli.support import Call, document
from tests.unit.render.values import REFUSED, Terminal, install


def answers(text: str) -> Terminal:
    stream = Terminal()
    stream.write(text)
    stream.seek(0)
    return stream


def test_yes_runs_and_shows_the_plan_beside_the_result() -> None:
    call = Call(yes=True)
    assert approve(install(), call.invocation)
    assert "join the workers" in call.err.getvalue()
    assert call.out.getvalue() == ""


def test_plan_only_prints_with_the_command_that_runs_it() -> None:
    call = Call(plan=True, inventory="prod", given=("--inventory", "prod"))
    plan = install()
    assert not approve(plan, call.invocation)
    assert f"kubeops install --inventory prod --approve {plan.digest}" in call.out.getvalue()


def test_plan_with_json_is_one_document() -> None:
    call = Call(plan=True, json=True)
    assert not approve(install(), call.invocation)
    envelope = document(call.out.getvalue())
    assert (envelope["kind"], envelope["ok"]) == ("plan", True)
    assert envelope["data"]["digest"] == install().digest


def test_an_empty_plan_is_nothing_to_do() -> None:
    call = Call()
    assert not approve(Plan(kind="install", cluster="prod", summary="v1"), call.invocation)
    assert "nothing to do" in call.out.getvalue()


@pytest.mark.parametrize(
    ("typed", "runs"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_on_a_terminal_it_asks(typed: str, *, runs: bool) -> None:
    call = Call()
    assert approve(install(), call.invocation, answers=answers(typed)) is runs
    assert "Run this plan? [y/N]" in call.err.getvalue()
    assert ("nothing was done" in call.err.getvalue()) is not runs


def test_a_no_is_still_one_document_with_json() -> None:
    call = Call(json=True)
    assert not approve(install(), call.invocation, answers=answers("n\n"))
    assert document(call.out.getvalue())["kind"] == "plan"


def test_without_a_terminal_it_says_what_to_type() -> None:
    with pytest.raises(UsageError) as caught:
        approve(install(), Call().invocation, answers=io.StringIO("y\n"))
    assert f"kubeops install --approve {install().digest}" in caught.value.hint


def test_the_approved_plan_runs_without_asking() -> None:
    assert approve(install(), Call(approve=install().digest).invocation)


def test_another_plan_than_the_approved_one_says_what_changed(state: Path) -> None:
    before = install()
    assert not approve(before, Call(plan=True).invocation)
    [kept] = (state / "prod" / "plans").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    after = replace(
        before, summary="v1.35.5", waves=(*before.waves[:3], install(workers=6).waves[3])
    )
    with pytest.raises(PlanChangedError) as caught:
        approve(after, Call(approve=before.digest).invocation)
    assert "+ /workers/w6/join join w6 as worker" in caught.value.message
    assert "- /cluster/await wait for the whole cluster" in caught.value.message
    assert "~ summary: v1.35.4, 3 control planes, 5 workers -> v1.35.5" in caught.value.message
    assert caught.value.plan == after.to_json()


def test_the_same_steps_at_another_pace_are_another_plan() -> None:
    before = install()
    approve(before, Call(plan=True).invocation)
    faster = replace(before, waves=(replace(before.waves[0], at_once=2), *before.waves[1:]))
    with pytest.raises(PlanChangedError, match="in another order or pace"):
        approve(faster, Call(approve=before.digest).invocation)


def test_an_approved_plan_nobody_printed_here_is_said_to_be_unknown() -> None:
    with pytest.raises(PlanChangedError, match="was not printed here"):
        approve(install(), Call(approve="../../etc/pass").invocation)


def test_findings_refuse_with_their_cures_and_names() -> None:
    with pytest.raises(PreflightError) as caught:
        approve(replace(install(), findings=REFUSED), Call(yes=True).invocation)
    message = caught.value.message
    assert "2 findings forbid the run; nothing was touched" in message
    assert "blocking  disk-space: cp1: /var/lib/etcd has 1.2 GiB free" in message
    assert "cure: make room: df -h /var/lib/etcd" in message
    assert "--accept memory" in message
    assert "--accept" not in caught.value.hint


@pytest.mark.parametrize("json", [False, True], ids=["text", "json"])
def test_cures_are_about_the_inventory_that_was_given(*, json: bool) -> None:
    warned = Finding(
        check="etcd",
        severity=Severity.WARNING,
        text="no quorum",
        cure="See: invoke status. Then: invoke reset --limit w1",
    )
    plan = replace(install(), findings=(warned,), done=("w2: waits; invoke install joins it",))
    call = Call(plan=True, inventory="a b", json=json)
    assert not approve(plan, call.invocation)
    shown = " ".join(call.out.getvalue().split())
    for command in ("status", "reset", "install"):
        assert f"kubeops {command} --inventory 'a b'" in shown
    assert plan.digest in shown


def test_a_name_to_accept_that_no_finding_has_is_told_and_no_error() -> None:
    plan = replace(install(), findings=REFUSED[1:], accepted=("memory", "memroy", "x"))
    call = Call(yes=True, accept=plan.accepted)
    assert approve(plan, call.invocation)
    said = call.err.getvalue().splitlines()[:2]
    assert said == [
        "note: no finding here is called memroy (--accept); did you mean memory?",
        "note: no finding here is called x (--accept)",
    ]
    assert "called memory " not in call.err.getvalue()


def test_acceptable_findings_alone_can_be_accepted_by_name() -> None:
    plan = replace(install(), findings=REFUSED[1:])
    with pytest.raises(PreflightError) as caught:
        approve(plan, Call(yes=True).invocation)
    assert "kubeops install --accept memory" in caught.value.hint
    assert approve(replace(plan, accepted=("memory",)), Call(yes=True).invocation)


def test_a_refused_plan_is_printed_with_plan_and_refused_all_the_same() -> None:
    call = Call(plan=True)
    with pytest.raises(PreflightError) as caught:
        approve(replace(install(), findings=REFUSED), call.invocation)
    assert "disk-space" in call.out.getvalue()
    assert "disk-space" not in caught.value.message


def test_a_refused_plan_with_json_is_left_to_the_error() -> None:
    call = Call(plan=True, json=True)
    with pytest.raises(PreflightError) as caught:
        approve(replace(install(), findings=REFUSED), call.invocation)
    assert call.out.getvalue() == ""
    assert caught.value.plan is not None
