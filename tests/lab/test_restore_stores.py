"""Restores of encrypted backups out of a bucket: an S3 server on loopback, for the workstation."""

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from kubeops.lab.model import Lab
from kubeops.transport.base import Result
from tests.lab.verbs import Operator, is_whole
from tests.unit.backups.made import identity

pytestmark = pytest.mark.lab

Ssh = Callable[..., Result]
KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf "
BUCKET = "backups"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def operator(lab_factory: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(lab=lab_factory(1, 0), directory=tmp_path_factory.mktemp("operator"))
    operator.describe()
    operator.install().must()
    return operator


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the inventory says about the store; credentials are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    return {
        "store": f"s3://{BUCKET}/kubeops",
        "s3": {"endpoint": endpoint, "region": "us-east-1", "path_style": True},
    }


@pytest.mark.parametrize("sealing", ["passphrase", "recipients"])
def test_an_encrypted_one_out_of_a_bucket(
    operator: Operator, ssh: Ssh, bucket: dict[str, object], tmp_path: Path, sealing: str
) -> None:
    right, wrong = _keys(tmp_path, sealing)
    operator.describe(cluster={"backup": {**bucket, "encrypt": right}})
    _kubectl(operator, ssh, f"create namespace before-{sealing}")
    name = operator.json("backup")["backup"]["name"]
    _kubectl(operator, ssh, f"delete namespace before-{sealing} --wait=true")
    _kubectl(operator, ssh, f"create namespace after-{sealing}")
    arguments = ("--from", name, "--yes", "--confirm", operator.lab.name)

    operator.describe(cluster={"backup": {**bucket, "encrypt": wrong}})
    untouched = _state(operator, ssh)
    refused = operator.on_cluster("restore", *arguments).must(8)
    assert "no key of ours opens it" in refused.words or "does not open key.age" in refused.words
    assert _state(operator, ssh) == untouched

    operator.describe(cluster={"backup": {**bucket, "encrypt": right}})
    operator.on_cluster("restore", *arguments).must()
    there = _kubectl(operator, ssh, "get namespaces -o name").split()
    assert f"namespace/before-{sealing}" in there
    assert f"namespace/after-{sealing}" not in there
    is_whole(operator.json("status"), operator.lab)
    assert not [*operator.state.rglob("snapshot.db"), *operator.state.rglob("kubeops-scratch*")]


def _keys(directory: Path, sealing: str) -> tuple[dict[str, object], dict[str, object]]:
    """Return what encrypts and opens, and what does not open it; as the inventory says it."""
    if sealing == "passphrase":
        file, another = directory / "passphrase", directory / "another"
        file.write_text("correct horse battery staple\n")
        another.write_text("wrong\n")
        return {"passphrase_file": str(file)}, {"passphrase_file": str(another)}
    keys, other = identity(directory), identity(directory, "another")
    right: dict[str, object] = {
        "recipients": list(keys.recipients),
        "identity_file": str(keys.identity_file),
    }
    return right, {**right, "identity_file": str(other.identity_file)}


def _kubectl(operator: Operator, ssh: Ssh, words: str) -> str:
    return ssh(operator.lab, "cp1", KUBECTL + words).must().stdout


def _state(operator: Operator, ssh: Ssh) -> str:
    """What a restore would change on the host: manifests, data, its own marks, containers."""
    script = (
        "sudo sh -c 'ls -li /etc/kubernetes/manifests; ls -di /var/lib/etcd* /var/lib/kubeops/*; "
        "find /var/lib/kubeops/restore -type f; crictl ps --quiet | sort'"
    )
    return ssh(operator.lab, "cp1", script).stdout
