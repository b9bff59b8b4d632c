"""Hosts over SSH. With the `ssh_*` modules beside it, the only code that knows Fabric and Paramiko.

Fabric connects; commands run on Paramiko channels of that connection. Fabric's own `run` would
decode the streams, copy them, and start three threads for each command.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kubeops.errors import AuthenticationError, TransportError, UnknownOutcomeError
from kubeops.model.desired import Host
from kubeops.transport import wire
from kubeops.transport.base import Command, Result
from kubeops.transport.ssh_channel import Exchange
from kubeops.transport.ssh_config import SshConfig, Target
from kubeops.transport.ssh_session import Patience, Session

_CONNECTING_AT_ONCE = 16
_CHANNELS = 8
"""Commands at once on one connection: below sshd's usual MaxSessions of 10."""
_END_TIMEOUT = 5.0
"""Seconds the hosts are given to end what still runs there when the connections are closed."""


@dataclass(frozen=True)
class _Sudo:
    """How root is become: sudo with its options, and what it reads before it does."""

    argv: tuple[str, ...] = ()
    stdin: bytes = field(default=b"", repr=False)


_NO_SUDO = _Sudo()
_SUDO = _Sudo(("sudo", "-n"))
_ASKING = ("sudo", "-k", "-S", "-p", "")


class SshRunner:
    """Runs commands on one host. See `kubeops.transport.base.Runner`."""

    def __init__(self, host: Host, session: Session) -> None:
        self._host = host
        self._session = session
        self._channels = threading.BoundedSemaphore(_CHANNELS)
        self._lock = threading.Lock()
        self._proven: _Sudo | None = None
        self._expendable: dict[str, _Sudo] = {}
        """The expendable commands under way, by their marks."""

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        return self._host.name

    def run(self, command: Command) -> Result:
        """Run `command` to its end.

        Raises:
            TransportError: the host was not reached, or refuses us or sudo; nothing was started.
            UnknownOutcomeError: it was started and then ended by its time limit, or its end was
                not seen.
        """
        output = bytearray()
        result = self.stream(command, output.extend)
        return replace(result, stdout=output.decode(errors="replace"))

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        """Run `command` to its end; its output goes to `write`. Raises what `run` raises."""
        sudo = self._sudo(command)
        written = 0

        def count(piece: bytes) -> None:
            nonlocal written
            written += len(piece)
            write(piece)

        result = self._execute(command, sudo, count)
        if wire.ended_by_timeout(result):
            raise UnknownOutcomeError(
                f"{self.host}: `{command.shown}` was ended on the host after "
                f"{command.timeout:g} s; how far it had come is not known",
                host=self.host,
                hint="type the same command again: it asks the host first what is done already",
            )
        refusal = "" if written or not sudo.argv else wire.sudo_refusal(result)
        if refusal:
            raise self._sudo_refused(refusal)
        return result

    def expendable(self) -> dict[str, _Sudo]:
        """Return the expendable commands that still run, by their marks."""
        with self._lock:
            return dict(self._expendable)

    def end(self) -> None:
        """End on the host the expendable commands that still run there, if it can be done now."""
        for mark, sudo in self.expendable().items():
            # Nobody is there any more to be told, and the next run finds out for itself.
            with suppress(TransportError, UnknownOutcomeError):
                self._execute(wire.ending(mark, timeout=_END_TIMEOUT), sudo, lambda _piece: None)

    def _execute(self, command: Command, sudo: _Sudo, write: Callable[[bytes], object]) -> Result:
        if not command.expendable:
            return self._exchange(command, sudo, write)
        mark = secrets.token_hex(8)
        with self._lock:
            self._expendable[mark] = sudo
        try:
            return self._exchange(command, sudo, write, mark=mark)
        finally:
            with self._lock:
                del self._expendable[mark]

    def _exchange(
        self, command: Command, sudo: _Sudo, write: Callable[[bytes], object], *, mark: str = ""
    ) -> Result:
        exchange = Exchange(
            host=self.host,
            command=command,
            line=wire.line(command, sudo=sudo.argv, mark=mark),
            stdin=sudo.stdin + (command.stdin or b""),
            write=write,
        )
        with self._channels:
            channel = self._session.open_channel()
            started = time.monotonic()
            status, errors = exchange.over(channel)
        return Result(
            command=command,
            host=self.host,
            status=status,
            stdout="",
            stderr=errors.decode(errors="replace"),
            seconds=time.monotonic() - started,
        )

    def _sudo(self, command: Command) -> _Sudo:
        ssh = self._host.ssh
        if not command.root or self._session.user == "root":
            return _NO_SUDO
        if not ssh.sudo:
            raise AuthenticationError(
                f"{self.host}: `{command.shown}` needs root, but the login user is "
                f"{self._session.user} and the inventory says `sudo: false`",
                host=self.host,
                hint="under `ssh` in the inventory, set `user: root`, or `sudo: true`",
            )
        if ssh.sudo_password_file is None:
            return _SUDO
        with self._lock:
            if self._proven is None:
                self._proven = self._prove(ssh.sudo_password_file)
            return self._proven

    def _prove(self, file: Path) -> _Sudo:
        """Find out, once, whether sudo wants the password, and whether it is the right one.

        Were it sent to a sudo that does not ask, the command would read it; were a wrong one sent
        before a command's own input, sudo would try that as further passwords.
        """
        try:
            password = file.read_bytes().partition(b"\n")[0]
        except OSError as error:
            raise AuthenticationError(
                f"{self.host}: the sudo password cannot be read from {file}: {error.strerror}",
                host=self.host,
                hint="correct `sudo_password_file` under `ssh` in the inventory",
            ) from error
        probe = Command(argv=("true",), timeout=30)
        if self._probe(probe, _Sudo(("sudo", "-n", "-k"))).ok:
            return _SUDO
        asking = _Sudo(_ASKING, password + b"\n")
        result = self._probe(probe, asking)
        if result.ok:
            return asking
        refusal = wire.sudo_refusal(result)
        if wire.is_about_the_locale(refusal):
            raise self._sudo_refused(refusal)
        raise AuthenticationError(
            f"{self.host}: sudo does not take the password in {file} for {self._session.user}: "
            f"{refusal or result.output.strip()}",
            host=self.host,
            hint="correct the file's first line",
        )

    def _probe(self, command: Command, sudo: _Sudo) -> Result:
        return self._execute(command, sudo, lambda _piece: None)

    def _sudo_refused(self, refusal: str) -> AuthenticationError:
        user = self._session.user
        if wire.is_about_the_locale(refusal):
            hint = f'on the host allow it by visudo: `Defaults:{user} env_keep += "LC_ALL"`'
        else:
            hint = (
                f"on the host allow it without a password (`{user} ALL=(ALL) NOPASSWD: ALL` by "
                "visudo), or set `sudo_password_file` under `ssh` in the inventory"
            )
        return AuthenticationError(
            f"{self.host}: sudo refuses {user}: {refusal}", host=self.host, hint=hint
        )


