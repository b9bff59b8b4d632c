"""Whole backups of a real etcd, and everything that can go wrong with one."""

import hashlib
import json
import os
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from kubeops.backups import catalog, ladder, lock, parts, save
from kubeops.backups.crypto import Keys
from kubeops.backups.ladder import Expected
from kubeops.backups.local import LocalStore
from kubeops.backups.scripts import remark, script
from kubeops.backups.store import Store
from kubeops.backups.stores import open_store
from kubeops.backups.verify import verify
from kubeops.errors import (
    CommandError,
    InterruptedRunError,
    LockedError,
    PreflightError,
    StoreError,
    UntrustedSnapshotError,
)
from kubeops.model.bundle import Bundle
from kubeops.model.observed import ClusterFacts
from kubeops.transport.base import Command
from kubeops.transport.local import spawn
from tests.bundles import AT, UID
from tests.component.backups.member import Etcd, Host, Hosts, desired, facts
from tests.failing_store import FailingStore
from tests.unit.backups.made import identity

pytestmark = pytest.mark.etcd

LADDER = ["received", "trailer", "sha256", "status", "restore", "start", "keys", "identity"]


@dataclass
class World:
    """What `take` is called with; `lines` are what it said."""

    etcd: Etcd
    store: Store
    directory: Path
    keys: Keys = field(default_factory=Keys)
    host: Host = field(default_factory=Host)
    lines: list[str] = field(default_factory=list)

    def take(self, store: Any = None, observed: ClusterFacts | None = None) -> Bundle:
        policy = {
            "recipients": self.keys.recipients,
            "identity_file": self.keys.identity_file,
        }
        return save.take(
            desired(self.store.url, **policy),
            observed or facts(self.etcd),
            transport=Hosts(self.host),
            store=store or self.store,
            state=self.directory / "state",
            now=lambda: AT,
            progress=self.lines.append,
        )

    def catalog(self) -> catalog.Catalog:
        return catalog.read_catalog(self.store, "prod")

    def leftovers(self) -> list[Path]:
        """Plain files and scratch directories that should be gone."""
        return [
            *(self.directory / "host").rglob("*"),
            *(self.directory / "state").rglob("kubeops-scratch*"),
            *self.directory.rglob("snapshot.db"),
        ]


