"""One login on one machine: made on first use, kept alive, made again when it has died."""

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import fabric
import paramiko
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from kubeops.errors import TransportError
from kubeops.transport.hostkeys import Key
from kubeops.transport.ssh_auth import KeyLogin
from kubeops.transport.ssh_config import Target

# Paramiko logs what it also raises; without a handler Python would print that between our lines.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_RSA = ("rsa-sha2-512", "rsa-sha2-256")
# Paramiko computes and compares the others' checksums in Python, packet by packet.
_FASTER_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_WEAK_CIPHERS = ("3des-cbc",)  # its blocks are too small for `_Packets.REKEY_BYTES`
_WINDOW = 8 << 20
"""Bytes a host may send on a channel before it is told that they were read."""
_PACKET = 128 << 10
"""The largest packet a host may send: Paramiko's time is per packet more than per byte."""
_CHANNEL_ATTEMPTS = 7  # within about a second
_PROHIBITED = 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long connecting may take, in seconds, and how often it is tried.

    Attributes:
        connect: for the TCP connection, and then for the greeting and the exchange of keys.
        banner: of that, until the server has greeted.
        auth: for each answer during the login.
        channel: for the answer to a new command, or to a new connection through a jump host.
        attempts: on errors of the network and while the server sends no greeting; a refused key
            or a strange host key is never tried again.
        pause: before the second attempt; it doubles from there.
        keepalive: between signs of life on an idle connection.
        lost: after which a connection whose data nobody acknowledges is given up.
    """

    connect: float = 10.0
    banner: float = 10.0
    auth: float = 30.0
    channel: float = 30.0
    attempts: int = 3
    pause: float = 0.5
    keepalive: int = 15
    lost: float = 60.0


class Session:
    """A connection to one machine; safe to use from several threads.

    Args:
        host: how messages and errors call the machine.
        target: how it is reached; asked once, when it is needed.
        through: gives the session of a jump host.
        connecting: held while connecting; bounds how many do so at once.
        patience: the limits.
    """

    def __init__(
        self,
        host: str,
        *,
        target: Callable[[], Target],
        through: Callable[[Target], "Session"],
        connecting: AbstractContextManager[Any],
        patience: Patience,
    ) -> None:
        self._host = host
        self._target = cache(target)
        self._through = through
        self._connecting = connecting
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: fabric.Connection | None = None
        self._failures = 0
        self._failure: TransportError | None = None

    def connection(self) -> "fabric.Connection":
        """Return the live connection; connects when there is none.

        Raises:
            TransportError: the machine was not reached, or did not let us in.
        """
        failures = self._failures
        with self._lock:
            if self._connection is not None and self._connection.is_connected:
                return self._connection
            if self._failure is not None and self._failures > failures:
                # Thirty hosts waited for the same jump host: they need not try it one by one.
                raise self._failure
            self._discard()
            try:
                self._connection = self._connect()
            except TransportError as error:
                self._failures += 1
                self._failure = error
                raise
            return self._connection

    @property
    def user(self) -> str:
        """The user that is logged in. TransportError: the ssh configuration cannot be used."""
        return self._target().user

    def open_channel(self) -> "paramiko.Channel":
        """Return a new channel for one command; nothing was started on the machine yet.

        Raises:
            TransportError: as `connection`, or the machine opens no further channel.
        """
        try:
            # Tried again without harm, for nothing was sent: when the connection has died since the
            # last command (it is made anew), and when sshd has not yet cleared away the sessions
            # that ended a moment ago.
            return Retrying(
                retry=retry_if_exception_type(ConnectionError),
                stop=stop_after_attempt(_CHANNEL_ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=0.01, jitter=0.01),
                reraise=True,
            )(self._open_channel)
        except ConnectionError as error:
            raise TransportError(
                f"{self._host}: it opens no channel for a command: {error}",
                host=self._host,
                hint="is MaxSessions in its sshd_config below 10?",
            ) from error
        except TimeoutError as error:
            raise TransportError(
                f"{self._host}: it does not answer on a connection that is up",
                host=self._host,
                hint=f"it may be overloaded or hang; try: {self._target().try_it}",
            ) from error

    def _open_channel(self) -> "paramiko.Channel":
        transport = self.connection().transport
        try:
            return transport.open_session(
                window_size=_WINDOW, max_packet_size=_PACKET, timeout=self._patience.channel
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            # Paramiko keeps one last error for all threads: what it raises may be about another
            # channel. A connection that lives is left alone: other commands may be running on it.
            if not transport.is_active():
                raise ConnectionResetError("the connection was closed") from error
            if str(error).startswith("Timeout"):
                raise TimeoutError from error
            raise ConnectionRefusedError("it refuses") from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.client.close()
            self._connection = None

    def _connect(self) -> "fabric.Connection":
        target = self._target()
        try:
            return Retrying(
                retry=retry_if_exception(_worth_another_try),
                stop=stop_after_attempt(self._patience.attempts),
                wait=wait_exponential_jitter(
                    multiplier=self._patience.pause, jitter=self._patience.pause, max=5.0
                ),
                reraise=True,
            )(self._attempt, target)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise TransportError(
                f"{self._host}: no SSH connection to {target.address} port {target.port}: "
                f"{_said(error)}",
                host=self._host,
                hint=f"try: {target.try_it}",
            ) from error

    def _attempt(self, target: Target) -> "fabric.Connection":
        kinds = target.known_hosts.kinds(host=self._host, name=target.known_as)
        gateway = self._gateway(target)
        connection = fabric.Connection(
            target.address,
            user=target.user,
            port=target.port,
            gateway=gateway,
            # Nothing of what Fabric would read by itself: all was resolved already. One for each
            # connection: Fabric writes to it, and threads that share one find settings gone.
            config=fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig()),
            connect_kwargs={
                "timeout": target.connect_timeout or self._patience.connect,
                "banner_timeout": self._patience.banner,
                "auth_timeout": self._patience.auth,
                "channel_timeout": self._patience.channel,
                "auth_strategy": KeyLogin(self._host, target),
                "transport_factory": _Wire(kinds, self._patience),
            },
        )
        connection.client.set_missing_host_key_policy(_HostKeyCheck(self._host, target))
        try:
            with self._connecting:
                connection.open()
        except BaseException:
            connection.client.close()
            raise
        connection.transport.set_keepalive(self._patience.keepalive)
        return connection

    def _gateway(self, target: Target) -> "fabric.Connection | None":
        # Outside of `connecting`: the jump host's own login needs a place there.
        if target.jump is None:
            return None
        try:
            return self._through(target.jump).connection()
        except TransportError as error:
            raise type(error)(
                f"{self._host}: behind {error.message}", host=self._host, hint=error.hint
            ) from error


class _Packets(paramiko.Packetizer):  # type: ignore[misc]  # Paramiko has no types
    """Paramiko's packets, with new keys as late as OpenSSH's client asks for them.

    Paramiko asks every 512 MiB, and when the host closes a channel before it has answered, the
    thread that would read the answer waits for it (paramiko issue 822): whatever ran on that
    connection is lost. A host that asks by itself (RekeyLimit) sends nothing in between.
    """

    REKEY_BYTES = 1 << 36
    """2^32 blocks of AES, as RFC 4344, section 3.2, says."""


@dataclass(frozen=True)
class _Wire:
    """Makes Paramiko's transport, before the first byte is sent.

    Attributes:
        kinds: the host keys that are known: one of these is asked for first.
        patience: the limits.
    """

    kinds: tuple[str, ...]
    patience: Patience

    def __call__(self, sock: Any, **options: Any) -> "paramiko.Transport":
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # Keepalives only send; this is what notices that nobody answers.
                sock.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.patience.lost * 1000)
                )
        transport = paramiko.Transport(sock, packetizer_class=_Packets, **options)
        transport.handshake_timeout = self.patience.connect
        wanted = [name for kind in self.kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]
        offer = transport.get_security_options()
        offer.ciphers = (
            *(name for name in _FASTER_CIPHERS if name in offer.ciphers),
            *(name for name in offer.ciphers if name not in (*_FASTER_CIPHERS, *_WEAK_CIPHERS)),
        )
        usual = offer.key_types
        offer.key_types = tuple(
            dict.fromkeys([name for name in wanted if name in usual] + list(usual))
        )
        return transport


@dataclass(frozen=True)
class _HostKeyCheck:
    """Paramiko's question what to do with a host key; it has no known_hosts of its own here."""

    host: str
    target: Target

    def missing_host_key(self, _client: Any, _name: str, key: "paramiko.PKey") -> None:
        """Return when `key` is the right one; raise HostKeyError when it is not."""
        self.target.known_hosts.check(
            Key(key.get_name(), key.asbytes()), host=self.host, name=self.target.known_as
        )


def _worth_another_try(error: BaseException) -> bool:
    """Whether the network or a busy server may be the reason, and time may help."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, paramiko.ChannelException):
        return bool(error.code != _PROHIBITED)
    if isinstance(error, paramiko.IncompatiblePeer):
        return False
    return isinstance(error, (paramiko.SSHException, EOFError, OSError))


def _said(error: BaseException) -> str:
    """Return what went wrong, in words that mean something to who did not write Paramiko."""
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return "; ".join(sorted({str(e.strerror) for e in error.errors.values()}))
    if isinstance(error, TimeoutError):
        return "it does not answer"
    text = str(error)
    if "protocol banner" in text or "No existing session" in text:
        return "something accepts the connection but does not greet as an SSH server in time"
    if isinstance(error, paramiko.ChannelException):
        return f"the jump host cannot reach it: {error.text}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return text or "the connection was closed"
