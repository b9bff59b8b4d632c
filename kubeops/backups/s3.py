"""A store in a bucket of anything that speaks the S3 protocol.

Credentials come from where boto3 looks for them: environment, ~/.aws, instance metadata. They are
never in the inventory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.client
import botocore.exceptions

from kubeops.backups.store import Sink, Source, Store
from kubeops.errors import StoreError
from kubeops.model.desired import BackupPolicy

PIECE = 8 << 20
"""Bytes of one part of an upload: at most 10000 parts make a file, so 80 GiB."""


def open_s3(policy: BackupPolicy) -> Store:
    """Return the store `policy.store`, an s3:// URL."""
    url = urlsplit(policy.store)
    addressing = "path" if policy.s3.path_style else "auto"
    checksums = "when_required" if policy.s3.endpoint else "when_supported"
    client = boto3.client(
        "s3",
        endpoint_url=policy.s3.endpoint,
        region_name=policy.s3.region,
        config=botocore.client.Config(
            s3={"addressing_style": addressing},
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=10,
            read_timeout=60,
            # Stores other than Amazon's refuse trailers they do not know. What was uploaded is read
            # back and hashed in any case.
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )
    return S3Store(client, bucket=url.netloc, prefix=url.path.strip("/"))


class S3Store:
    """Objects below a prefix of a bucket."""

    def __init__(self, client: Any, *, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def url(self) -> str:
        """Where it is. See `Store.url`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @contextmanager
    def create(self, key: str) -> Iterator[Sink]:
        """Write the object `key`, in parts; an upload that does not end well is aborted."""
        upload = _Upload(self._client, {"Bucket": self._bucket, "Key": self._prefix + key})
        try:
            yield _Explained(upload, self._explained)
            with self._explained():
                upload.complete()
        except BaseException:
            # If the store does not take that either, `sweep` does it later.
            with suppress(StoreError), self._explained():
                upload.abort()
            raise

    @contextmanager
    def open(self, key: str) -> Iterator[Source]:
        """Read the object `key`. See `Store.open`."""
        with self._explained():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        body = answer["Body"]
        try:
            yield _Explained(body, self._explained)
        finally:
            body.close()

    def files(self, prefix: str) -> Mapping[str, int]:
        """Return keys and sizes. See `Store.files`."""
        with self._explained():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return {
                item["Key"].removeprefix(self._prefix): item["Size"]
                for page in pages
                for item in page.get("Contents", ())
            }

    def delete(self, key: str) -> None:
        """Remove the object `key`. See `Store.delete`."""
        with self._explained():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def sweep(self, prefix: str, *, before: datetime) -> None:
        """Abort uploads that nobody goes on with. See `Store.sweep`."""
        with self._explained():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            stale = [
                upload
                for page in pages
                for upload in page.get("Uploads", ())
                if upload["Initiated"] < before
            ]
            for upload in stale:
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def free(self) -> None:
        """Say that there is no limit."""
        return

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            OSError,
        ) as error:
            raise StoreError(
                f"the store {self.url}: {error}",
                hint="See whether credentials and endpoint are right: "
                f"aws s3 ls s3://{self._bucket}/{self._prefix}",
            ) from error


class _Explained:
    """What is read or written piece by piece; its errors are the store's."""

    def __init__(self, file: Any, explained: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._explained = explained

    def read(self, size: int, /) -> bytes:
        with self._explained():
            data: bytes = self._file.read(size)
            return data

    def write(self, data: bytes, /) -> int:
        with self._explained():
            self._file.write(data)
        return len(data)

    def flush(self) -> None:
        return None


class _Upload:
    """One object on its way: a single request when it is small, a multipart upload otherwise."""

    def __init__(self, client: Any, target: Mapping[str, str]) -> None:
        self._client = client
        self._target = target
        self._upload = ""
        self._parts: list[dict[str, object]] = []
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= PIECE:
            self._send(bytes(self._waiting[:PIECE]))
            del self._waiting[:PIECE]

    def complete(self) -> None:
        if not self._upload:
            self._client.put_object(**self._target, Body=bytes(self._waiting))
            return
        if self._waiting:
            self._send(bytes(self._waiting))
        self._client.complete_multipart_upload(
            **self._target, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
        )

    def abort(self) -> None:
        if self._upload:
            self._client.abort_multipart_upload(**self._target, UploadId=self._upload)

    def _send(self, piece: bytes) -> None:
        if not self._upload:
            answer = self._client.create_multipart_upload(**self._target)
            self._upload = answer["UploadId"]
        number = len(self._parts) + 1
        answer = self._client.upload_part(
            **self._target, UploadId=self._upload, PartNumber=number, Body=piece
        )
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})
