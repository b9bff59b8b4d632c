from pathlib import Path

import pytest

from tests.unit.engine.support import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(state=tmp_path / "state")
