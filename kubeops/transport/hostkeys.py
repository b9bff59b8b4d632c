"""Host keys: known_hosts files, read as OpenSSH reads them, and what to say of a strange key.

Strict: a key that is not in the files stops the run. Accept-new: a host seen for the first time is
written to the first file. In both, a key that differs from a known one stops the run.
"""

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path

from kubeops.errors import HostKeyError

SSH_PORT = 22

State = tuple[int, int, int, int]
"""A file's device, inode, size and time of modification."""


@dataclass(frozen=True)
class Key:
    """A public host key: its algorithm family (`ssh-ed25519`, `ssh-rsa` ...) and its bytes."""

    kind: str
    blob: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def text(self) -> str:
        """The key as it stands in a known_hosts line, after the names."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a known_hosts file; `marker` is empty, `@revoked` or `@cert-authority`."""

    patterns: tuple[str, ...]
    key: Key
    marker: str
    file: Path
    line: int

    @property
    def is_plain(self) -> bool:
        """Whether the line says the very names of its hosts: nothing wild, left out or hashed."""
        return not any(character in name for name in self.patterns for character in "*?!|")

    def names(self, name: str) -> bool:
        """Whether the line is about the host called `name` in known_hosts."""
        if not any(_matches(pattern, name) for pattern in self.patterns):
            return False
        return not any(p.startswith("!") and _matches(p[1:], name) for p in self.patterns)


@dataclass(frozen=True, kw_only=True)
class KnownHosts:
    """The known_hosts files that decide about a host; `accept_new` writes to the first one."""

    files: tuple[Path, ...]
    accept_new: bool = False

    def kinds(self, *, host: str, name: str) -> tuple[str, ...]:
        """Return the kinds of key known for `name`, so that the host can be asked for one of them.

        A host has keys of several kinds; were it left to choose, it could show one never seen.

        Raises:
            HostKeyError: a file cannot be read.
        """
        known = self._about(name, host) or self._about(_bare(name), host)
        return tuple(dict.fromkeys(entry.key.kind for entry in known if not entry.marker))

    def check(self, key: Key, *, host: str, name: str) -> None:
        """Check that `key`, shown by `host`, is the known key of `name`.

        Args:
            key: what the host showed.
            host: how messages call the host.
            name: how known_hosts calls it: see `known_name`.

        Raises:
            HostKeyError: the key is unknown, changed or revoked, or could not be recorded.
        """
        entries = self._about(name, host)
        elsewhere = self._about(_bare(name), host)
        for entry in (*entries, *elsewhere):
            if entry.marker == "@revoked" and entry.key == key:
                raise HostKeyError(
                    f"{host}: its host key {_shown(key)} is revoked by line {entry.line} "
                    f"of {entry.file}",
                    host=host,
                    hint="the key is compromised: give the host a new one on its console "
                    "(rm /etc/ssh/ssh_host_*; ssh-keygen -A) and record that one",
                )
        plain = [entry for entry in entries if not entry.marker]
        if any(entry.key == key for entry in plain):
            return
        if plain:
            # The host was asked for the kinds that are known: another kind is a change as well.
            same_kind = [entry for entry in plain if entry.key.kind == key.kind]
            raise _changed((same_kind or plain)[0], key, host=host, name=name)
        if any(entry.key == key for entry in elsewhere if not entry.marker):
            return
        if not self.accept_new:
            raise _unknown(key, files=self.files, host=host, name=name)
        record(key, name=name, file=self._first(host), host=host)

    def _about(self, name: str, host: str) -> list[Entry]:
        try:
            return [entry for file in _present(self.files) for entry in file.about(name)]
        except OSError as error:
            raise HostKeyError(
                f"{host}: its host key cannot be checked: {error.filename}: {error.strerror}",
                host=host,
                hint=f"make it readable, or remove it: ls -l {error.filename}",
            ) from error

    def _first(self, host: str) -> Path:
        if self.files:
            return self.files[0]
        raise HostKeyError(
            f"{host}: there is no known_hosts file to write its host key to",
            host=host,
            hint="name one: `known_hosts` under `ssh` in the inventory",
        )


def known_name(address: str, port: int, alias: str | None = None) -> str:
    """Return how known_hosts calls a host: its alias, its name, or `[name]:port`."""
    if alias:
        return alias.lower()
    return address.lower() if port == SSH_PORT else f"[{address.lower()}]:{port}"


def read(files: Sequence[Path]) -> Iterator[Entry]:
    """Give the lines of `files` that hold a key; a file that is not there holds none."""
    for file in _present(files):
        yield from file.entries


