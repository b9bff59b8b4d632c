"""The UID of a namespace, from bytes as the API server writes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeops.backups.identity import uid_of
from tests.bundles import UID


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def namespace(*, uid: bytes | None = UID.encode()) -> bytes:
    """A Namespace as in etcd: runtime.Unknown of v1.Namespace, with a metadata like kubeadm's."""
    time = field(8, field(1, 1795000000) + field(2, 0))
    labels = field(11, field(1, b"kubernetes.io/metadata.name") + field(2, b"kube-system"))
    named = field(1, b"kube-system") + field(2, b"") + field(3, b"") + field(4, b"")
    metadata = named + (field(5, uid) if uid is not None else b"") + field(6, b"") + field(7, 0)
    raw = field(1, metadata + time + labels) + field(2, field(1, b"kubernetes"))
    kind = field(1, field(1, b"v1") + field(2, b"Namespace"))
    return b"k8s\0" + kind + field(2, raw) + field(3, b"") + field(4, b"")


def test_protobuf() -> None:
    assert uid_of(namespace()) == UID


def test_json() -> None:
    assert uid_of(json.dumps({"kind": "Namespace", "metadata": {"uid": UID}}).encode()) == UID


def test_encrypted_at_rest() -> None:
    assert uid_of(b"k8s:enc:aescbc:v1:key1:\x00\x01") is None


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"[]", b'{"metadata": {"uid": 1}}', b"\xff", b"k8s\0", namespace(uid=None)],
)
def test_what_is_no_namespace(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"no object|UID|has no field|cut off"):
        uid_of(value)


@given(length=st.integers(0, len(namespace()) - 1), tail=st.binary(max_size=20))
def test_no_bytes_surprise_it(length: int, tail: bytes) -> None:
    try:
        uid_of(namespace()[:length] + tail)
    except ValueError:
        return
