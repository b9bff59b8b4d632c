import pytest

from kubeops.render.units import age


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
        (26400, "7 h 20 min"),
        (86400, "1 d 0 h"),
        (93600, "1 d 2 h"),
    ],
)
def test_ages(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
