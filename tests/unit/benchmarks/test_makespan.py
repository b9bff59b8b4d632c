import pytest

from benchmarks import makespan, memory


def test_a_wave_of_simulated_workers_is_run_by_the_real_engine() -> None:
    found = makespan._wave(5, "40%", 1)
    assert (found.slots, found.most_away) == (2, 2)
    assert found.bound <= found.in_turn < found.makespan - found.processor


def test_what_a_host_adds_is_the_slope() -> None:
    assert memory.slope({10: 60.0, 20: 62.0, 40: 66.0}) == pytest.approx(0.2)
