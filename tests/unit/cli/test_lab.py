from pathlib import Path

import pytest

from kubeops.cli.lab import inventory_path
from tests.unit.cli.support import kubeops


@pytest.mark.parametrize(
    ("name", "file"), [("lab", "lab.yaml"), ("lab2", "lab2.yaml"), ("demo", "lab-demo.yaml")]
)
def test_a_lab_s_inventory_has_a_name_that_git_ignores(name: str, file: str) -> None:
    assert inventory_path(name) == Path("inventories") / file


def test_a_wrong_source_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubeops("lab.up", "--source", "moon") == 2
    assert "--source moon: it is one of rehearsal, real" in capsys.readouterr().err
