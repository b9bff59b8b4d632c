"""What every store keeps to, tried on a directory and on an S3 server."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from kubeops.backups import catalog, s3
from kubeops.backups.store import Store
from kubeops.backups.stores import open_store
from kubeops.errors import StoreError, UntrustedSnapshotError, UsageError
from kubeops.model.bundle import MANIFEST, Bundle
from kubeops.model.desired import BackupPolicy
from tests.bundles import AT, bundle
from tests.failing_store import FailingStore

KEY = "prod/20261121T023000Z-abc123/snapshot.db.zst"
LONG_AGO, IN_A_WHILE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def write(store: Store, key: str, *pieces: bytes) -> None:
    with store.create(key) as sink:
        for piece in pieces:
            assert sink.write(piece) == len(piece)


def cut_off(store: Store, key: str, size: int) -> None:
    def fail() -> None:
        with store.create(key) as sink:
            sink.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def read(store: Store, key: str) -> bytes:
    content = b""
    with store.open(key) as source:
        while piece := source.read(1 << 20):
            content += piece
    return content


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((), id="empty"),
        pytest.param((b"a", b"", b"bc"), id="small"),
        pytest.param((b"x" * s3.PIECE,), id="one-part"),
        pytest.param((b"x" * 5_000_000,) * 4, id="several-parts"),
    ],
)
def test_what_goes_in_comes_out(store: Store, pieces: tuple[bytes, ...]) -> None:
    write(store, KEY, *pieces)
    assert read(store, KEY) == b"".join(pieces)
    assert store.files("prod/") == {KEY: len(b"".join(pieces))}


def test_a_file_is_replaced_whole(store: Store) -> None:
    write(store, KEY, b"old")
    write(store, KEY, b"new one")
    assert read(store, KEY) == b"new one"


@pytest.mark.parametrize("size", [10, 2 * s3.PIECE + 1])
def test_what_is_cut_off_was_never_there(store: Store, size: int) -> None:
    write(store, KEY, b"old")
    cut_off(store, KEY, size)
    assert read(store, KEY) == b"old"
    cut_off(store, f"{KEY}.other", size)
    assert set(store.files("prod/")) == {KEY}


def test_nothing_is_listed_while_it_is_written(store: Store) -> None:
    with store.create(KEY) as sink:
        sink.write(b"x" * (s3.PIECE + 1))
        assert not store.files("")
    assert set(store.files("")) == {KEY}


def test_listing_by_prefix_in_order(store: Store) -> None:
    keys = ["prod/b", "prod/a", "prod2/a", "other/prod/a", "prod/c/d"]
    for key in keys:
        write(store, key, key.encode())
    assert list(store.files("prod/")) == ["prod/a", "prod/b", "prod/c/d"]
    assert list(store.files("prod/c")) == ["prod/c/d"]
    assert set(store.files("")) == set(keys)
    assert store.files("nothing/") == {}


def test_deleting(store: Store) -> None:
    write(store, KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert store.files("") == {}


def test_reading_what_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match="the store"), store.open(KEY):
        pass


def test_room(store: Store) -> None:
    free = store.free()
    assert free is None or free > 0


def test_the_listing_of_a_long_prefix_goes_on(s3_policy: BackupPolicy) -> None:
    store = open_store(s3_policy)
    for number in range(1005):
        write(store, f"prod/{number:04d}", b"")
    assert len(store.files("prod/")) == 1005


def uploads(store: Any) -> list[str]:
    answer = store._client.list_multipart_uploads(Bucket=store._bucket)
    return [upload["Key"] for upload in answer.get("Uploads", ())]


def test_aborted_uploads_leave_nothing(s3_policy: BackupPolicy) -> None:
    store = open_store(s3_policy)
    cut_off(store, KEY, s3.PIECE + 1)
    assert uploads(store) == []


def test_what_the_killed_left_is_swept(store: Store) -> None:
    """Who is killed neither aborts nor removes: such a writer is never closed here."""
    writer = store.create(KEY)
    writer.__enter__().write(b"x" * (s3.PIECE + 1))
    store.sweep("prod/", before=LONG_AGO)
    store.sweep("other/", before=IN_A_WHILE)
    assert left(store)
    store.sweep("prod/", before=IN_A_WHILE)
    assert not left(store)


KILLED = """
import os, signal, sys
from kubeops.backups import s3
from kubeops.backups.stores import open_store
from kubeops.model.desired import S3, BackupPolicy

