from pathlib import Path

from kubeops.model.report import Availability, Outage, StepTime, UpgradeReport, Wait
from kubeops.model.run import Outcome, RunState
from kubeops.render.upgrade import upgrade
from tests.unit.plan.values import NOON
from tests.unit.render.values import text_of

OUTCOME = Outcome(status=RunState.DONE, seconds=90.0, run_id="r", log=Path("r.log"))


def step(name: str, host: str, seconds: float, *waits: Wait, state: str = "done") -> StepTime:
    return StepTime(
        step=f"/1.36/{name}", host=host, title=name, state=state, seconds=seconds, waits=waits
    )


def shown(*steps: StepTime, availability: Availability | None = None) -> str:
    seen = availability or Availability(asked="cp1", looks=88)
    report = UpgradeReport(outcome=OUTCOME, steps=steps, availability=seen)
    return text_of(upgrade(report), width=200)


def test_each_host_has_its_time_and_its_steps_hop_by_hop() -> None:
    """A step on a Node is about that node, wherever kubectl ran."""
    told = shown(
        step("control-planes/cp1/kubeadm", "cp1", 0, state="skipped"),
        step("control-planes/cp1/apply", "cp1", 60),
        step("workers/w1/drain", "cp1", 10, state="failed"),
        step("workers/w1/kubelet", "w1", 4),
        step("finish", "cp1", 3),
    )
    told = " ".join(told.split())
    assert "1.36 cp1 1 min 03 s kubeadm 0.0 s (was done), apply 1 min 00 s, finish 3.0 s" in told
    assert "1.36 w1 14 s drain 10 s (failed), kubelet 4.0 s" in told


def test_what_was_waited_for_comes_longest_first() -> None:
    told = shown(
        step(
            "workers/w1/drain",
            "cp1",
            30,
            Wait(text="waiting for w1 to be drained: shop/redis is held by shop/redis", seconds=20),
            Wait(text="apt-get install", seconds=9),
        ),
        step("workers/w1/await", "cp1", 30, Wait(text="waiting for node w1: x", seconds=25)),
        step("workers/w2/await", "cp1", 1, Wait(text="waiting for node w2: x", seconds=0.2)),
    )
    lines = [line for line in told.splitlines() if "waiting" in line]
    assert [line.split()[2] for line in lines] == [
        "/1.36/workers/w1/await",
        "/1.36/workers/w1/drain",
    ]
    assert "shop/redis is held by shop/redis" in lines[1]


def test_the_apis_gaps_are_told() -> None:
    gaps = (
        Outage(began=NOON, seconds=4.0, said="HTTP status 500"),
        Outage(began=NOON, seconds=2.0, said="timed out"),
    )
    told = " ".join(shown(availability=Availability(asked="cp3", looks=90, outages=gaps)).split())
    assert "away for 6.0 s in all, 4.0 s at most, by 90 looks from cp3" in told
    assert "12:00:00Z for 4.0 s (HTTP status 500)" in told
    assert "ready at every one of 88 looks from cp1" in shown()
    assert "nobody could be asked" in shown(availability=Availability())


def test_a_step_that_is_of_no_hop_is_about_its_host_too() -> None:
    drain = StepTime(
        step="/hosts/w1/drain", host="cp1", title="drain w1", state="done", seconds=7.0
    )
    assert "w1 7.0 s drain 7.0 s" in " ".join(shown(drain).split())


def test_what_is_left_to_the_operator_comes_last() -> None:
    report = UpgradeReport(
        outcome=OUTCOME,
        steps=(),
        availability=Availability(asked="cp1", looks=88),
        notices=("w1 was replaced by w4: take w1 out", "w2 was replaced by w5: take w2 out"),
    )
    lines = text_of(upgrade(report), width=200).splitlines()
    assert [line.strip() for line in lines[-2:]] == [
        "left to you    w1 was replaced by w4: take w1 out",
        "w2 was replaced by w5: take w2 out",
    ]