@pytest.fixture
def world(etcd: Etcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    programs = tmp_path / "programs"
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text('#!/bin/sh\necho "kind: ConfigMap # $*"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    scratch = (str(tmp_path / "host"),)
    monkeypatch.setattr(save, "SCRATCH", scratch)
    monkeypatch.setattr(ladder, "SCRATCH", scratch)
    world = World(etcd=etcd, store=LocalStore(tmp_path / "store"), directory=tmp_path)
    yield world
    assert world.leftovers() == []
    # What is killed is gone a moment later.
    waiting = Retrying(
        stop=stop_after_delay(30), wait=wait_fixed(0.05), retry=retry_if_result(bool)
    )
    assert waiting(running, tmp_path) == []


def running(directory: Path) -> list[str]:
    """Command lines of processes that work in a scratch directory below `directory`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            if f"{directory}/" in line and "kubeops-scratch" in line:
                found.append(line.replace("\0", " "))
    return found


@pytest.fixture
def no_etcd_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the host has etcd."""
    trouble = ladder._trouble
    monkeypatch.setattr(
        ladder,
        "_trouble",
        lambda place, etcd: "etcd is not there" if place.local else trouble(place, etcd),
    )


def test_a_backup(world: World) -> None:
    world.keys = identity(world.directory)
    bundle = world.take()
    assert [rung.name for rung in bundle.proof.rungs] == [*LADDER, "stored"]
    assert bundle.proven
    assert bundle.proof.where == "localhost"
    assert (bundle.revision, bundle.keys, bundle.kube_system_uid) == (22, 21, UID)
    assert world.catalog().proven == (bundle,)
    target = world.directory / "pki.tar"
    parts.fetch(
        world.store,
        bundle,
        bundle.pki,
        keys=world.keys,
        target=target,
        progress=world.lines.append,
    )
    with tarfile.open(target) as archive:
        assert "cluster/kubeadm-config.yaml" in archive.getnames()
        content = archive.extractfile("cluster/kubelet-config.yaml")
        assert content is not None
        assert b"get configmap kubelet-config" in content.read()


@pytest.mark.usefixtures("no_etcd_here")
def test_proven_on_the_host_in_the_command_that_saves(world: World) -> None:
    bundle = world.take()
    assert bundle.proven
    assert bundle.proof.where == "cp1"
    assert [rung.name for rung in bundle.proof.rungs] == [*LADDER, "stored"]
    assert len(world.host.commands) == 3


def test_into_a_bucket(world: World, s3_policy: Any) -> None:
    world.store = open_store(s3_policy)
    world.keys = identity(world.directory)
    bundle = world.take()
    assert world.catalog().proven == (bundle,)


@pytest.mark.parametrize("here", [True, False])
def test_verifying_a_stored_one(
    world: World, request: pytest.FixtureRequest, *, here: bool
) -> None:
    world.keys = identity(world.directory)
    bundle = world.take()
    if not here:
        request.getfixturevalue("no_etcd_here")
    place = ladder.find_place(Hosts(world.host), ("cp1",), etcd=bundle.etcd)
    assert place.local == here
    proof = verify(
        bundle,
        store=world.store,
        keys=world.keys,
        place=place,
        scratch=world.directory / "state",
        now=lambda: AT,
        progress=world.lines.append,
    )
    assert (proof.holds, proof.full) == (True, True)
    assert [rung.name for rung in proof.rungs] == ["stored", "decrypted", *LADDER[1:]]


def refused(world: World, rung: str) -> str:
    """Take a backup that must fail its proof at `rung`; return what is said."""
    with pytest.raises(UntrustedSnapshotError) as caught:
        world.take()
    assert f"is not proven: {rung}: " in caught.value.message
    found = world.catalog()
    assert found.proven == ()
    (aside,) = found.unproven
    assert aside.proof.failed is not None
    assert aside.proof.failed.name == rung
    assert f"prod/unproven/{aside.name}/" in caught.value.hint
    return caught.value.message


def test_another_cluster(world: World) -> None:
    uid = json.dumps({"metadata": {"uid": "another"}})
    world.etcd.put("/registry/namespaces/kube-system", uid)
    assert "it is of cluster another, not of " in refused(world, "identity")


def test_no_kube_system(world: World) -> None:
    world.etcd.ctl("del", "/registry/namespaces/kube-system")
    assert "there is no namespace kube-system" in refused(world, "identity")


def test_nothing_below_the_prefix(world: World) -> None:
    world.etcd.ctl("del", "/registry/", "--prefix")
    assert "0 keys below /registry/" in refused(world, "keys")


def test_older_than_what_was_seen(world: World) -> None:
    observed = facts(world.etcd)
    assert observed.etcd is not None
    member = replace(observed.etcd.members[0], revision=1000)
    ahead = replace(observed, etcd=replace(observed.etcd, members=(member,)))
    with pytest.raises(UntrustedSnapshotError, match="revision 22, older than 1000"):
        world.take(observed=ahead)


@pytest.mark.usefixtures("no_etcd_here")
def test_a_proof_that_fails_on_the_host(world: World) -> None:
    world.etcd.ctl("del", "/registry/namespaces/kube-system")
    refused(world, "identity")


def test_bits_that_flip_on_the_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Host.stream

    def flipping(self: Host, command: Command, write: Callable[[bytes], object]) -> Any:
        return stream(
            self, command, lambda piece: write(piece.replace(b"x" * 999, b"x" * 998 + b"y"))
        )

    monkeypatch.setattr(Host, "stream", flipping)
    assert "what arrived is not what the host sent" in refused(world, "received")


def test_a_member_that_dies_during_the_save(world: World) -> None:
    world.host.before = lambda _command: world.etcd.stop()
    with pytest.raises(CommandError) as caught:
        world.take()
    assert "unhealthy" in caught.value.output
    assert world.store.files("") == {}


def test_a_member_that_stops_answering_during_the_save(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcdctl itself would wait for it for ever."""
    process = world.etcd.process
    assert process is not None
    real = shutil.which("etcdctl")
    wrapper = world.directory / "programs/etcdctl"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *" save "*) kill -KILL {process.pid} ;; esac\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    source = script

    def impatient(*names: str, **named: Any) -> Command:
        command = source(*names, **named)
        return replace(command, stdin=(command.stdin or b"").replace(b"STALL=60", b"STALL=1"))

    monkeypatch.setattr(save, "script", impatient)
    with pytest.raises(CommandError) as caught:
        world.take()
    assert "the member has sent nothing for 1 s" in caught.value.output
    assert world.store.files("") == {}


def test_a_member_whose_certificate_is_refused(world: World) -> None:
    observed = facts(world.etcd)
    pod = observed.hosts["cp1"].static_pods["etcd"]
    wrong = replace(pod, flags={**pod.flags, "trusted-ca-file": "/nowhere/ca.crt"})
    host = replace(observed.hosts["cp1"], static_pods={"etcd": wrong})
    with pytest.raises(CommandError, match="ended with status"):
        world.take(observed=replace(observed, hosts={"cp1": host}))


def bigger(observed: ClusterFacts, size: int) -> ClusterFacts:
    assert observed.etcd is not None
    member = replace(observed.etcd.members[0], db_size=size)
    return replace(observed, etcd=replace(observed.etcd, members=(member,)))


def test_not_enough_room_here(world: World) -> None:
    with pytest.raises(PreflightError, match=r"has room for [0-9]+ MiB, and [0-9]+ MiB are needed"):
        world.take(observed=bigger(facts(world.etcd), 10**15))
    assert world.host.commands == []


def test_not_enough_room_on_the_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "_need", lambda *_arguments, **_named: None)
    with pytest.raises(PreflightError, match=r"cp1 has no room for the snapshot: [0-9]+ bytes are"):
        world.take(observed=bigger(facts(world.etcd), 10**15))
    assert world.store.files("") == {}


@pytest.mark.parametrize("room", [0, 500, 2500])
def test_a_store_that_fills_up(world: World, room: int) -> None:
    with pytest.raises(StoreError, match="No space left on device"):
        world.take(store=FailingStore(world.store, room=room))
    assert world.catalog().proven == ()
    bundle = world.take()
    assert world.catalog().proven == (bundle,)


def test_a_store_that_refuses_the_manifest(world: World) -> None:
    with pytest.raises(StoreError, match="told to fail"):
        world.take(store=FailingStore(world.store, broken=("manifest.json",)))
    found = world.catalog()
    assert (found.proven, found.unproven) == ((), ())
    assert [damaged.abandoned for damaged in found.damaged] == [True]


def test_a_store_that_loses_bits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store_file = parts.store_file

    def losing(*arguments: Any, **named: Any) -> Any:
        part = store_file(*arguments, **named)
        for file in (world.directory / "store").rglob(part.name):
            file.write_bytes(file.read_bytes()[:-1] + b"!")
        return part

    monkeypatch.setattr(parts, "store_file", losing)
    with pytest.raises(
        UntrustedSnapshotError, match=r"is not proven: stored: snapshot\.db\.zst as"
    ):
        world.take()
    assert world.catalog().proven == ()


def test_two_at_once(world: World) -> None:
    with (
        lock.held(world.directory / "state", "prod"),
        pytest.raises(LockedError, match="another backup of prod is being taken"),
    ):
        world.take()
    with lock.held(world.directory / "state", "staging"):
        assert world.take().proven


def test_interrupted(world: World) -> None:
    first = world.take()

    def interrupt(command: Command) -> None:
        if "/etc/kubernetes/pki" in command.argv:
            raise InterruptedRunError("the operator pressed Ctrl-C")

    world.host.before = interrupt
    with pytest.raises(InterruptedRunError):
        world.take()
    assert world.catalog().proven == (first,)


@pytest.mark.usefixtures("no_etcd_here")
def test_the_script_is_killed_half_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its shell is killed while the scratch etcd runs: that one goes with it."""
    source = script

    def suicidal(*names: str, **named: Any) -> Command:
        command = source(*names, **named)
        changed = (command.stdin or b"").replace(b"try keys", b"kill -KILL $$; try keys")
        return replace(command, stdin=changed)

    monkeypatch.setattr(save, "script", suicidal)
    with pytest.raises(CommandError, match="ended with status 137"):
        world.take()
    assert world.store.files("") == {}
    (left,) = (world.directory / "host").glob("*")
    assert left.name.startswith("kubeops-scratch.")  # swept by a later save
    shutil.rmtree(left)


def test_signals_clean_up(world: World) -> None:
    """`timeout` on the host ends the script with SIGTERM."""
    file = world.etcd.snapshot(world.directory / "file.db")

    command = script("prove", "climb", timeout=60)
    host = world.directory / "host"
    text = world.directory / "script.sh"
    text.write_bytes((command.stdin or b"").replace(b"try keys", b"sleep 60; try keys"))
    arguments = ("here", str(file), "/registry", "1", str(host))
    process = spawn(("sh", str(text), *arguments), log=world.directory / "log")
    waiting = Retrying(
        stop=stop_after_delay(60), wait=wait_fixed(0.05), retry=retry_if_result(lambda ok: not ok)
    )
    waiting(lambda: b"@start 0" in (world.directory / "log").read_bytes())
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait() == 143
    file.unlink()


def climbed(world: World, file: Path) -> str:
    expected = Expected(etcd="3.5.16", least_revision=1, uid=UID)
    place = ladder.find_place(None, (), etcd="3.5.16")
    scratch = world.directory / "scratch"
    scratch.mkdir(exist_ok=True)
    found = ladder.climb(file, expected, place=place, scratch=scratch, progress=world.lines.append)
    last = found.rungs[-1]
    return f"{last.name} {last.ok}"


def test_files_that_are_no_snapshots(world: World) -> None:
    file = world.etcd.snapshot(world.directory / "file.db")
    content = file.read_bytes()
    assert climbed(world, file) == "identity True"
    for damaged, rung in (
        (b"", "trailer"),
        (content[:-1], "trailer"),
        (content[: len(content) // 2], "trailer"),
        (content[:-512], "sha256"),
        (content[:5000] + b"!" + content[5001:], "sha256"),
        (world.etcd.directory.joinpath("data/member/snap/db").read_bytes(), "trailer"),
        (b"x" * 1024 + b"y" * 32, "sha256"),
    ):
        file.write_bytes(damaged)
        assert climbed(world, file) == f"{rung} False"
    file.unlink()


def test_a_database_that_is_none_with_a_right_sum(world: World) -> None:
    """The SHA-256 says that the bytes are those that were written, not that they are a database."""
    body = b"x" * 4096
    file = world.directory / "file.db"
    file.write_bytes(body + hashlib.sha256(body).digest())
    assert climbed(world, file) == "status False"
    file.unlink()


def test_a_snapshot_of_a_newer_etcd(world: World) -> None:
    with pytest.raises(PreflightError, match=r"etcd 3\.6\.6 can be proven nowhere: this machine: "):
        ladder.find_place(Hosts(world.host), ("cp1",), etcd="3.6.6")


def test_only_on_a_host_are_programs_taken_out_of_containers(world: World) -> None:
    """A process called etcd runs here; what is in its root is not for this machine's proofs."""
    command = script("probe", arguments=("here",), timeout=60)
    alone = replace(command, argv=("env", "PATH=/nowhere", "/bin/sh", *command.argv[1:]))
    source = (command.stdin or b"").replace(b"PATH=$PATH:", b"PATH=/bin:/usr/bin:/nowhere; : ")
    result = world.host.run(replace(alone, stdin=source))
    assert (result.status, remark(result.stderr)) == (127, "etcd is not there")