url, endpoint, key = sys.argv[1:]
settings = S3(endpoint=endpoint, region="us-east-1", path_style=True)
with open_store(BackupPolicy(store=url, s3=settings)).create(key) as sink:
    sink.write(b"x" * (2 * s3.PIECE))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_upload_that_was_killed_is_no_file_and_is_swept(s3_policy: BackupPolicy) -> None:
    store = open_store(s3_policy)
    arguments = (s3_policy.store, str(s3_policy.s3.endpoint), KEY)
    ended = subprocess.run((sys.executable, "-c", KILLED, *arguments), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert uploads(store) == [f"some/prefix/{KEY}"]
    assert store.files("") == {}
    assert catalog.read_catalog(store, "prod") == catalog.Catalog(
        proven=(), unproven=(), damaged=()
    )
    write(store, KEY, b"of another run")
    store.sweep("prod/", before=IN_A_WHILE)
    assert uploads(store) == []
    assert store.files("") == {KEY: len(b"of another run")}


@pytest.mark.parametrize("failures", [1, 4])
def test_a_part_that_fails_is_sent_again(
    s3_policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    store, asked = _stumbling(s3_policy, monkeypatch, failures=failures)
    content = os.urandom(2 * s3.PIECE + 1)
    write(store, KEY, content)
    assert len(asked) == 3 + failures
    assert read(store, KEY) == content
    assert uploads(store) == []


def test_a_part_that_fails_for_ever_leaves_nothing(
    s3_policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = _stumbling(s3_policy, monkeypatch, failures=100)
    with pytest.raises(StoreError, match="SlowDown"):
        write(store, KEY, b"x" * (2 * s3.PIECE))
    assert len(asked) == 1 + 5
    assert uploads(store) == []
    assert store.files("") == {}


def _stumbling(
    policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch, *, failures: int
) -> tuple[Any, list[str]]:
    """A store that refuses so many parts, from the second on; and the parts that it was sent."""
    store: Any = open_store(policy)
    asked: list[str] = []

    def refuse(request: AWSPreparedRequest, **_more: object) -> AWSResponse | None:
        asked.append(request.url)
        if not 1 < len(asked) <= 1 + failures:
            return None
        content = b"<Error><Code>SlowDown</Code><Message>SlowDown</Message></Error>"
        return AWSResponse(request.url, 503, {}, SimpleNamespace(stream=lambda: iter((content,))))

    store._client.meta.events.register("before-send.s3.UploadPart", refuse)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _at_once)
    return store, asked


def _at_once(_backoff: object, _context: object) -> float:
    return 0.0


def left(store: Any) -> bool:
    if isinstance(store, s3.S3Store):
        return bool(uploads(store))
    return any(store._directory.rglob("*.part"))


def test_local_files_are_private(tmp_path: Any) -> None:
    store = open_store(BackupPolicy(store=f"file://{tmp_path}/a/b"))
    write(store, KEY, b"x")
    path = tmp_path / "a/b" / KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_endpoint_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = BackupPolicy(store="s3://bucket")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store(policy)
    with pytest.raises(StoreError, match="s3://bucket: Could not connect"):
        store.files("")


def test_a_bucket_that_is_not_there(s3_policy: BackupPolicy) -> None:
    store = open_store(BackupPolicy(store="s3://nowhere", s3=s3_policy.s3))
    with pytest.raises(StoreError, match="bucket does not exist"):
        write(store, KEY, b"x")


# --- bundles in a store


def put(store: Store, one: Bundle) -> None:
    where = catalog.prefix(one)
    for part in one.parts:
        write(store, where + part.name, b"x" * part.size)
    catalog.commit(store, one)


def test_listing_bundles(store: Store) -> None:
    old, new = bundle(AT - timedelta(days=1)), bundle(AT)
    aside = bundle(AT - timedelta(hours=1), failed="identity")
    for one in (old, new, aside):
        put(store, one)
    write(store, "prod/notes.txt", b"x")
    write(store, "prod/unproven/notes/manifest.json", b"x")
    write(store, "prod2/20261121T023000Z-abc123/manifest.json", b"x")
    found = catalog.read_catalog(store, "prod")
    assert found == catalog.Catalog(proven=(new, old), unproven=(aside,), damaged=())
    assert catalog.find(store, "prod", "latest") == new
    assert catalog.find(store, "prod", old.name) == old


def test_a_bundle_without_manifest_is_none(store: Store) -> None:
    one = bundle()
    write(store, catalog.prefix(one) + "snapshot.db.zst", b"x")
    found = catalog.read_catalog(store, "prod")
    assert (found.proven, found.unproven) == ((), ())
    assert [(damaged.name, damaged.abandoned) for damaged in found.damaged] == [(one.name, True)]
    with pytest.raises(UntrustedSnapshotError, match="was cut off"):
        catalog.find(store, "prod", one.name)
    catalog.remove(store, found.damaged[0])
    assert store.files("") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "should have 10 bytes, and has none"), (b"", "should have 10 bytes, and has 0")],
)
def test_a_bundle_that_lacks_a_part_is_none(store: Store, content: bytes | None, said: str) -> None:
    one = bundle()
    put(store, one)
    key = catalog.prefix(one) + one.pki.name
    store.delete(key)
    if content is not None:
        write(store, key, content)
    found = catalog.read_catalog(store, "prod")
    assert found.proven == ()
    assert (said in found.damaged[0].reason, found.damaged[0].abandoned) == (True, False)


