import threading

import pytest

from benchmarks.simulated import Cluster, Durations, LeapingClock, Worker, draw
from kubeops.transport.base import Command

TAKES = Durations(kubeadm_package=8, kubeadm=4, pods=40, packages=15, ready=15)


def of(*names: str, slots: int = 1) -> Cluster:
    workers = {name: Worker(name=name, takes=TAKES, version="1.35.4") for name in names}
    return Cluster(workers=workers, slots=slots)


def test_the_same_seed_draws_the_same_and_few_take_far_longer() -> None:
    drawn = draw(1, 100)
    assert drawn == draw(1, 100)
    assert drawn != draw(2, 100)
    slow = [one for one in drawn if one.pods > 100]
    assert 1 <= len(slow) <= 8
    assert TAKES.total == 82


def test_time_stands_until_everybody_waits() -> None:
    clock = LeapingClock(lanes=lambda: 2)
    woken: list[tuple[str, float]] = []

    def lane(name: str, *pauses: float) -> None:
        for seconds in pauses:
            clock.pause(seconds)
            woken.append((name, clock.monotonic()))

    other = threading.Thread(target=lane, args=("b", 5.0, 3.0))
    other.start()
    lane("a", 2.0, 4.0, 2.0)
    other.join()
    assert sorted(woken, key=lambda one: one[1]) == [
        ("a", 2.0),
        ("b", 5.0),
        ("a", 6.0),
        *sorted(one for one in woken if one[1] == 8.0),
    ]
    assert len(woken) == 5


def test_a_lane_that_ended_is_not_waited_for() -> None:
    lanes = [2]
    clock = LeapingClock(lanes=lambda: lanes[0])
    waiting = threading.Thread(target=clock.pause, args=(5.0,))
    waiting.start()
    lanes[0] = 1
    clock.lane_ended()
    waiting.join()
    assert clock.monotonic() == 5.0


def test_who_is_away_is_counted() -> None:
    world = of("w1", "w2", "w3")
    world.cordon("w1")
    world.cordon("w2")
    world.uncordon("w1")
    world.cordon("w3")
    assert world.most_away == 2
    assert [name for name, worker in world.workers.items() if worker.upgraded] == ["w1"]


def test_a_worker_takes_its_time_and_changes() -> None:
    world = of("w1")
    runner = world.runner("w1")
    asked = Command(argv=("dpkg-query", "-W", "kubeadm", "kubelet"))
    before = runner.run(asked).stdout
    runner.run(
        Command(
            argv=("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "kubeadm=1.36.1-*")
        )
    )
    assert world.clock.monotonic() == pytest.approx(0.04 + TAKES.kubeadm_package)
    assert before == "kubeadm\t1.35.4-1.1\thold\tinstalled\nkubelet\t1.35.4-1.1\thold\tinstalled\n"
    assert runner.run(asked).stdout.startswith("kubeadm\t1.36.1-1.1\tinstall\tinstalled\n")


@pytest.mark.parametrize("host", ["w1", "cp1"])
def test_what_is_not_simulated_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not simulated for: reboot"):
        of("w1").runner(host).run(Command(argv=("reboot",)))
