"""What a lab refuses before anything of it is made."""

from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.lab import lifecycle


def test_a_version_without_stand_ins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the rehearsal has no Kubernetes 1\.34\.99") as caught:
        lifecycle.up(
            "mine",
            1,
            0,
            inventory_path=tmp_path / "mine.yaml",
            kubernetes="1.34.99",
            repository=tmp_path / "repository",
            labs=tmp_path / "labs",
        )
    assert "1.34.7" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []
