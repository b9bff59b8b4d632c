"""Stores of both kinds: a directory, and a bucket of an S3 server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from kubeops.backups.store import Store, open_store
from kubeops.model.desired import S3, BackupPolicy


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_policy(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> BackupPolicy:
    import boto3  # noqa: PLC0415 - slow to load, and only these tests want it

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"b{abs(hash(request.node.nodeid)) % 10**9}"
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    settings = S3(endpoint=s3_server, region="us-east-1", path_style=True)
    return BackupPolicy(store=f"s3://{bucket}/some/prefix", s3=settings)


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_policy"))
    return open_store(BackupPolicy(store=f"file://{tmp_path}/store"))
