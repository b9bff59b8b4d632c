"""A plan is data: it can be read, compared, and approved by its digest."""

import json
from dataclasses import replace

import pytest

from kubeops.plan.actions import DeleteNode, JoinWorker
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Lane, Plan, Severity, Step, Wave


def step(name: str) -> Step:
    return Step(id=f"/{name}", host="cp1", title=name, action=DeleteNode(node=name), gate="gone")


def wave(*names: str) -> Wave:
    return Wave(name="w", title="W", lanes=tuple(Lane(name=n, steps=(step(n),)) for n in names))


FINDINGS = (
    blocking("os", "runs Plan 9", "Use another one."),
    acceptable("disk", "is small", "Grow it.", host="cp1"),
    warning("swap", "is on", "Nothing."),
)
PLAN = Plan(kind="install", cluster="prod", summary="v1.35.4", waves=(wave("a", "b"), wave("c")))


def test_steps_come_in_the_order_of_the_table() -> None:
    assert [found.id for found in PLAN.steps] == ["/a", "/b", "/c"]


def test_a_plan_without_steps_is_empty() -> None:
    assert not PLAN.is_empty
    assert replace(PLAN, waves=()).is_empty
    assert replace(PLAN, waves=(wave(),)).is_empty


@pytest.mark.parametrize(
    ("accepted", "refused"), [((), ["os", "disk"]), (("disk",), ["os"]), (("os",), ["os", "disk"])]
)
def test_only_acceptable_findings_can_be_accepted(
    accepted: tuple[str, ...], refused: list[str]
) -> None:
    plan = replace(PLAN, findings=FINDINGS, accepted=accepted)
    assert [finding.check for finding in plan.refusals] == refused


def test_findings_know_what_they_mean_and_where() -> None:
    assert [finding.severity for finding in FINDINGS] == [
        Severity.BLOCKING,
        Severity.ACCEPTABLE,
        Severity.WARNING,
    ]
    assert [finding.host for finding in FINDINGS] == ["", "cp1", ""]


@pytest.mark.parametrize("wrong", [{"at_once": 0}, {"failure_budget": 0}, {"at_once": -1}])
def test_a_wave_that_could_never_run_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wave w: at_once and failure_budget are at least 1"):
        Wave(name="w", title="W", lanes=(), **wrong)


def test_the_document_is_json_and_says_everything() -> None:
    document = json.loads(json.dumps(replace(PLAN, findings=FINDINGS, done=("x",)).to_json()))
    assert document["digest"] == PLAN.digest
    assert document["waves"][0]["lanes"][1]["steps"] == [
        {
            "id": "/b",
            "host": "cp1",
            "title": "b",
            "action": "DeleteNode",
            "parameters": {"node": "b"},
            "gate": "gone",
        }
    ]
    assert document["findings"][1] == {
        "check": "disk",
        "severity": "acceptable",
        "text": "is small",
        "cure": "Grow it.",
        "host": "cp1",
    }
    assert document["done"] == ["x"]


JOIN = JoinWorker(address="10.0.0.31", endpoint="10.0.0.10:6443", via="cp1")


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, kind="reset"),
        replace(PLAN, cluster="staging"),
        replace(PLAN, summary="v1.35.5"),
        replace(PLAN, accepted=("disk",)),
        replace(PLAN, waves=PLAN.waves[:1]),
        replace(PLAN, waves=PLAN.waves[::-1]),
        replace(PLAN, waves=(replace(wave("a", "b"), at_once=2), wave("c"))),
        replace(PLAN, waves=(wave("a", "x"), wave("c"))),
        replace(PLAN, waves=(Wave(name="w", title="W", lanes=(Lane(name="a", steps=(
            replace(step("a"), action=JOIN),
        )),)),)),
    ],
)  # fmt: skip
def test_the_digest_changes_with_what_will_be_done(other: Plan) -> None:
    assert other.digest != PLAN.digest


@pytest.mark.parametrize(
    "same", [replace(PLAN, findings=FINDINGS), replace(PLAN, done=("cp1: joined",))]
)
def test_what_was_found_does_not_count(same: Plan) -> None:
    assert same.digest == PLAN.digest
    assert len(PLAN.digest) == 12
