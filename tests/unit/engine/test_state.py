from pathlib import Path

import pytest

from kubeops.engine.state import state_directory


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"KUBEOPS_STATE": "/srv/state", "XDG_STATE_HOME": "/x"}, Path("/srv/state")),
        ({"XDG_STATE_HOME": "/x"}, Path("/x/kubeops")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/kubeops"),
        ({}, Path.home() / ".local/state/kubeops"),
    ],
    ids=["own", "xdg", "relative xdg", "default"],
)
def test_where_journals_live(environ: dict[str, str], expected: Path) -> None:
    assert state_directory(environ) == expected
