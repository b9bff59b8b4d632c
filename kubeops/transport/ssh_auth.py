"""Logging in with keys: the inventory's, those of ~/.ssh/config, the agent's, the usual files.

Every key is offered once, the surest first: after some six refusals the server hangs up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import paramiko

from kubeops.errors import AuthenticationError
from kubeops.transport.hostkeys import State, state
from kubeops.transport.ssh_config import Target

_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass
class KeyLogin:
    """Authenticates one connection; Paramiko calls it once the host key is checked.

    Attributes:
        host: how messages call the machine.
        directory: where the usual key files are.
    """

    host: str
    target: Target
    directory: Path = field(default_factory=lambda: Path.home() / ".ssh")
    _locked: list[Path] = field(default_factory=list)
    _refused: list[str] = field(default_factory=list)

    def authenticate(self, transport: "paramiko.Transport") -> None:
        """Log in with the first key that the machine takes.

        Raises:
            AuthenticationError: it takes none of them, or the inventory's key cannot be used.
            EOFError: the connection ended before it had refused any key.
        """
        agent = paramiko.Agent()
        try:
            for name, key in self._keys(agent.get_keys()):
                if self._taken(transport, name, key):
                    return
        finally:
            agent.close()
        raise self._nothing_left()

    def _taken(self, transport: "paramiko.Transport", name: str, key: "paramiko.PKey") -> bool:
        try:
            more = transport.auth_publickey(self.target.user, key)
        except paramiko.BadAuthenticationType as error:
            raise AuthenticationError(
                f"{self.host}: {self.target} takes no keys, only {', '.join(error.allowed_types)}",
                host=self.host,
                hint="allow PubkeyAuthentication for this user in its sshd_config",
            ) from error
        except paramiko.SSHException as error:
            if not transport.is_active() and not self._refused:
                raise EOFError("the connection was closed during the login") from error
            self._refused.append(name)
            if not transport.is_active():
                raise self._nothing_left() from error
            return False
        if more:
            raise AuthenticationError(
                f"{self.host}: {self.target} took {name}, but also wants {', '.join(more)}",
                host=self.host,
                hint="kubeops logs in with a key alone: allow that in its sshd_config",
            )
        return True

    def _keys(self, held: "tuple[paramiko.AgentKey, ...]") -> "Iterator[tuple[str, paramiko.PKey]]":
        offered: set[bytes] = set()
        for name, key in self._in_order(held):
            if key.asbytes() not in offered:
                offered.add(key.asbytes())
                yield name, key

    def _in_order(
        self, held: "tuple[paramiko.AgentKey, ...]"
    ) -> "Iterator[tuple[str, paramiko.PKey]]":
        target = self.target
        if target.key is not None:
            yield str(target.key), self._required(target.key, held)
        usual = [] if target.key or target.identities else [self.directory / n for n in _USUAL]
        for file in target.identities:
            yield from self._found(file, held)
        if not target.identities_only:
            for key in held:
                yield f"the agent's key {key.comment or key.fingerprint}", key
        for file in usual:
            yield from self._found(file, held)

    def _required(self, file: Path, held: "tuple[paramiko.AgentKey, ...]") -> "paramiko.PKey":
        try:
            key = self._load(file, held)
        except FileNotFoundError as error:
            raise self._unusable(file, "there is no such file") from error
        except OSError as error:
            raise self._unusable(file, f"it cannot be read: {error.strerror}") from error
        except (paramiko.SSHException, ValueError, TypeError) as error:
            raise self._unusable(file, f"it is no private key that can be used: {error}") from error
        if key is None:
            raise AuthenticationError(
                f"{self.host}: the key {file} has a passphrase and the ssh agent does not hold it",
                host=self.host,
                hint=f"ssh-add {file} (with {file}.pub beside it, by which it is recognised)",
            )
        return key

    def _found(
        self, file: Path, held: "tuple[paramiko.AgentKey, ...]"
    ) -> "Iterator[tuple[str, paramiko.PKey]]":
        try:
            key = self._load(file, held)
        except (OSError, paramiko.SSHException, ValueError, TypeError):
            return
        if key is None:
            self._locked.append(file)
        else:
            yield str(file), key

    def _load(self, file: Path, held: "tuple[paramiko.AgentKey, ...]") -> "paramiko.PKey | None":
        """Return the key in `file`; None: it has a passphrase and the agent does not hold it."""
        try:
            return _read(file, state(file), state(file.with_name(f"{file.name}-cert.pub")))
        except (paramiko.PasswordRequiredException, TypeError):
            # `cryptography` says TypeError for a PEM file with a passphrase
            public = _public(file)
            return next((key for key in held if key.asbytes() == public), None)

    def _unusable(self, file: Path, why: str) -> AuthenticationError:
        return AuthenticationError(
            f"{self.host}: the key {file} cannot be used: {why}",
            host=self.host,
            hint="correct `key` under `ssh` in the inventory, or make one: "
            f"ssh-keygen -t ed25519 -f {file}",
        )

    def _nothing_left(self) -> AuthenticationError:
        tried = ", ".join(self._refused) or "none: no key was found"
        locked = ", ".join(str(file) for file in self._locked)
        return AuthenticationError(
            f"{self.host}: {self.target} refuses the login; keys offered: {tried}"
            + (f"; left out because of their passphrase: {locked}" if locked else ""),
            host=self.host,
            hint=(f"ssh-add {locked.replace(',', '')}; or " if locked else "")
            + f"put the right key into the authorized_keys of {self.target.user} there, and "
            f"try: {self.target.try_it}",
        )


@lru_cache(maxsize=16)
def _read(file: Path, _key: State | None, _certificate: State | None) -> "paramiko.PKey":
    """Read a key and the certificate beside it, for all hosts; again when a state is another."""
    return paramiko.PKey.from_path(file)


def _public(file: Path) -> bytes:
    try:
        line = file.with_name(file.name + ".pub").read_text(encoding="utf-8")
        return bytes(paramiko.PublicBlob.from_string(line).key_blob)
    except (OSError, ValueError):
        return b""
