"""Stores of both kinds (a directory; a bucket of an S3 server on loopback), and a real etcd."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from kubeops.backups.store import Store
from kubeops.backups.stores import open_store
from kubeops.lab import base
from kubeops.model.desired import S3, BackupPolicy
from tests.bundles import UID
from tests.component.backups.member import Etcd


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


@pytest.fixture(scope="session")
def etcd_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of etcd, etcdctl and etcdutl: this machine's, or those of the lab's base root."""
    found = shutil.which("etcdutl")
    if found and shutil.which("etcd") and shutil.which("etcdctl"):
        return Path(found).parent
    if os.getuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("there is no etcd (Debian: apt-get install etcd-server etcd-client)")
    programs = tmp_path_factory.mktemp("programs")
    for name in ("etcd", "etcdctl", "etcdutl"):
        (programs / name).symlink_to(base.ensure(lambda _line: None) / "usr/bin" / name)
    return programs


@pytest.fixture
def etcd(etcd_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Etcd]:
    """A member with what every cluster has in it; its programs are on the PATH."""
    monkeypatch.setenv("PATH", f"{etcd_programs}:{os.environ['PATH']}")
    member = Etcd(tmp_path / "member")
    try:
        member.start()
        member.put("/registry/namespaces/kube-system", json.dumps({"metadata": {"uid": UID}}))
        for number in range(20):
            member.put(f"/registry/configmaps/default/{number}", "x" * 1000)
        yield member
    finally:
        member.stop()
