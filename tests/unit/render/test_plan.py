from dataclasses import replace

import pytest

from kubeops.plan.actions import WORKSTATION, RewriteInventory
from kubeops.plan.model import Lane, Plan, Wave
from kubeops.render.plan import hosts, plan
from tests.conftest import Golden
from tests.unit.render.values import REFUSED, install, step, text_of


@pytest.mark.parametrize("width", [80, 120])
def test_lanes_that_do_the_same_are_shown_once(golden: Golden, width: int) -> None:
    following = ("kubeops install --inventory prod --approve 0123456789ab",)
    golden(f"plan-{width}.txt", text_of(plan(install(), following=following), width=width))


def test_verbose_shows_every_lane(golden: Golden) -> None:
    golden("plan-verbose-120.txt", text_of(plan(install(), verbose=True), width=120))


@pytest.mark.parametrize("width", [80, 120])
def test_findings_come_with_cure_and_name(golden: Golden, width: int) -> None:
    refused = replace(install(workers=1, rehearsal=True), findings=REFUSED)
    golden(f"plan-refused-{width}.txt", text_of(plan(refused), width=width))


def test_an_accepted_finding_says_so() -> None:
    accepted = replace(install(), findings=REFUSED, accepted=("memory",))
    shown = text_of(plan(accepted), width=120)
    assert "accepted       memory: w1:" in shown
    assert "--accept memory" not in shown


def test_the_workstation_is_no_host() -> None:
    note = step("/inventory", WORKSTATION, "write it down", RewriteInventory(version="1.36.1"))
    more = Wave(name="inventory", title="inventory", lanes=(Lane(name="it", steps=(note,)),))
    before, after = install(), replace(install(), waves=(*install().waves, more))
    assert "8 hosts" in text_of(plan(before), width=120)
    assert "8 hosts" in text_of(plan(after), width=120)


def test_nothing_to_do_says_so_and_what_is_done() -> None:
    empty = Plan(kind="install", cluster="prod", summary="v1.35.4", done=("cp1: joined",))
    shown = text_of(plan(empty), width=80)
    assert "nothing to do" in shown
    assert "already done   cp1: joined" in shown


def test_many_done_lines_are_folded_unless_verbose() -> None:
    many = replace(install(), done=tuple(f"w{number}: joined" for number in range(30)))
    assert "and 23 more" in text_of(plan(many), width=80)
    assert "w29: joined" in text_of(plan(many, verbose=True), width=80)


def test_lanes_that_differ_are_not_folded() -> None:
    wave = install().waves[0]
    longer = replace(wave.lanes[0], steps=wave.lanes[0].steps[:1])
    mixed = replace(install(), waves=(replace(wave, lanes=(longer, *wave.lanes[1:3])),))
    shown = text_of(plan(mixed), width=120)
    assert "/hosts/cp1/swap" in shown
    assert "/hosts/*/swap" in shown


def test_a_host_whose_name_is_part_of_another_is_not_confused() -> None:
    steps = install().waves[0].lanes[0].steps
    lane = Lane(name="swap", steps=(replace(steps[0], id="/hosts/swap/swap-off", host="swap"),))
    twin = Lane(name="w1", steps=(replace(steps[0], id="/hosts/w1/swap-off", host="w1"),))
    wave = Wave(name="hosts", title="hosts", lanes=(lane, twin), at_once=2)
    shown = text_of(plan(replace(install(), waves=(wave,))), width=120)
    assert "/hosts/swap/swap-off" in shown
    assert "/hosts/w1/swap-off" in shown


def test_a_command_is_never_broken() -> None:
    command = "kubeops install --inventory " + "long/" * 30
    assert command in text_of(plan(install(), following=(command,)), width=80)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("cp1",), "cp1"),
        (("cp1", "cp2", "cp3"), "cp1 cp2 cp3"),
        (("w1", "w2", "w3", "w4"), "w1 w2 ... (4)"),
    ],
)
def test_hosts(names: tuple[str, ...], shown: str) -> None:
    assert hosts(names) == shown