class SshTransport:
    """The runners of all hosts of an inventory. See `kubeops.transport.base.Transport`.

    Args:
        hosts: the inventory's hosts.
        config: the ssh configuration; by default the one `ssh` reads for this user.
        patience: the limits of connecting.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        config: SshConfig | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._config = config or SshConfig.of_user()
        self._patience = patience or Patience()
        self._connecting = threading.BoundedSemaphore(_CONNECTING_AT_ONCE)
        self._lock = threading.Lock()
        self._jumps: dict[Target, Session] = {}
        self._sessions = {host.name: self._session_of(host) for host in hosts}
        self._runners = {host.name: SshRunner(host, self._sessions[host.name]) for host in hosts}

    def runner(self, host: str) -> SshRunner:
        """Return the runner of `host`; it connects on first use. KeyError: no such host."""
        return self._runners[host]

    def close(self) -> None:
        """End what is expendable and still runs; close every connection, jump hosts' last."""
        self._end_expendable()
        for session in (*self._sessions.values(), *reversed(self._jumps.values())):
            session.close()

    def _end_expendable(self) -> None:
        ending = [
            threading.Thread(target=runner.end, daemon=True)
            for runner in self._runners.values()
            if runner.expendable()
        ]
        for thread in ending:
            thread.start()
        deadline = time.monotonic() + _END_TIMEOUT
        for thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _session_of(self, host: Host) -> Session:
        return self._session(host.name, lambda: self._config.target(host))

    def _session(self, name: str, target: Callable[[], Target]) -> Session:
        return Session(
            name,
            target=target,
            through=self._jump,
            connecting=self._connecting,
            patience=self._patience,
        )

    def _jump(self, target: Target) -> Session:
        """Return the session of a jump host: one for all hosts that are reached through it."""
        with self._lock:
            if target not in self._jumps:
                self._jumps[target] = self._session(f"jump host {target}", lambda: target)
            return self._jumps[target]
