from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a test: no test may touch the operator's own."""
    directory = tmp_path / "state"
    monkeypatch.setenv("KUBEOPS_STATE", str(directory))
    monkeypatch.delenv("KUBEOPS_INVENTORY", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return directory
