from dataclasses import replace
from datetime import timedelta

import pytest

from kubeops.model.backup import Attempt, Attempts, Entry, Freshness, Listing, Standing, Verified
from kubeops.model.bundle import Bundle, Proof, Rung, Sealing
from kubeops.model.file import File
from kubeops.plan.retention import Verdict
from kubeops.render import backup
from tests.bundles import AT, bundle, proof
from tests.conftest import Golden
from tests.unit.render.values import text_of

NOW = AT + timedelta(hours=7, minutes=20)
STORE = "s3://backups/prod"


def entry(one: Bundle) -> Entry:
    failed = one.proof.failed
    return Entry(
        name=one.name,
        standing=Standing.UNPROVEN if failed else Standing.PROVEN,
        taken=one.taken,
        age=(NOW - one.taken).total_seconds(),
        bundle=one,
        size=one.size,
        reason=f"{failed.name}: {failed.detail}" if failed else "",
    )


def remains(standing: Standing, reason: str, *, days: int) -> Entry:
    taken = AT - timedelta(days=days)
    name = bundle(taken, chance="zzz999").name
    age = (NOW - taken).total_seconds()
    return Entry(name=name, standing=standing, taken=taken, age=age, reason=reason)


LISTING = Listing(
    cluster="prod",
    store=STORE,
    at=NOW,
    backups=(
        entry(bundle(AT, failed="identity", chance="bad000")),
        entry(bundle(AT)),
        entry(bundle(AT - timedelta(days=1))),
        remains(Standing.UNFINISHED, "it has no manifest: its save was cut off", days=2),
        remains(Standing.DAMAGED, "pki.tar.zst should have 10 bytes, and has none", days=3),
    ),
)


@pytest.mark.parametrize("width", [80, 120])
def test_all_there_are(golden: Golden, width: int) -> None:
    golden(f"backup-list-{width}.txt", text_of(backup.backups(LISTING), width=width))


def test_none_at_all() -> None:
    shown = text_of(backup.backups(replace(LISTING, backups=())), width=120)
    assert "no backup yet: invoke backup" in shown


def test_rehearsal_is_said() -> None:
    one = replace(bundle(), rehearsal=True)
    assert "REHEARSAL" in text_of(
        backup.backups(replace(LISTING, backups=(entry(one),))), width=120
    )
    assert "REHEARSAL" in text_of(backup.taken(one, store=STORE, seconds=1, removed=()), width=120)


def test_one_that_was_taken(golden: Golden) -> None:
    sealed = replace(bundle(), sealing=Sealing.RECIPIENTS)
    gone = (
        Verdict(name="a", keep=False, reason="old"),
        Verdict(name="b", keep=False, reason="old"),
    )
    shown = backup.taken(sealed, store=STORE, seconds=14.2, removed=gone)
    golden("backup-taken-120.txt", text_of(shown, width=120))


def test_what_is_not_encrypted_is_said() -> None:
    shown = text_of(backup.taken(bundle(), store=STORE, seconds=1, removed=()), width=120)
    assert "NOT ENCRYPTED" in shown


def test_those_that_were_tried_again(golden: Golden) -> None:
    cheap = Proof(
        at=NOW,
        where="localhost",
        full=False,
        rungs=(Rung(name="stored", ok=True, detail="3 parts, 30 bytes, as written"),),
    )
    found = (
        Verified(name=bundle().name, proof=proof(at=NOW)),
        Verified(name=bundle(chance="bbb222").name, proof=cheap),
        Verified(name=bundle(chance="ccc333").name, proof=proof(at=NOW, failed="stored")),
    )
    golden("backup-verify-120.txt", text_of(backup.verified(found, store=STORE), width=120))


def test_nothing_to_try() -> None:
    assert "no backup to verify" in text_of(backup.verified((), store=STORE), width=120)


@pytest.mark.parametrize("width", [80, 120])
def test_what_retention_does(golden: Golden, width: int) -> None:
    verdicts = (
        Verdict(name=bundle().name, keep=True, reason="the newest proven one; one of the last 7"),
        Verdict(name=bundle(chance="bbb222").name, keep=False, reason="none of those to keep"),
    )
    shown = backup.pruning(verdicts, cluster="prod", store=STORE)
    golden(f"backup-prune-{width}.txt", text_of(shown, width=width))


def test_nothing_to_remove() -> None:
    shown = backup.pruning((), cluster="prod", store=STORE)
    assert "nothing to remove" in text_of(shown, width=120)


FRESH = Freshness(
    cluster="prod",
    store=STORE,
    at=NOW,
    newest=entry(bundle(AT)),
    max_age=93600.0,
    last=Attempts(
        last=Attempt(at=NOW - timedelta(minutes=5), seconds=3, exit_status=5, message="it is full"),
        last_success=AT,
    ),
)


def test_how_old_the_newest_is(golden: Golden) -> None:
    golden("backup-status-120.txt", text_of(backup.freshness(FRESH), width=120))


def test_no_newest() -> None:
    shown = text_of(backup.freshness(replace(FRESH, newest=None, last=None)), width=120)
    assert "no proven backup" in shown
    assert "last run" not in shown


def test_units_can_be_copied() -> None:
    long = "ExecStart=" + "x" * 200
    file = File(path="/etc/systemd/system/a.service", content=f"[Service]\n{long}\n".encode())
    shown = text_of(backup.units((file,), following=("kubeops backup.schedule",)), width=80)
    assert long in shown
    assert "next:  kubeops backup.schedule" in shown


def test_a_schedule(golden: Golden) -> None:
    shown = backup.scheduled(
        unit="kubeops-backup-prod",
        files=(File(path="/home/ops/.config/systemd/user/kubeops-backup-prod.timer", content=b""),),
        due="Sun 2026-11-22 02:30:00 UTC",
        hint="loginctl enable-linger ops",
        following=("kubeops backup.status",),
    )
    golden("backup-schedule-80.txt", text_of(shown, width=80))


def test_an_export() -> None:
    shown = backup.exported(
        directory="/srv/objects", written=("a", "b"), unchanged=3, gone=("shop/configmap/c.yaml",)
    )
    told = text_of(shown, width=80)
    assert "/srv/objects   2 written, 3 unchanged, 1 removed" in told
    assert "- shop/configmap/c.yaml" in told
