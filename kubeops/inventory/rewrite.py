"""Writing the cluster's new version into its inventory: that one value, nothing else."""

import os
import tempfile
from pathlib import Path

from kubeops.errors import InventoryError
from kubeops.inventory.document import Document, Scalar, Table, read_document
from kubeops.model.version import KubeVersion


def rewrite_kubernetes(path: Path, version: KubeVersion) -> Path:
    """Make `cluster.kubernetes` of the inventory at `path` say `version`.

    Only the characters of the value change: comments, quotes, a leading v, line ends and the file's
    mode and owner stay. The file is replaced at once, or not at all. When the value comes from a
    file that `path` extends, it is that one that is rewritten.

    Returns:
        The file that holds the value, rewritten unless it said so already.

    Raises:
        InventoryError: the value cannot be found or written; nothing was changed.
    """
    found = _kubernetes(read_document(path))
    if found is None:
        raise InventoryError(
            f"{path} could not be updated: it has no cluster.kubernetes any more",
            hint=f'Write kubernetes: "{version}" below cluster, which is what runs now.',
        )
    file = found.at.file.resolve()
    try:
        _write(file, found, version)
    except OSError as error:
        raise InventoryError(
            f"{found.at} could not be updated: {error.strerror or error}",
            hint=f'Write kubernetes: "{version}" on that line, which is what runs now.',
        ) from error
    return found.at.file


def _kubernetes(document: Document) -> Scalar | None:
    cluster = document.root.entries.get("cluster") if document.root is not None else None
    value = cluster.entries.get("kubernetes") if isinstance(cluster, Table) else None
    return value if isinstance(value, Scalar) and value.text.strip() else None


def _write(file: Path, found: Scalar, version: KubeVersion) -> None:
    old = found.text.strip()
    new = version.tag if old.startswith("v") else str(version)
    content = file.read_bytes().decode()
    before, written, after = content[found.start : found.end].rpartition(old)
    if not written:
        raise InventoryError(
            f"{found.at}: cluster.kubernetes is written in a way that cannot be rewritten",
            hint=f'Write kubernetes: "{version}" on that line, which is what runs now.',
        )
    if old != new:
        changed = f"{content[: found.start]}{before}{new}{after}{content[found.end :]}"
        _replace(file, changed.encode())


def _replace(file: Path, content: bytes) -> None:
    """Put `content` in the place of `file` atomically, with the same mode and owner."""
    status = file.stat()
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(content)
            os.fchmod(sink.fileno(), status.st_mode & 0o7777)
            if (os.geteuid(), os.getegid()) != (status.st_uid, status.st_gid):
                os.fchown(sink.fileno(), status.st_uid, status.st_gid)
            sink.flush()
            os.fsync(sink.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