def test_a_manifest_of_another_bundle(store: Store) -> None:
    one = bundle()
    write(store, f"prod/20261121T023000Z-zzzzzz/{MANIFEST}", one.to_json())
    assert "is that of prod/20261121T023000Z-abc123/" in (
        catalog.read_catalog(store, "prod").damaged[0].reason
    )


def test_finding_what_is_not_there(store: Store) -> None:
    with pytest.raises(UsageError, match="holds no proven backup of prod") as caught:
        catalog.find(store, "prod", "latest")
    assert caught.value.hint == "Take a backup: invoke backup"
    put(store, bundle(failed="identity"))
    with pytest.raises(UsageError) as caught:
        catalog.find(store, "prod", "latest")
    assert caught.value.hint.startswith("See what is wrong with the 1 there: invoke backup.list")
    put(store, bundle(AT - timedelta(days=1)))
    with pytest.raises(UsageError, match="holds no backup called x") as caught:
        catalog.find(store, "prod", "x")
    assert "newest first: 20261120T023000Z-abc123." in caught.value.hint
    with pytest.raises(UntrustedSnapshotError, match="is unproven: identity: seen"):
        catalog.find(store, "prod", bundle().name)


@pytest.mark.parametrize("broken", ["snapshot.db.zst", "pki.tar.zst"])
def test_a_removal_that_fails_half_way_lists_nothing(store: Store, broken: str) -> None:
    put(store, bundle())
    with pytest.raises(StoreError):
        catalog.remove(
            FailingStore(store, broken=(f"delete {catalog.prefix(bundle())}{broken}",)), bundle()
        )
    assert catalog.read_catalog(store, "prod").proven == ()
    (damaged,) = catalog.read_catalog(store, "prod").damaged
    catalog.remove(store, damaged)
    assert store.files("") == {}
