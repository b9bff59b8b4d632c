import pytest

from kubeops.errors import UsageError
from kubeops.lab import requirements


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UsageError, match="this is darwin"):
        requirements.check(real=False)


def test_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="needs root"):
        requirements.check(real=False)


def test_missing_programs_are_named_with_the_packages_that_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    missing = {"mmdebstrap", "mkfs.ext4", "iptables"}
    monkeypatch.setattr("shutil.which", lambda name: None if name in missing else f"/{name}")
    with pytest.raises(UsageError) as rehearsal:
        requirements.check(real=False)
    assert "mmdebstrap is not installed; mkfs.ext4 is not installed" in rehearsal.value.message
    assert rehearsal.value.hint == "apt-get install e2fsprogs mmdebstrap"
    with pytest.raises(UsageError) as real:
        requirements.check(real=True)
    assert real.value.hint == "apt-get install e2fsprogs iptables mmdebstrap"
