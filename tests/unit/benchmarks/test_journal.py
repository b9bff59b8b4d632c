import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import journal
from benchmarks.journal import (
    COMMANDS,
    DRAIN,
    IDLE,
    KUBEADM,
    PACKAGES,
    READINESS,
    WORK,
    Lane,
    Span,
    Wave,
    in_turn,
    lower_bound,
)

APT = "env DEBIAN_FRONTEND=noninteractive apt-get --yes install kubeadm=1.36.2-*"
EVICT = """sh -euc ... kubeops /etc/kubernetes/admin.conf '{"kind": "Eviction"}'"""
NODES = "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes"


def event(at: float, kind: str, text: str = "", **more: object) -> dict[str, object]:
    moment = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=at)
    return {"at": moment.isoformat(), "kind": kind, "text": text, **more}


def ran(at: float, step: str, text: str, seconds: float) -> dict[str, object]:
    return event(at, "command", text, step=step, data={"status": 0, "seconds": seconds})


def waits(at: float, step: str, text: str) -> dict[str, object]:
    return event(at, "step-waiting", text, step=step)


def done(at: float, step: str, seconds: float, kind: str = "step-done") -> dict[str, object]:
    return event(at, kind, step=step, data={"seconds": seconds})


def written(
    folder: Path, steps: Mapping[str, str], events: Iterable[Mapping[str, object]]
) -> tuple[Wave, ...]:
    """The journal of one wave with one lane: its steps' actions by id, and what happened."""
    lane = {"name": "w1", "steps": [{"id": s, "action": a} for s, a in steps.items()]}
    header = {"plan": {"waves": [{"name": "1.36/workers", "at_once": 2, "lanes": [lane]}]}}
    lines = (
        header,
        event(0, "wave-started"),
        *events,
        event(20, "wave-ended"),
    )
    path = folder / "run.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return journal.read(path)


def lane_of(folder: Path, action: str, *events: Mapping[str, object]) -> Lane:
    (wave,) = written(folder, {"/w1/it": action}, events)
    (lane,) = wave.lanes
    return lane


def rounded(lane: Lane) -> dict[str, float]:
    return {kind: round(seconds, 3) for kind, seconds in lane.shares.items()}


def test_commands_are_told_apart_and_the_rest_of_a_lane_is_no_command(tmp_path: Path) -> None:
    lane = lane_of(
        tmp_path,
        "UpgradeKubeadm",
        ran(1.5, "/w1/it", "dpkg-query -W kubeadm kubelet", 0.5),
        ran(4.0, "/w1/it", APT, 2.0),
        ran(5.0, "/w1/it", "sh -euc ... kubeops kubeadm kubectl kubelet", 1.0),
        ran(9.0, "/w1/it", "kubeadm upgrade node", 4.0),
        ran(9.5, "/w1/it", "kubeadm version -o short", 0.5),
        done(10.0, "/w1/it", 9.0),
    )
    assert (lane.name, lane.seconds) == ("w1", 9.0)
    assert rounded(lane) == {
        "reading hosts": 1.0,
        PACKAGES: 2.0,
        "other commands": 1.0,
        KUBEADM: 4.0,
        IDLE: 1.0,
    }
    assert lane.of(COMMANDS) == pytest.approx(6.0)


def test_a_gate_is_waited_for_from_its_first_bad_look_to_its_first_good_one(
    tmp_path: Path,
) -> None:
    lane = lane_of(
        tmp_path,
        "AwaitNode",
        ran(1.0, "/w1/it", NODES, 1.0),
        waits(1.0, "/w1/it", "waiting for node w1: not Ready"),
        ran(4.0, "/w1/it", NODES, 1.0),
        waits(4.0, "/w1/it", "waiting for node w1: Ready at v1.36.2"),
        ran(6.0, "/w1/it", NODES, 1.0),
        done(6.5, "/w1/it", 6.5),
    )
    assert rounded(lane) == {READINESS: 3.0, "kubectl, etcdctl": 2.0, IDLE: 1.5}


