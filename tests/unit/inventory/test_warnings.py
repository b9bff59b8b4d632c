"""What an inventory may say, but better would not."""

from pathlib import Path

import pytest

from kubeops.inventory import load
from tests.unit.inventory.writing import inventory, write

CONTROL_PLANE = "{address: 10.0.0.21, role: control-plane}"


def warnings(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    return [line.replace(f"{folder}/prod.yaml:", "") for line in load(path).warnings]


def test_a_sound_inventory_has_none(tmp_path: Path) -> None:
    assert warnings(tmp_path, inventory()) == []


def test_even_number_of_control_planes(tmp_path: Path) -> None:
    text = inventory(
        extra="endpoint: 10.0.0.10:6443",
        w1=CONTROL_PLANE,
        more="  w2: {address: 10.0.0.22, role: worker}\n",
    )
    assert warnings(tmp_path, text) == [
        "6: hosts: 2 control planes survive the loss of 0, which 1 do as well; run 1 or 3"
    ]


def test_endpoint_that_is_one_of_the_control_planes(tmp_path: Path) -> None:
    more = (
        "  cp3: {address: 10.0.0.22, role: control-plane}\n"
        "  w2: {address: 10.0.0.9, role: worker}\n"
    )
    text = inventory(extra="endpoint: 10.0.0.11:6443", w1=CONTROL_PLANE, more=more)
    expected = (
        "4: cluster.endpoint: is the address of cp1: when cp1 is down the API is, however many "
        "control planes run; put a load balancer or a virtual IP in front of them"
    )
    assert warnings(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    ("taints", "warned"),
    [
        pytest.param("", True, id="kubeadms"),
        pytest.param(", taints: ['a:NoExecute']", True, id="another"),
        pytest.param(", taints: ['a:PreferNoSchedule']", False, id="a-preference"),
        pytest.param(", taints: []", False, id="none"),
    ],
)
def test_no_host_for_ordinary_pods(tmp_path: Path, taints: str, *, warned: bool) -> None:
    text = (
        'cluster: {name: x, kubernetes: "1.35.4"}\n'
        f"hosts: {{cp1: {{address: 10.0.0.11, role: control-plane{taints}}}}}\n"
    )
    expected = (
        "2: hosts: every host is tainted, so ordinary pods have nowhere to run; add a worker, or "
        "write taints: [] at a control plane that shall run them"
    )
    assert warnings(tmp_path, text) == ([expected] if warned else [])


def test_s3_settings_of_a_directory(tmp_path: Path) -> None:
    text = inventory(extra="backup: {s3: {path_style: true}}")
    expected = (
        "4: cluster.backup.s3: means nothing to file:///var/backups/kubeops; take it out, or write "
        "store: s3://BUCKET/PREFIX"
    )
    assert warnings(tmp_path, text) == [expected]


def test_unencrypted_backups_off_the_host(tmp_path: Path) -> None:
    text = inventory(extra="backup: {store: 's3://bucket'}")
    expected = (
        "4: cluster.backup.store: backups leave the hosts unencrypted, every Secret of the cluster "
        "in them; write encrypt: {passphrase_file: ~/.config/kubeops/backup.key} below backup"
    )
    assert warnings(tmp_path, text) == [expected]
