"""The verbs' stories on a directory and on an S3 server: a real etcd, saved, listed and pruned."""

from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.engine.clock import Clock
from kubeops.model.backup import Standing
from kubeops.model.desired import BackupPolicy
from kubeops.ops import backup, freshness
from kubeops.ops.session import Session
from tests.component.backups.member import Etcd, Host, Hosts, desired, facts

pytestmark = pytest.mark.etcd


@pytest.fixture(params=["file", "s3"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> BackupPolicy:
    if request.param == "s3":
        found: BackupPolicy = request.getfixturevalue("s3_policy")
    else:
        found = BackupPolicy(store=f"file://{tmp_path}/store")
    (tmp_path / "metrics").mkdir()
    return replace(found, metrics_directory=tmp_path / "metrics", prunes=True, keep={"last": 2})


@pytest.fixture
def session(
    etcd: Etcd, policy: BackupPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Session:
    # What PKI is made of is not there; the script that reads it has tests of its own.
    monkeypatch.setattr("kubeops.backups.save._Saving._pki", _no_pki)
    monkeypatch.setattr(Session, "observe", lambda _self: facts(etcd))
    wanted = replace(desired(policy.store), backup=policy)
    return Session(desired=wanted, transport=Hosts(Host()), clock=Clock(), state=tmp_path / "state")


def _no_pki(saving: object) -> Path:
    directory: Path = saving.directory  # type: ignore[attr-defined]  # a private class
    (directory / "pki.tar").write_bytes(b"pki")
    return directory / "pki.tar"


def test_the_story(session: Session, tmp_path: Path) -> None:
    lines: list[str] = []
    taken = [backup.take(session, progress=lines.append) for _ in range(3)]
    assert [len(one.removed) for one in taken] == [0, 0, 1]
    now = session.clock.now()
    found = freshness.listing(session.desired, now=now)
    assert {entry.name for entry in found.backups} < {one.backup.name for one in taken}
    assert found.count(Standing.PROVEN) == 2
    text = (tmp_path / f"metrics/kubeops-backup-{session.desired.name}.prom").read_text()
    assert 'standing="proven"} 2' in text
    assert not freshness.freshness(session.desired, state=session.state, now=now).too_old
    for full in (False, True):
        tried = backup.verify(session, name="latest", every=True, full=full, progress=lines.append)
        assert [one.proof.holds and one.proof.full is full for one in tried] == [True, True]
    planned = backup.plan_pruning(replace(session.desired, backup=_last(session)), now=now)
    assert len(backup.prune(session, planned, progress=lines.append)) == 0, "keep says two"
    only = Session(
        desired=replace(session.desired, backup=_last(session)),
        transport=session.transport,
        clock=session.clock,
        state=session.state,
    )
    assert len(backup.prune(only, planned, progress=lines.append)) == 1
    assert len(freshness.listing(session.desired, now=now).backups) == 1


def _last(session: Session) -> BackupPolicy:
    return replace(session.desired.backup, keep={"last": 1})
