"""A real etcd member on loopback, with TLS as a control plane's has it."""

import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from kubeops.model.desired import BackupPolicy, Cluster
from kubeops.model.observed import ClusterFacts, EtcdFacts, EtcdMember, StaticPod
from kubeops.transport.base import Command, Result
from kubeops.transport.local import LocalRunner
from tests.bundles import AT, UID
from tests.unit.plan import values


@dataclass
class Etcd:
    """One member: `directory` holds its data and sockets."""

    directory: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def flags(self) -> dict[str, str]:
        """What its static pod's manifest would say. etcd made the certificate itself."""
        made = self.directory / "data/fixtures/client"
        return {
            "listen-client-urls": f"https://127.0.0.1:{self.port}",
            "trusted-ca-file": f"{made}/cert.pem",
            "cert-file": f"{made}/cert.pem",
            "key-file": f"{made}/key.pem",
        }

    def start(self) -> None:
        self.directory.mkdir(mode=0o700)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        url = f"https://127.0.0.1:{self.port}"
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                (
                    *("etcd", "--data-dir", "data", "--unsafe-no-fsync", "--auto-tls"),
                    *("--listen-client-urls", url, "--advertise-client-urls", url),
                    *("--listen-peer-urls", "unix://localhost:2380", "--log-level", "error"),
                ),
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        for attempt in Retrying(
            stop=stop_after_delay(60),
            wait=wait_fixed(0.05),
            retry=retry_if_result(lambda ok: not ok),
        ):
            with attempt:
                healthy = self.ctl("endpoint", "health", check=False).returncode == 0
            attempt.retry_state.set_result(healthy)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def put(self, key: str, value: str) -> None:
        self.ctl("put", key, value)

    def ctl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        flags = self.flags
        connect = (
            *("--endpoints", flags["listen-client-urls"], "--cacert", flags["trusted-ca-file"]),
            *("--cert", flags["cert-file"], "--key", flags["key-file"]),
        )
        return subprocess.run(("etcdctl", *connect, *arguments), check=check, capture_output=True)

    def snapshot(self, file: Path) -> Path:
        self.ctl("snapshot", "save", str(file))
        return file


@dataclass
class Host(LocalRunner):
    """This machine in the part of a control plane; `before` is asked ahead of each command."""

    host: str = "cp1"
    before: Callable[[Command], object] = field(default=lambda _command: None)
    commands: list[Command] = field(default_factory=list)

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        self.commands.append(command)
        self.before(command)
        return replace(super().stream(command, write), host=self.host)


@dataclass
class Hosts:
    """A Transport with one host."""

    cp1: Host

    def runner(self, host: str) -> Host:
        assert host == "cp1"
        return self.cp1

    def close(self) -> None:
        return None


def desired(store: str, **policy: Any) -> Cluster:
    """An inventory of one control plane, cp1, that keeps its backups in `store`."""
    return values.cluster(1, 0, backup=BackupPolicy(store=store, **policy))


def facts(etcd: Etcd) -> ClusterFacts:
    """The cluster of `desired`, with `etcd` as the member of cp1."""
    wanted = desired("file:///unused")
    member = EtcdMember(
        id="1",
        name="cp1",
        peer_urls=("https://10.0.0.11:2380",),
        client_urls=(etcd.flags["listen-client-urls"],),
        learner=False,
        healthy=True,
        version="3.5.16",
        db_size=100_000,
        leader=True,
        revision=21,
    )
    pods = {"etcd": StaticPod(name="etcd", image="etcd:3.5.16-0", flags=etcd.flags)}
    return ClusterFacts(
        at=AT,
        hosts={"cp1": replace(values.bare(wanted.hosts[0]), static_pods=pods)},
        api=replace(values.api_of(wanted, ["cp1"]), uid=UID),
        etcd=EtcdFacts(asked="cp1", members=(member,)),
    )
