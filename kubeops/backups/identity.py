"""The UID of a namespace, from the bytes that the API server keeps of it in etcd.

It writes protobuf: the bytes `k8s` and 0, then runtime.Unknown, whose field 2 is the object; of
a Namespace, field 1 is its ObjectMeta, and field 5 of that the UID (k8s.io/apimachinery,
generated.proto). Objects written as JSON are read, too.
"""

import json
from collections.abc import Iterator

_PROTOBUF = b"k8s\0"
_ENCRYPTED = b"k8s:enc:"
_RAW, _METADATA, _UID = 2, 1, 5
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def uid_of(value: bytes) -> str | None:
    """Return the UID; None when the API server encrypts the object, so that nobody can tell.

    Raises:
        ValueError: the bytes are no object, or one without a UID.
    """
    if value.startswith(_ENCRYPTED):
        return None
    if value.startswith(_PROTOBUF):
        metadata = _field(_field(value[len(_PROTOBUF) :], _RAW), _METADATA)
        return _field(metadata, _UID).decode()
    try:
        uid = json.loads(value)["metadata"]["uid"]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"it is no object of Kubernetes: {value[:40]!r}") from error
    if not isinstance(uid, str):
        raise ValueError(f"its UID is {uid!r}")  # noqa: TRY004  callers expect one exception
    return uid


def _field(message: bytes, wanted: int) -> bytes:
    for number, content in _fields(message):
        if number == wanted:
            return content
    raise ValueError(f"the protobuf message has no field {wanted}")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field that is bytes; the others are skipped."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("the protobuf message is cut off")
            yield key >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"the protobuf message has a field of kind {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:  # noqa: PLR2004 - bits of the longest one
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
            return value, at
    raise ValueError("the protobuf message is cut off")
