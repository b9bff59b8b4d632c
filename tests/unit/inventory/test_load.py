"""What a sound inventory becomes."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from kubeops.errors import InventoryError
from kubeops.inventory import load
from kubeops.inventory.load import CNI_VERSIONS
from kubeops.model.desired import (
    S3,
    BackupPolicy,
    Cluster,
    Cni,
    Drain,
    Host,
    HostKeys,
    Networks,
    Role,
    Runtime,
    Ssh,
    Taint,
    UpgradePolicy,
)
from kubeops.model.version import KubeVersion
from tests.unit.inventory.writing import inventory, write

LEAST = """\
cluster: {name: small, kubernetes: "1.36.1"}
hosts:
  node1: {address: 10.0.0.11, role: control-plane}
  node2: {address: 10.0.0.12, role: worker}
"""


def test_what_is_not_written_is_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, LEAST)
    assert load(path) == Cluster(
        name="small",
        kubernetes=KubeVersion(1, 36, 1),
        endpoint="10.0.0.11:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/12")),
        hosts=(
            Host(name="node1", address="10.0.0.11", role=Role.CONTROL_PLANE),
            Host(name="node2", address="10.0.0.12", role=Role.WORKER),
        ),
        cni=Cni(name="flannel", version=CNI_VERSIONS["flannel"]),
        source=path,
    )


def test_every_key_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("key", "password", "plugin.yaml"):
        (tmp_path / name).touch()
    path = write(
        tmp_path,
        """\
