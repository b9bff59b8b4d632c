"""Opens the store that an inventory names."""

from kubeops.backups.local import open_local
from kubeops.backups.store import Store
from kubeops.errors import UsageError
from kubeops.model.desired import BackupPolicy


def open_store(policy: BackupPolicy) -> Store:
    """Return the store that `policy` names.

    Raises:
        UsageError: it is an s3:// store and boto3 is not installed.
    """
    if not policy.store.startswith("s3://"):
        return open_local(policy)
    try:
        from kubeops.backups.s3 import open_s3  # noqa: PLC0415 - boto3 is an extra, and slow to load
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{policy.store} needs {error.name}, which is not installed",
            hint="pip install 'kubeops[s3]'",
        ) from error
    return open_s3(policy)
