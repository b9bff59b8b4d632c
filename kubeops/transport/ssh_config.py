"""How a host is reached: the inventory, then ~/.ssh/config, then OpenSSH's defaults.

Nothing in ~/.ssh/config can weaken the check of host keys: StrictHostKeyChecking is not read, only
the inventory decides.
"""

import getpass
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import paramiko

from kubeops.errors import TransportError
from kubeops.model.desired import Host, HostKeys
from kubeops.transport.hostkeys import SSH_PORT, KnownHosts, known_name

_DEPTH = 16  # of Include in Include, as in OpenSSH
_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:\[\]]+))"
    r"(?::(?P<port>\d+))?/?"
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Everything that is needed to log in to one machine.

    Attributes:
        address: what is connected to, by name or number.
        key: the inventory's private key; it must be there. `None` when the inventory has none.
        identities: the private keys of ~/.ssh/config; those that are not there are passed over.
        identities_only: no other key of the agent is offered.
        known_as: its name in known_hosts.
        connect_timeout: seconds, when ~/.ssh/config sets it.
        jump: the machine it is reached through.
    """

    address: str
    port: int
    user: str
    key: Path | None
    identities: tuple[Path, ...]
    identities_only: bool
    known_as: str
    known_hosts: KnownHosts
    connect_timeout: float | None
    jump: "Target | None"

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.user}@{address}:{self.port}"

    @property
    def try_it(self) -> str:
        """The command with which a person tries the same login."""
        hops: list[str] = []
        hop = self.jump
        while hop is not None:
            hops.insert(0, str(hop))
            hop = hop.jump
        key = ("-i", str(self.key)) if self.key else ()
        jump = ("-J", ",".join(hops)) if hops else ()
        login = ("-p", str(self.port), f"{self.user}@{self.address}")
        return shlex.join(("ssh", *key, *jump, *login, "true"))


@dataclass(frozen=True)
class SshConfig:
    """What the user's and the system's ssh configuration say.

    Attributes:
        files: in the order of precedence. Those that are not there say nothing.
        home: the directory that holds .ssh.
    """

    files: tuple[Path, ...]
    home: Path

    @classmethod
    def of_user(cls) -> "SshConfig":
        """Return the configuration that `ssh` reads for this user."""
        home = Path.home()
        return cls((home / ".ssh/config", Path("/etc/ssh/ssh_config")), home)

    def target(self, host: Host) -> Target:
        """Return how `host` is reached.

        Raises:
            TransportError: the configuration cannot be read, or says what kubeops cannot do.
        """
        try:
            return _Resolver(host, self._parsed, self.home).target()
        except (paramiko.ConfigParseError, OSError, ValueError) as error:
            raise TransportError(
                f"{host.name}: the ssh configuration ({_list(self.files)}) cannot be used: {error}",
                host=host.name,
                hint=f"`ssh -G {host.address}` shows what ssh makes of it",
            ) from error

    @cached_property
    def _parsed(self) -> "paramiko.SSHConfig":
        parsed = paramiko.SSHConfig()
        for file in self.files:
            parsed.parse(_expand(file, home=self.home, header="Host *", depth=0))
        return parsed


class _Resolver:
    """Resolves one inventory host and the machines it is reached through."""

    def __init__(self, host: Host, config: "paramiko.SSHConfig", home: Path) -> None:
        self._host = host
        self._config = config
        self._home = home

    def target(self) -> Target:
        ssh = self._host.ssh
        target = self._login(self._host.address, user=ssh.user, port=ssh.port)
        return replace(
            target, jump=self._jump(self._host.address, ssh.jump, frozenset({str(target)}))
        )

    def _login(
        self, name: str, *, user: str | None, port: int | None, otherwise: str | None = None
    ) -> Target:
        said = self._config.lookup(name)
        address = str(said["hostname"])
        at = port or int(said.get("port", SSH_PORT))
        timeout = said.get("connecttimeout")
        return Target(
            address=address,
            port=at,
            user=user or said.get("user") or otherwise or getpass.getuser(),
            key=self._host.ssh.key,
            identities=tuple(
                self._path(file) for file in said.get("identityfile", ()) if file != "none"
            ),
            identities_only=said.get("identitiesonly", "no").lower() == "yes",
            known_as=known_name(address, at, said.get("hostkeyalias")),
            known_hosts=self._known_hosts(said),
            connect_timeout=float(timeout) if timeout and timeout != "none" else None,
            jump=None,
        )

    def _known_hosts(self, said: "paramiko.SSHConfigDict") -> KnownHosts:
        ssh = self._host.ssh
        accept_new = ssh.host_keys is HostKeys.ACCEPT_NEW
        if ssh.known_hosts is not None:
            return KnownHosts(files=(ssh.known_hosts,), accept_new=accept_new)
        files = said.get("userknownhostsfile", "~/.ssh/known_hosts").split()
        user = tuple(self._path(file) for file in files if file != "none")
        return KnownHosts(files=(*user, Path("/etc/ssh/ssh_known_hosts")), accept_new=accept_new)

    def _jump(self, name: str, wanted: str | None, seen: frozenset[str]) -> Target | None:
        """Return what `name` is reached through; `seen` are the machines that come after it."""
        said = self._config.lookup(name)
        jump = wanted or said.get("proxyjump")
        if jump is None and said.get("proxycommand"):
            raise ValueError(
                f"ProxyCommand for {name} is not supported; use ProxyJump, "
                "or `jump` under `ssh` in the inventory"
            )
        if jump is None or jump.lower() == "none":
            return None
        target: Target | None = None
        for number, hop in enumerate(jump.split(",")):
            match = _JUMP.fullmatch(hop.strip())
            if match is None:
                raise ValueError(f"jump host `{hop}` is not [user@]host[:port]")
            host = match["bracketed"] or match["host"]
            found = self._login(
                host,
                user=match["user"],
                port=int(match["port"]) if match["port"] else None,
                otherwise=self._host.ssh.user,
            )
            if str(found) in seen:
                return None  # `Host *` with ProxyJump covers the jump host too: not through itself
            # The first one may have a jump host of its own, the others are told theirs.
            before = target if number else self._jump(host, None, seen | {str(found)})
            target = replace(found, jump=before)
        return target

    def _path(self, text: str) -> Path:
        return self._home / text[2:] if text.startswith("~/") else Path(text)


def _expand(file: Path, *, home: Path, header: str, depth: int) -> Iterator[str]:
    """Give the lines of `file` with what it includes in place: Paramiko passes over Include."""
    if not file.is_file() or depth > _DEPTH:
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() == "include":
            for pattern in rest.split():
                for included in _included(pattern.strip('"'), file=file, home=home):
                    yield from _expand(included, home=home, header=header, depth=depth + 1)
                    yield header  # what follows belongs again to the section the Include is in
            continue
        if word.lower() in {"host", "match"}:
            header = line
        yield line


def _included(pattern: str, *, file: Path, home: Path) -> Iterable[Path]:
    if pattern.startswith("~/"):
        pattern = str(home / pattern[2:])
    base = home / ".ssh" if file.is_relative_to(home) else file.parent
    path = base / pattern
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _list(files: Iterable[Path]) -> str:
    return ", ".join(str(file) for file in files)