@dataclass(frozen=True)
class _File:
    """One known_hosts file; each of many hosts asks three times what it says of it."""

    entries: tuple[Entry, ...]

    def about(self, name: str) -> list[Entry]:
        """Return the lines about the host called `name` in known_hosts, in their order."""
        found = (*self._plain.get(name, ()), *(e for e in self._others if e.names(name)))
        return sorted(found, key=lambda entry: entry.line)

    @cached_property
    def _plain(self) -> Mapping[str, Sequence[Entry]]:
        plain: dict[str, list[Entry]] = {}
        for entry in self.entries:
            for name in dict.fromkeys(entry.patterns) if entry.is_plain else ():
                plain.setdefault(name, []).append(entry)
        return plain

    @cached_property
    def _others(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if not entry.is_plain]


def _present(files: Sequence[Path]) -> Iterator[_File]:
    for file in files:
        found = state(file)
        if found is not None:
            yield _load(file, found)


def state(file: Path) -> State | None:
    """Return what changes when `file` is written or replaced; None: it is not there.

    Raises:
        OSError: nobody can tell.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _load(file: Path, _state: State) -> _File:
    """Read one file; it is read again when its state is another."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return _File(())
    parsed = (_parse(text, file=file, line=number) for number, text in enumerate(lines, start=1))
    return _File(tuple(entry for entry in parsed if entry is not None))


def record(key: Key, *, name: str, file: Path, host: str) -> None:
    """Add `key` to `file` under `name`, atomically; the file is left readable to its owner only.

    Raises:
        HostKeyError: `file` cannot be written, or is no regular file.
    """
    target = file.resolve()
    try:
        if target.exists() and not target.is_file():
            raise HostKeyError(
                f"{host}: its host key cannot be recorded: {file} is no regular file",
                host=host,
                hint="set `known_hosts` under `ssh` in the inventory to a file",
            )
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.parent):
            if any(entry.key == key and entry.names(name) for entry in read([target])):
                return
            old = target.read_bytes() if target.exists() else b""
            if old and not old.endswith(b"\n"):
                old += b"\n"
            _replace(target, old + f"{name} {key.text}\n".encode())
    except OSError as error:
        raise HostKeyError(
            f"{host}: its host key cannot be recorded in {file}: {error.strerror}", host=host
        ) from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    # Two runs may meet new hosts at once; the lock is on the directory so that no file is left.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(file: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".known_hosts.", delete=False) as new:
        temporary = Path(new.name)  # made with mode 0600
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            temporary.replace(file)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _parse(text: str, *, file: Path, line: int) -> Entry | None:
    fields = text.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    try:
        names, kind, key = fields[:3]
        blob = base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        return None
    patterns = tuple(name if name.startswith("|1|") else name.lower() for name in names.split(","))
    return Entry(patterns=patterns, key=Key(kind, blob), marker=marker, file=file, line=line)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _hashed(pattern, name)
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    # Only * and ? are wild in known_hosts; brackets stand for themselves, as in [host]:2222.
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _bare(name: str) -> str:
    # As OpenSSH does: a host on another port may also be known by its name without the port.
    return name[1 : name.rindex("]")] if name.startswith("[") else name


def _hashed(pattern: str, name: str) -> bool:
    try:
        _, _, salt, digest = pattern.split("|")
        wanted = base64.b64decode(digest, validate=True)
        return hmac.digest(base64.b64decode(salt, validate=True), name.encode(), "sha1") == wanted
    except ValueError:
        return False


def _shown(key: Key) -> str:
    return f"({key.kind}, {key.fingerprint})"


def _console(key: Key) -> str:
    kind = key.kind.removeprefix("ssh-").split("-")[0]
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"


def _unknown(key: Key, *, files: Sequence[Path], host: str, name: str) -> HostKeyError:
    looked = ", ".join(str(file) for file in files) or "any file: none is configured"
    file = files[0] if files else Path("KNOWN_HOSTS_FILE")
    return HostKeyError(
        f"{host}: the host key of {name} {_shown(key)} is unknown: it is not in {looked}",
        host=host,
        hint=f"on the host's console, `{_console(key)}` must print {key.fingerprint}; "
        f"if it does: echo {shlex.quote(f'{name} {key.text}')} >> {shlex.quote(str(file))}",
    )


def _changed(known: Entry, key: Key, *, host: str, name: str) -> HostKeyError:
    remove = shlex.join(("ssh-keygen", "-R", name, "-f", str(known.file)))
    return HostKeyError(
        f"{host}: the host key of {name} HAS CHANGED: it shows {_shown(key)}, but line "
        f"{known.line} of {known.file} says {_shown(known.key)}. Someone may be listening in, "
        "or the host was installed anew",
        host=host,
        hint=f"on the host's console, `{_console(key)}` must print {key.fingerprint}; "
        f"only if it does: {remove}",
    )