cluster:
  name: prod
  kubernetes: v1.35.4
  endpoint: api.example:6443
  networks: {pods: 10.32.0.0/14, services: 10.96.0.0/16, dns_domain: k8s.example}
  runtime: {name: containerd, version: "2.1"}
  cni: {name: calico, version: v3.30.0, source: plugin.yaml}
  addons: [ingress-nginx, ./plugin.yaml, https://mirror.example/x.yaml]
  packages: {repository: "http://mirror.example/v{minor}/deb/"}
  images: {repository: "mirror.example:5000/k8s"}
  upgrade: {max_unavailable: 20%, failure_budget: 0, drain: {timeout: 1h30m, grace: 5s, pdb: fail}}
  backup:
    store: s3://bucket/prefix
    schedule: weekly Sun 23:59
    keep: {last: 3}
    encrypt: {recipients: ["ssh-ed25519 AAAAC3Nz ops@desk"], identity_file: ~/key}
    s3: {endpoint: "https://s3.example:9000", region: eu-central-1, path_style: true}
    max_age: 1h30m
    metrics_directory: metrics
    on_failure: [mail, -s, failed]
ssh: {user: ops, port: 22, key: ~/key, jump: "me@bastion:2222", host_keys: strict, sudo: no}
hosts:
  w1:
    address: 10.0.0.21
    role: worker
    labels: {disk: ssd, example.com/rack: "", Zone_1.x: a.b-c_d}
    taints: ["gpu=true:NoSchedule", "example.com/busy:NoExecute"]
    ssh:
      port: 2222
      known_hosts: hosts
      host_keys: accept-new
      sudo: true
      sudo_password_file: password
    vagrant: {cpus: 1, memory: 1024, box: debian/testing64}
  cp1: {address: 10.0.0.11, role: control-plane, taints: []}
  w2: {address: 10.0.0.22, role: worker, replaces: w1}
vagrant: {box: debian/bookworm64}
""",
    )
    ssh = Ssh(user="ops", port=22, key=tmp_path / "key", jump="me@bastion:2222", sudo=False)
    assert load(path) == Cluster(
        name="prod",
        kubernetes=KubeVersion(1, 35, 4),
        endpoint="api.example:6443",
        networks=Networks(
            pods=ip_network("10.32.0.0/14"),
            services=ip_network("10.96.0.0/16"),
            dns_domain="k8s.example",
        ),
        hosts=(
            Host(
                name="w1",
                address="10.0.0.21",
                role=Role.WORKER,
                labels={"disk": "ssd", "example.com/rack": "", "Zone_1.x": "a.b-c_d"},
                taints=(
                    Taint(key="gpu", value="true", effect="NoSchedule"),
                    Taint(key="example.com/busy", value="", effect="NoExecute"),
                ),
                ssh=Ssh(
                    user="ops",
                    port=2222,
                    key=tmp_path / "key",
                    jump="me@bastion:2222",
                    known_hosts=tmp_path / "hosts",
                    host_keys=HostKeys.ACCEPT_NEW,
                    sudo=True,
                    sudo_password_file=tmp_path / "password",
                ),
            ),
            Host(name="cp1", address="10.0.0.11", role=Role.CONTROL_PLANE, taints=(), ssh=ssh),
            Host(name="w2", address="10.0.0.22", role=Role.WORKER, ssh=ssh, replaces="w1"),
        ),
        cni=Cni(name="calico", version="3.30.0", source=str(tmp_path / "plugin.yaml")),
        runtime=Runtime(version="2.1"),
        package_repository="http://mirror.example/v{minor}/deb/",
        image_repository="mirror.example:5000/k8s",
        addons=("ingress-nginx", str(tmp_path / "plugin.yaml"), "https://mirror.example/x.yaml"),
        upgrade=UpgradePolicy(
            max_unavailable="20%",
            failure_budget=0,
            drain=Drain(timeout=5400.0, grace=5.0, pdb="fail"),
        ),
        backup=BackupPolicy(
            store="s3://bucket/prefix",
            schedule="weekly Sun 23:59",
            keep={"last": 3, "daily": 0, "weekly": 0, "monthly": 0},
            prunes=True,
            recipients=("ssh-ed25519 AAAAC3Nz ops@desk",),
            identity_file=tmp_path / "key",
            s3=S3(endpoint="https://s3.example:9000", region="eu-central-1", path_style=True),
            max_age=5400.0,
            metrics_directory=tmp_path / "metrics",
            on_failure=("mail", "-s", "failed"),
        ),
        source=path,
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{name: bridge}", Cni(name="bridge"), id="bridge-has-no-version"),
        pytest.param("{name: calico}", Cni(name="calico", version="3.31.2"), id="pinned"),
        pytest.param(
            "{name: cilium, source: https://x.example/a.yaml}",
            Cni(name="cilium", source="https://x.example/a.yaml"),
            id="cilium-is-not-pinned",
        ),
        pytest.param(
            "{manifest: https://x.example/a.yaml}",
            Cni(name="manifest", source="https://x.example/a.yaml"),
            id="manifest-in-short",
        ),
        pytest.param(
            "{name: manifest, source: https://x.example/a.yaml}",
            Cni(name="manifest", source="https://x.example/a.yaml"),
            id="manifest-at-length",
        ),
    ],
)
def test_network_plugins(tmp_path: Path, written: str, expected: Cni) -> None:
    assert load(write(tmp_path, inventory(extra=f"cni: {written}"))).cni == expected


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_package_repository_ends_with_one_slash(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, inventory(extra=f"packages: {{repository: 'http://a/v{{minor}}{end}'}}"))
    assert load(path).package_repository == "http://a/v{minor}/"


def test_ipv6_cluster_gets_a_bracketed_endpoint(tmp_path: Path) -> None:
    text = inventory(
        extra="networks: {pods: 'fd01::/48', services: 'fd02::/112'}",
        cp1="{address: 'FD00:0::11', role: control-plane}",
        w1="{address: 'fd00::21', role: worker}",
    )
    cluster = load(write(tmp_path, text))
    assert cluster.endpoint == "[fd00::11]:6443"
    assert cluster.host("cp1").address == "fd00::11"


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = inventory(
        w1="&worker {address: 10.0.0.21, role: worker, labels: {disk: ssd}}",
        more="  w2: {<<: *worker, address: 10.0.0.22}\n",
    )
    second = load(write(tmp_path, text)).host("w2")
    assert (second.address, second.role, second.labels) == (
        "10.0.0.22",
        Role.WORKER,
        {"disk": "ssd"},
    )


def test_a_host_can_take_the_jump_host_back(tmp_path: Path) -> None:
    text = inventory(
        ssh="{jump: bastion}", w1="{address: 10.0.0.21, role: worker, ssh: {jump: none}}"
    )
    cluster = load(write(tmp_path, text))
    assert [host.ssh.jump for host in cluster.hosts] == ["bastion", "none"]


def test_hosts_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = inventory(more="  a1: {address: 10.0.0.22, role: worker}\n")
    assert [host.name for host in load(write(tmp_path, text)).hosts] == ["cp1", "w1", "a1"]


def test_the_error_counts_names_the_file_and_says_what_to_type(tmp_path: Path) -> None:
    text = inventory(name="Prod", w1="{address: 10.0.0.21}")
    path = write(tmp_path, text, name="our prod.yaml")
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert str(caught.value) == f"{path} has 2 problems"
    assert caught.value.hint == (
        f"Correct the lines above, then type: invoke inventory.check --inventory '{path}'"
    )
