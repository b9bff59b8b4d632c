"""How a restore finds its bundle, and whose it is, before it observes anything."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kubeops.backups import catalog, crypto, parts
from kubeops.backups.stores import open_store
from kubeops.errors import UntrustedSnapshotError, UsageError
from kubeops.model.bundle import Bundle
from kubeops.model.desired import BackupPolicy
from kubeops.model.observed import ClusterFacts
from kubeops.ops import restore
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport
from tests.bundles import bundle
from tests.certificates import archive, authority, pki
from tests.unit.ops.values import lock, session_of
from tests.unit.plan.restore_values import more, whole
from tests.unit.plan.values import cluster, observed

Stored = Callable[..., Bundle]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    policy = BackupPolicy(store=f"file://{tmp_path}/store")
    found = session_of(cluster(backup=policy), tmp_path / "state")
    assert isinstance(found.transport, FakeTransport)
    found.transport.runner("cp1").on(lock("show"), status=3)
    facts = whole(found.desired)
    monkeypatch.setattr(Session, "observe", lambda _session, **_options: facts)
    monkeypatch.setattr(restore, "gather_restore", lambda desired, *_: more(desired))
    return found


@pytest.fixture
def stored(session: Session, tmp_path: Path) -> Stored:
    """Stores a bundle whose PKI is a tar archive of `files`, or whatever bytes it is given."""
    store = open_store(session.desired.backup)
    sealer = crypto.sealer(crypto.Keys())

    def make(content: bytes | None = None, **changed: Any) -> Bundle:
        made = bundle(**changed)
        file = tmp_path / "file"
        file.write_bytes(archive(pki()) if content is None else content)
        where = catalog.prefix(made)
        whole = replace(
            made,
            snapshot=parts.store_file(store, where, "snapshot.db", file, sealer=sealer),
            pki=parts.store_file(store, where, "pki.tar", file, sealer=sealer),
        )
        catalog.commit(store, whole)
        return whole

    return make


def plan(session: Session, name: str, *, accepted: tuple[str, ...] = ()) -> Any:
    return restore.plan(session, name=name, accepted=accepted, progress=lambda _text: None)


def test_the_authority_of_the_bundle_is_compared(session: Session, stored: Stored) -> None:
    refused = plan(session, stored().name)
    assert {finding.check for finding in refused.refusals} == {"other-cluster"}
    assert sha256(authority()).hexdigest() != "sha-of-ca"


def test_a_bundle_without_an_authority_is_not_compared(session: Session, stored: Stored) -> None:
    made = stored(archive({"etc/kubernetes/admin.conf": b"x"}))
    assert not plan(session, made.name).refusals


def test_nothing_of_the_pki_is_left_here(session: Session, stored: Stored) -> None:
    plan(session, stored().name)
    assert not [path for path in session.state.rglob("*") if path.is_file()]


def test_latest_is_the_newest_proven_one(session: Session, stored: Stored) -> None:
    made = stored(archive({"etc/x": b"x"}))
    stored(archive({"etc/x": b"x"}), chance="zzz999", failed="identity")
    assert plan(session, "latest").summary.startswith(made.name)


def test_an_unproven_one_can_be_named_and_has_to_be_accepted(
    session: Session, stored: Stored
) -> None:
    name = stored(archive({"etc/x": b"x"}), failed="identity").name
    assert {finding.check for finding in plan(session, name).refusals} == {"unproven-bundle"}
    assert not plan(session, name, accepted=("unproven-bundle",)).refusals


def test_a_name_that_is_none_lists_those_there_are(session: Session, stored: Stored) -> None:
    made = stored()
    with pytest.raises(UsageError) as caught:
        plan(session, "20200101T000000Z-aaaaaa")
    assert made.name in caught.value.hint


def test_a_damaged_archive_is_not_trusted(session: Session, stored: Stored) -> None:
    with pytest.raises(UntrustedSnapshotError, match="not an archive"):
        plan(session, stored(b"no archive").name)


def test_when_all_control_planes_are_lost_the_hosts_are_asked_what_an_install_asks(
    session: Session, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stored()
    asked: list[bool] = []

    def observe(_session: Session, *, ask_source: bool = False) -> ClusterFacts:
        asked.append(ask_source)
        return observed(session.desired)

    monkeypatch.setattr(Session, "observe", observe)
    monkeypatch.setattr(restore, "gather_endpoint", lambda *_: "200")
    monkeypatch.setattr(restore, "gather_reach", lambda *_, **__: ())
    planned = plan(session, made.name)
    assert planned.kind == "fresh-restore"
    assert asked == [False, True]
    assert {finding.check for finding in planned.refusals} == {"endpoint-answers"}


def test_an_undo_needs_no_store(session: Session) -> None:
    planned = restore.undo(session, accepted=())
    assert planned.kind == "undo-restore"
    assert {finding.check for finding in planned.refusals} == {"nothing-to-undo"}
