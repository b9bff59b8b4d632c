"""A store in a directory of this machine."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from kubeops.backups.store import Sink, Source
from kubeops.errors import StoreError
from kubeops.model.desired import BackupPolicy

_PART = ".part"


def open_local(policy: BackupPolicy) -> "LocalStore":
    """Return the store `policy.store`, a file:// URL."""
    return LocalStore(Path(policy.store.removeprefix("file://")))


class LocalStore:
    """Files below a directory, which is made when it is first written to. All are 0600."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def url(self) -> str:
        """Where it is. See `Store.url`."""
        return f"file://{self._directory}"

    @contextmanager
    def create(self, key: str) -> Iterator[Sink]:
        """Write the file `key`; it has its name once it is whole and on the disk."""
        path = self._directory / key
        part = path.with_name(path.name + _PART)
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = _open_new(part)
        try:
            with file:
                yield _Explained(file, self._explained)
                with self._explained():
                    file.flush()
                    os.fsync(file.fileno())
            with self._explained():
                part.rename(path)
                _sync_directory(path.parent)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def open(self, key: str) -> Iterator[Source]:
        """Read the file `key`. See `Store.open`."""
        with self._explained():
            file = (self._directory / key).open("rb")
        with file:
            yield _Explained(file, self._explained)

    def files(self, prefix: str) -> Mapping[str, int]:
        """Return keys and sizes. See `Store.files`."""
        top = self._directory / prefix.rpartition("/")[0]
        with self._explained():
            if not top.is_dir():
                return {}
            found = {
                str(path.relative_to(self._directory)): path.stat().st_size
                for path in sorted(top.rglob("*"))
                if path.is_file() and path.suffix != _PART
            }
        return {key: size for key, size in found.items() if key.startswith(prefix)}

    def delete(self, key: str) -> None:
        """Remove the file `key`, and its directory with the last one. See `Store.delete`."""
        path = self._directory / key
        with self._explained():
            path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def sweep(self, prefix: str, *, before: datetime) -> None:
        """Remove files that were being written. See `Store.sweep`."""
        top = self._directory / prefix.rpartition("/")[0]
        with self._explained():
            for path in tuple(top.rglob(f"*{_PART}")):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)

    def free(self) -> int:
        """Return the bytes free on its disk."""
        nearest = self._directory
        while not nearest.exists():
            nearest = nearest.parent
        with self._explained():
            return shutil.disk_usage(nearest).free

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._directory
            raise StoreError(
                f"the store {self.url}: {where}: {error.strerror or error}",
                hint=f"See its disk and permissions: df -h {self._directory}",
            ) from error


class _Explained:
    """A file of the store whose errors are the store's."""

    def __init__(
        self, file: BinaryIO, explained: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._file = file
        self._explained = explained

    def read(self, size: int, /) -> bytes:
        with self._explained():
            return self._file.read(size)

    def write(self, data: bytes, /) -> int:
        with self._explained():
            return self._file.write(data)

    def flush(self) -> None:
        return None


def _open_new(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