def test_a_gate_that_finds_all_well_at_once_was_not_waited_for(tmp_path: Path) -> None:
    lane = lane_of(
        tmp_path,
        "AwaitNode",
        waits(0.0, "/w1/it", "restarting the kubelet"),
        ran(1.0, "/w1/it", NODES, 1.0),
        waits(1.0, "/w1/it", "waiting for node w1: Ready at v1.36.2"),
        ran(2.0, "/w1/it", NODES, 1.0),
        done(2.0, "/w1/it", 2.0),
    )
    assert rounded(lane) == {READINESS: 0.0, "kubectl, etcdctl": 2.0, IDLE: 0.0}


def test_a_drain_is_its_evictions_and_the_wait_for_pods(tmp_path: Path) -> None:
    lane = lane_of(
        tmp_path,
        "DrainNode",
        ran(1.0, "/w1/it", NODES, 1.0),
        ran(3.0, "/w1/it", EVICT, 2.0),
        waits(3.0, "/w1/it", "waiting for w1 to be drained: default/web is ending"),
        ran(5.0, "/w1/it", EVICT, 1.0),
        waits(8.0, "/w1/it", "waiting for w1 to be drained: no pods are left"),
        done(8.0, "/w1/it", 8.0),
    )
    assert rounded(lane) == {DRAIN: 7.0, "kubectl, etcdctl": 1.0, IDLE: 0.0}
    assert lane.seconds - lane.of(WORK) == pytest.approx(1.0)


def test_a_step_found_done_counts_and_a_lane_begins_with_its_first_step(tmp_path: Path) -> None:
    (wave,) = written(
        tmp_path,
        {"/w1/a": "CordonNode", "/w1/b": "AwaitNode"},
        [done(3.0, "/w1/a", 2.0, "step-skipped"), done(7.0, "/w1/b", 3.5)],
    )
    assert [(lane.begin - wave.begin, lane.seconds) for lane in wave.lanes] == [(1.0, 6.0)]
    assert wave.seconds == 20


def test_a_run_that_did_not_end_well_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="/w1/it has not ended"):
        lane_of(tmp_path, "AwaitNode", done(1.0, "/w1/it", 1.0, "step-failed"))


def lane(name: str, begin: float, end: float, kubeadm: float) -> Lane:
    work = Span(kind=KUBEADM, text="kubeadm join", begin=begin, end=begin + kubeadm)
    return Lane(name=name, begin=begin, end=end, commands=(work,))


def test_what_decided_a_wave_is_all_lanes_in_turn_or_the_last_to_end() -> None:
    lanes = (lane("w1", 0, 4, 3), lane("w2", 0, 6, 1))
    in_a_row = Wave(name="a", at_once=1, begin=0, end=11, lanes=lanes)
    at_once = Wave(name="b", at_once=2, begin=0, end=7, lanes=lanes)
    assert in_a_row.deciding == lanes
    assert at_once.deciding == lanes[1:]
    assert (in_a_row.at_least(COMMANDS), at_once.at_least(COMMANDS)) == (4, 3)
    shares = journal.deciding_shares((in_a_row, at_once))
    assert shares == {KUBEADM: 5, IDLE: (1 + 5 + 1) + (5 + 1)}
    assert sum(shares.values()) == in_a_row.seconds + at_once.seconds


@pytest.mark.parametrize(
    ("durations", "slots", "bound", "taken"),
    [
        ([1, 1, 1, 1], 2, 2, 2),
        ([1, 1, 1], 2, 1.5, 2),
        ([5, 1, 1], 2, 5, 5),
        ([1, 1, 5], 2, 5, 6),
        ([3], 4, 3, 3),
    ],
)
def test_bounds_of_a_wave(durations: list[float], slots: int, bound: float, taken: float) -> None:
    assert lower_bound(durations, slots=slots) == bound
    assert in_turn(durations, slots=slots) == taken
