"""A throw-away OpenSSH server on loopback, with keys of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from kubeops.model.desired import Host, HostKeys, Role, Ssh
from kubeops.transport.base import Command, Result, Runner
from kubeops.transport.ssh import SshTransport
from kubeops.transport.ssh_config import SshConfig
from kubeops.transport.ssh_session import Patience

IMPATIENT = Patience(connect=5, banner=5, attempts=4, pause=0.05)
"""Short waits; long enough for a slow machine."""


@dataclass
class Sshd:
    """One server: where it listens, what it wrote, and how it is started and ended."""

    directory: Path
    port: int
    options: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    pid: int = 0

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    @property
    def host_key(self) -> Path:
        return self.directory / "host_ed25519"

    def new_host_key(self, kind: str = "ed25519") -> str:
        """Make a host key (replacing one of the kind); return its public half."""
        key = self.directory / f"host_{kind}"
        key.unlink(missing_ok=True)
        keygen(key, kind)
        return " ".join(public(key))

    def start(self) -> None:
        config = self.directory / "config"
        keys = sorted(self.directory.glob("host_*[!.]"))
        config.write_text(
            "\n".join(
                (
                    *self.options,
                    # Not the home of who runs the tests: its .bashrc would run for each command.
                    f"SetEnv HOME={self.directory} {' '.join(self.env)}",
                    f"ListenAddress 127.0.0.1:{self.port}",
                    *(f"HostKey {key}" for key in keys if key.suffix != ".pub"),
                    f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
                    f"PidFile {self.directory / 'pid'}",
                    "UsePAM no",
                    "StrictModes no",
                    "PermitRootLogin yes",
                    "PasswordAuthentication no",
                    "LogLevel VERBOSE",
                )
            )
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            listening = self.log.count("Server listening")
            process = subprocess.Popen(
                ("/usr/sbin/sshd", "-D", "-e", "-f", config),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = process.pid
        self._process = process
        for attempt in Retrying(stop=stop_after_delay(20), wait=wait_fixed(0.02), reraise=True):
            with attempt:
                assert process.poll() is None, self.log
                assert self.log.count("Server listening") > listening

    def sessions(self) -> list[int]:
        """The processes that serve connections now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def cut(self) -> None:
        """End every connection, as a network that breaks does; the server stays."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        self.cut()
        self._process.terminate()
        self._process.wait(20)


@dataclass
class Site:
    """A user's home with keys and known_hosts, and the servers of one test."""

    home: Path
    servers: list[Sshd] = field(default_factory=list)
    transports: list[SshTransport] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.home / ".ssh/id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh/known_hosts"

    def server(self, *options: str, env: tuple[str, ...] = (), known: bool = True) -> Sshd:
        directory = self.home / f"sshd{len(self.servers)}"
        directory.mkdir()
        server = Sshd(directory, free_port(), options, env)
        server.new_host_key()
        shutil.copy(f"{self.key}.pub", directory / "authorized_keys")
        server.start()
        self.servers.append(server)
        if known:
            self.know(server)
        return server

    def know(self, server: Sshd, *, port: int | None = None) -> None:
        kind, blob = public(server.host_key)
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port or server.port} {kind} {blob}\n")

    def transport(
        self, server: Sshd | int, patience: Patience = IMPATIENT, /, **ssh: object
    ) -> SshTransport:
        port = server if isinstance(server, int) else server.port
        settings: dict[str, object] = {
            "user": "root",
            "port": port,
            "key": self.key,
            "known_hosts": self.known_hosts,
            "host_keys": HostKeys.STRICT,
            **ssh,
        }
        host = Host(
            name="cp1",
            address="127.0.0.1",
            role=Role.CONTROL_PLANE,
            ssh=Ssh(**settings),  # type: ignore[arg-type] # settings of any type, by name
        )
        config = SshConfig((self.home / ".ssh/config",), self.home)
        transport = SshTransport([host], config=config, patience=patience)
        self.transports.append(transport)
        return transport


def keygen(file: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    subprocess.run(
        ("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", file), check=True
    )


def public(file: Path) -> tuple[str, str]:
    kind, blob, *_ = file.with_name(f"{file.name}.pub").read_text().split()
    return kind, blob


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A home directory with a key; ends the servers and connections of the test."""
    if not Path("/usr/sbin/sshd").exists() or os.geteuid() != 0:
        pytest.skip("needs OpenSSH's server, and root")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    site = Site(tmp_path)
    keygen(site.key)
    try:
        yield site
    finally:
        for transport in site.transports:
            transport.close()
        for server in site.servers:
            server.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for something to come true."""

    def wait(predicate: Callable[[], bool]) -> None:
        for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.05), reraise=True):
            with attempt:
                assert predicate()

    return wait


def run(runner: Runner, *argv: str, timeout: float = 30, stdin: bytes | None = None) -> Result:
    return runner.run(Command(argv=argv, timeout=timeout, stdin=stdin))


def logins(server: Sshd) -> int:
    return server.log.count("Accepted publickey for root")
