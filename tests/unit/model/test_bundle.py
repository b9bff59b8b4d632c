"""A manifest is read as it was written, or not at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeops.errors import UntrustedSnapshotError
from kubeops.model.bundle import Sealing, bundle_name, parse_bundle, taken_at
from tests.bundles import AT, bundle, part

BUNDLE = replace(bundle(), sealing=Sealing.PASSPHRASE, recipients=("age1x",), key=part("key.age"))
WHERE = "file:///b/prod/x/manifest.json"


@pytest.mark.parametrize("written", [BUNDLE, bundle(), bundle(failed="identity")])
def test_there_and_back(written: Any) -> None:
    assert parse_bundle(written.to_json(), where=WHERE) == written


def test_what_is_written() -> None:
    document = json.loads(BUNDLE.to_json())
    assert document["format"] == 1
    assert document["taken"] == "2026-11-21T02:30:00+00:00"
    assert document["proof"]["rungs"][0] == {
        "name": "trailer",
        "ok": True,
        "detail": "seen",
        "seconds": 0.25,
    }


def test_a_newer_format_is_said_to_be_one() -> None:
    document = json.loads(BUNDLE.to_json()) | {"format": 2, "compression": "new"}
    with pytest.raises(UntrustedSnapshotError, match="written by a newer kubeops: format 2"):
        parse_bundle(json.dumps(document).encode(), where=WHERE)


@given(data=st.data())
def test_a_changed_bit_is_seen(data: st.DataObject) -> None:
    manifest = bytearray(BUNDLE.to_json())
    at = data.draw(st.integers(0, len(manifest) - 1))
    manifest[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(UntrustedSnapshotError):
        parse_bundle(bytes(manifest), where=WHERE)


@given(length=st.integers(0, len(BUNDLE.to_json()) - 1))
def test_a_cut_manifest_is_seen(length: int) -> None:
    with pytest.raises(UntrustedSnapshotError, match="not the manifest of a backup"):
        parse_bundle(BUNDLE.to_json()[:length], where=WHERE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "1"}, "format is '1', not 1"),
        ({"more": 1}, "unknown keys: more"),
        ({"revision": -1}, "revision of the manifest is not a count"),
        ({"revision": True}, "revision of the manifest is not a count"),
        ({"taken": "2026-11-21T02:30:00"}, "has no time zone"),
        ({"name": "latest"}, "'latest' is not the name of a backup"),
        ({"sealing": "rot13"}, "'rot13' is not a valid Sealing"),
        ({"sealing": "none"}, "sealed by none, and key is"),
        ({"members": {}}, "members of the manifest is not a list"),
        ({"recipients": [1]}, "holds what is not a text"),
        ({"rehearsal": 0}, "neither true nor false"),
        ({"etcd": None}, "etcd of the manifest is not a text"),
        ({"revision": 4598}, "its checksum does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], said: str) -> None:
    document = json.loads(BUNDLE.to_json()) | change
    with pytest.raises(UntrustedSnapshotError) as caught:
        parse_bundle(json.dumps(document, indent=2).encode() + b"\n", where=WHERE)
    assert said in caught.value.message
    assert caught.value.exit_status == 8


@pytest.mark.parametrize("name", ["../x", "a/b", "manifest.json", "..", ""])
def test_a_part_stays_in_its_bundle(name: str) -> None:
    written = replace(BUNDLE, pki=part(name)).to_json()
    with pytest.raises(UntrustedSnapshotError, match="is not the name of a part"):
        parse_bundle(written, where=WHERE)


def test_names() -> None:
    tokyo = timezone(timedelta(hours=9))
    name = bundle_name(datetime(2026, 11, 21, 11, 30, tzinfo=tokyo), "k3x9ab")
    assert name == "20261121T023000Z-k3x9ab"
    assert taken_at(name) == AT == datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
    for wrong in ("", "K3X9AB", "short", "sevenly"):
        with pytest.raises(ValueError, match="is not six"):
            bundle_name(AT, wrong)
    with pytest.raises(ValueError, match="is not the name"):
        taken_at("20261121T023000Z")
