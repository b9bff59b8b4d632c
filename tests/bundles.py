"""Bundles as values, for tests."""

from datetime import UTC, datetime

from kubeops.model.bundle import (
    Bundle,
    ControlPlane,
    Member,
    Part,
    Proof,
    Rung,
    Sealing,
    bundle_name,
)

AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
UID = "2d5c5885-eb32-415d-b046-10c8d5db69f3"
SOME = "0123456789abcdef" * 4


def part(name: str, *, size: int = 10) -> Part:
    return Part(name=name, size=size, sha256=SOME, plain_size=2 * size, plain_sha256=SOME[::-1])


def proof(*, at: datetime = AT, failed: str = "") -> Proof:
    names = ("trailer", "identity", "stored")
    rungs = [Rung(name=name, ok=name != failed, detail="seen", seconds=0.25) for name in names]
    return Proof(at=at, where="cp1", full=True, rungs=tuple(rungs))


def bundle(at: datetime = AT, *, chance: str = "abc123", failed: str = "") -> Bundle:
    return Bundle(
        name=bundle_name(at, chance),
        cluster="prod",
        taken=at,
        taken_from="cp1",
        kube_system_uid=UID,
        kubernetes="1.35.4",
        etcd="3.6.6",
        revision=4597,
        keys=773,
        registry_prefix="/registry",
        members=(
            Member(
                id="5a538f5ddd45df29",
                name="cp1",
                peer_urls=("https://10.0.0.11:2380",),
                client_urls=("https://10.0.0.11:2379",),
            ),
        ),
        control_planes=(ControlPlane(name="cp1", address="10.0.0.11"),),
        sealing=Sealing.NONE,
        recipients=(),
        snapshot=part("snapshot.db.zst"),
        pki=part("pki.tar.zst"),
        key=None,
        proof=proof(at=at, failed=failed),
        tool="0.1.0",
    )
