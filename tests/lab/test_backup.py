"""Backups of a real etcd by the verbs: taken, proven, kept, scheduled; and what goes wrong."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeops.backups import catalog, lock, parts
from kubeops.backups.crypto import Keys
from kubeops.backups.schedule import Job
from kubeops.backups.stores import open_store
from kubeops.inventory.load import load
from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.ops import schedule as schedules
from kubeops.ops.schedule import Manager
from kubeops.transport.base import Result
from kubeops.transport.ssh import SshTransport
from tests.lab.verbs import Ended, Operator, becomes_true

pytestmark = pytest.mark.lab

Ssh = Callable[..., Result]
KUBECTL = "sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CLEAN = "sudo rm -f /usr/local/bin/etcdctl"


@pytest.fixture(scope="module")
def operator(lab_factory: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Operator:
    directory: Path = tmp_path_factory.mktemp("operator")
    operator = Operator(lab=lab_factory(1, 0), directory=directory)
    (directory / "passphrase").write_text("correct horse\n")
    (directory / "metrics").mkdir()
    describe(operator)
    operator.install().must()
    return operator


@pytest.fixture(autouse=True)
def tidy(operator: Operator, ssh: Ssh) -> Iterator[None]:
    yield
    faults.free_disk(operator.lab, "cp1")
    ssh(operator.lab, "cp1", CLEAN).must()
    describe(operator)


def describe(operator: Operator, **policy: object) -> None:
    directory = operator.directory
    backup = {
        "store": f"file://{directory}/store",
        "encrypt": {"passphrase_file": str(directory / "passphrase")},
        "metrics_directory": str(directory / "metrics"),
        "on_failure": ["sh", "-c", f"cat >{directory}/alarm"],
        **policy,
    }
    operator.describe(cluster={"backup": backup})


def backup(operator: Operator, *arguments: str) -> str:
    """Take one and return its name."""
    name: str = operator.json("backup", *arguments)["backup"]["name"]
    return name


def names(operator: Operator, standing: str = "proven") -> list[str]:
    listed = operator.json("backup.list")["backups"]
    return [entry["name"] for entry in listed if entry["standing"] == standing]


def metrics(operator: Operator) -> dict[str, float]:
    text = (operator.directory / f"metrics/kubeops-backup-{operator.lab.name}.prom").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {
        line.partition("{")[0].removeprefix("kubeops_backup_"): float(line.rpartition(" ")[2])
        for line in lines
        if "standing=" not in line
    }


def kubectl(operator: Operator, ssh: Ssh, *words: str) -> None:
    ssh(operator.lab, "cp1", f"{KUBECTL} {' '.join(words)}").must()


def plain_snapshot(operator: Operator, name: str) -> bytes:
    policy = load(operator.inventory).backup
    store = open_store(policy)
    bundle = catalog.find(store, operator.lab.name, name)
    target = operator.directory / f"{name}.db"
    parts.fetch(
        store,
        bundle,
        bundle.snapshot,
        keys=Keys.of(policy),
        target=target,
        progress=lambda _text: None,
    )
    return target.read_bytes()


def test_what_is_deleted_afterwards_is_in_it(operator: Operator, ssh: Ssh) -> None:
    kubectl(operator, ssh, "create", "namespace", "shop")
    told = operator.on_cluster("backup").must()
    assert "REHEARSAL" in told.stdout
    name = names(operator)[0]
    assert told.stdout.startswith(f"{name}   proven")
    kubectl(operator, ssh, "delete", "namespace", "shop")
    assert b"/registry/namespaces/shop" in plain_snapshot(operator, name)
    later = backup(operator)
    assert names(operator)[:2] == [later, name]
    stored = b"".join(path.read_bytes() for path in (operator.directory / "store").rglob("*.age"))
    assert b"/registry/namespaces" not in stored

    found = metrics(operator)
    assert (found["last_run_success"], found["proven"]) == (1, 1)
    assert found["newest_timestamp_seconds"] <= found["last_success_timestamp_seconds"]
    entry = operator.json("backup.list")["backups"][0]
    assert found["newest_revision"] == entry["bundle"]["revision"]
    assert found["newest_size_bytes"] == entry["size"]
    assert operator.json("backup.status")["newest"]["name"] == later
    assert operator.json("status")["backup"]["newest"]["name"] == later
    assert f"old   {later}, proven" in operator.on_cluster("status").must().stdout


def test_a_stored_one_is_verified_again(operator: Operator) -> None:
    name = backup(operator)
    cheap = operator.json("backup.verify")["verified"]
    assert [rung["name"] for rung in cheap[0]["proof"]["rungs"]] == ["stored", "decrypted"]
    full = operator.json("backup.verify", "--name", name, "--full")["verified"]
    assert full[0]["proof"]["full"]
    assert full[0]["proof"]["rungs"][-1]["name"] == "identity"
    part = operator.directory / "store" / operator.lab.name / name / "snapshot.db.zst.age"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    try:
        ended = operator.on_cluster("backup.verify", "--all").must(8)
        assert f"{name} (stored)" in ended.words
        part.write_bytes(content[:-1])
        ended = operator.on_cluster("backup.verify", "--all").must(8)
        assert name in ended.words
        assert names(operator, "damaged") == [name]
    finally:
        part.unlink()
        part.with_name("manifest.json").unlink()


def test_old_ones_go_only_when_the_inventory_says_so(operator: Operator) -> None:
    before = [backup(operator), *names(operator)]
    taken = [backup(operator), backup(operator)]
    assert set(before) <= set(names(operator))
    describe(operator, keep={"last": 2})
    planned = operator.json("backup.prune", "--plan")
    gone = {verdict["name"] for verdict in planned["verdicts"] if not verdict["keep"]}
    assert gone == set(names(operator)) - set(taken)
    refused = operator.on_cluster("backup.prune").must(2)
    assert "--yes" in refused.words
    assert set(before) <= set(names(operator))
    removed = operator.json("backup.prune", "--yes")["removed"]
    assert {verdict["name"] for verdict in removed} == gone
    assert names(operator) == taken[::-1]
    last = operator.json("backup")
    assert [verdict["name"] for verdict in last["removed"]] == [taken[0]]
    assert names(operator) == [last["backup"]["name"], taken[1]]


def test_status_complains_of_an_old_one(operator: Operator) -> None:
    backup(operator)
    operator.on_cluster("backup.status", "--max-age", "1h").must()
    ended = operator.on_cluster("backup.status", "--max-age", "0s", "--json").must(8)
    told = json.loads(ended.stdout)
    assert told["error"]["code"] == "KO-81"
    assert told["data"]["too_old"]


def test_an_export_follows_the_objects(operator: Operator, ssh: Ssh) -> None:
    kubectl(operator, ssh, "create", "namespace", "web")
    kubectl(operator, ssh, "create", "configmap", "conf", "-n", "web", "--from-literal=a=b")
    kubectl(operator, ssh, "create secret generic login -n web --from-literal=password=hunter2")
    out = operator.directory / "export"
    export = ("--output", str(out))
    operator.json("backup.export", *export)
    assert (out / "web/configmap/conf.yaml").read_text().splitlines() == [
        *("apiVersion: v1", "data:", "  a: b", "kind: ConfigMap"),
        *("metadata:", "  name: conf", "  namespace: web"),
    ]
    assert not list(out.rglob("*secret*"))
    assert not (out / "_cluster/node").exists()
    again = operator.json("backup.export", *export, "--secrets")
    assert [path for path in again["written"] if path.startswith("web/")] == [
        "web/secret/login.yaml.age"
    ]
    assert all(b"hunter2" not in file.read_bytes() for file in out.rglob("*") if file.is_file())
    assert operator.json("backup.export", *export, "--secrets")["written"] == []
    kubectl(operator, ssh, "delete", "namespace", "web")
    gone = operator.json("backup.export", *export, "--secrets")["removed"]
    assert {"web/configmap/conf.yaml", "web/secret/login.yaml.age"} <= set(gone)
    assert not (out / "web").exists()


def failing(operator: Operator, status: int, **policy: object) -> Ended:
    """Take a scheduled one that fails: nothing is lost, and everybody is told."""
    before = names(operator)
    describe(operator, **policy)
    alarm = operator.directory / "alarm"
    alarm.unlink(missing_ok=True)
    ended = operator.on_cluster("backup", "--scheduled", "--json").must(status)
    told = json.loads(ended.stdout)
    assert json.loads(alarm.read_text()) == told
    assert told["error"]["exit_status"] == status
    describe(operator)
    assert names(operator) == before
    found = metrics(operator)
    assert (found["last_run_success"], found["last_run_exit_status"]) == (0, status)
    assert f"ended with status {status}" in operator.on_cluster("backup.status").must().words
    return ended


def test_a_store_that_cannot_be_written_to(operator: Operator) -> None:
    backup(operator)
    (operator.directory / "file").write_text("in the way")
    ended = failing(operator, 5, store=f"file://{operator.directory}/file")
    assert "file: " in ended.words


def test_a_disk_that_is_full_on_the_host(operator: Operator) -> None:
    backup(operator)
    faults.fill_disk(operator.lab, "cp1", leave_bytes=1 << 20)
    assert "no room for the snapshot" in failing(operator, 4).words


def test_a_member_that_dies_during_the_save(operator: Operator, ssh: Ssh) -> None:
    backup(operator)
    manifest = "/etc/kubernetes/manifests/etcd.yaml"
    script = (
        "#!/bin/sh\n"
        f'case " $* " in *" snapshot save "*) mv {manifest} /root; pkill -KILL -x etcd ;; esac\n'
        'exec /usr/bin/etcdctl "$@"\n'
    )
    install = "sudo tee /usr/local/bin/etcdctl >/dev/null && sudo chmod 755 /usr/local/bin/etcdctl"
    ssh(operator.lab, "cp1", install, stdin=script.encode()).must()
    try:
        failing(operator, 5)
    finally:
        ssh(operator.lab, "cp1", f"{CLEAN}; sudo mv /root/etcd.yaml {manifest}").must()
    left = ssh(operator.lab, "cp1", "sudo find / -xdev -name 'kubeops-scratch.*'").must().stdout
    assert left == ""
    becomes_true("etcd to be back", lambda: operator.on_cluster("backup").status == 0)


def test_another_passphrase_opens_nothing_and_loses_nothing(operator: Operator) -> None:
    name = backup(operator)
    (operator.directory / "passphrase").write_text("wrong\n")
    try:
        ended = operator.on_cluster("backup.verify", "--name", name).must(8)
    finally:
        (operator.directory / "passphrase").write_text("correct horse\n")
    assert "does not open key.age" in ended.words
    assert "passphrase or private key of that time? Keep them" in ended.words
    assert "invoke backup" not in ended.words
    operator.on_cluster("backup.verify", "--name", name).must()


def test_a_second_one_at_the_same_time_is_refused(operator: Operator) -> None:
    backup(operator)
    before = metrics(operator)
    with lock.held(operator.state, operator.lab.name):
        ended = operator.on_cluster("backup").must(7)
    assert "another backup" in ended.words
    assert metrics(operator) == before
    backup(operator)


def test_a_schedule_is_installed_and_removed(operator: Operator, ssh: Ssh) -> None:
    """On a node, which is run by systemd as this machine may not be."""
    transport = SshTransport(load(operator.inventory).hosts)
    manager = Manager(runner=transport.runner("cp1"))
    script = (
        'printf %s "$KUBEOPS_STATE" >/var/lib/backups/taken; '
        "touch /etc/refused; touch /root/refused; true"
    )
    job = Job(
        cluster="prod",
        schedule="weekly Sun 02:30",
        command=("/bin/sh", "-c", script),
        directory=Path("/"),
        environment={"KUBEOPS_STATE": "/var/lib/state $x 100%"},
        writable={Path("/var/lib/backups"): 0o700, Path("/var/lib/state $x 100%"): 0o700},
    )
    try:
        done = schedules.schedule(job, manager)
        assert done.next.startswith("Sun ")
        unit = "kubeops-backup-prod"
        shown = ssh(operator.lab, "cp1", f"systemctl is-enabled {unit}.timer; "
                    f"systemctl is-active {unit}.timer").stdout.split()  # fmt: skip
        assert shown == ["enabled", "active"]
        ssh(operator.lab, "cp1", f"sudo systemctl start {unit}.service").must()
        there = ssh(
            operator.lab, "cp1", "sudo sh -c 'ls -d /var/lib/backups/taken /*/refused' 2>/dev/null"
        )
        assert there.stdout == "/var/lib/backups/taken\n"
        seen = ssh(operator.lab, "cp1", "sudo cat /var/lib/backups/taken").must().stdout
        assert seen == job.environment["KUBEOPS_STATE"]
        assert schedules.schedule(job, manager).files == done.files
        assert len(schedules.unschedule("prod", manager)) == 2
        left = ssh(
            operator.lab, "cp1", "find /etc/systemd /var/lib/systemd -name '*kubeops-backup*'"
        )
        assert left.stdout == ""
        assert schedules.unschedule("prod", manager) == ()
    finally:
        transport.close()
