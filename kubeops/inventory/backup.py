"""Reading what an inventory says of backups."""

import re
from urllib.parse import urlsplit

from kubeops.inventory import fields
from kubeops.inventory.document import Scalar
from kubeops.inventory.section import Report, Section
from kubeops.model.desired import S3, BackupPolicy

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}|ssh-(?:ed25519|rsa) [A-Za-z0-9+/]+=*(?: .*)?")
_PATH = ("cluster", "backup")


def read(section: Section) -> BackupPolicy:
    """Read the backup policy; a written `keep` replaces the default as a whole."""
    default = BackupPolicy()
    keep, encrypt = section.section("keep"), section.section("encrypt")
    count = fields.whole(least=0)
    kept = {name: keep.take(name, count, 0) for name in default.keep}
    such_as = "recipients: [age1...]"
    return BackupPolicy(
        store=section.take("store", fields.store, default.store),
        schedule=section.take("schedule", fields.schedule, default.schedule),
        keep=kept if section.has("keep") else default.keep,
        prunes=section.has("keep"),
        passphrase_file=encrypt.take("passphrase_file", fields.path, None),
        recipients=encrypt.items("recipients", recipient, such_as=such_as) or (),
        identity_file=encrypt.take("identity_file", fields.path, None),
        s3=_s3(section.section("s3")),
        max_age=section.take("max_age", fields.duration, default.max_age),
        metrics_directory=section.take("metrics_directory", fields.path, None),
        on_failure=section.items("on_failure", fields.text, such_as="on_failure: [mail, ops]")
        or (),
    )


def check(backup: BackupPolicy, report: Report) -> None:
    """Note what does not hold between the values of a policy."""
    encrypt = (*_PATH, "encrypt")
    if not any(backup.keep.values()):
        report.problem((*_PATH, "keep"), "would keep no backup at all; keep one at least: last: 1")
    if backup.passphrase_file is not None and backup.recipients:
        report.problem(
            (*encrypt, "recipients"),
            "and passphrase_file are two ways to encrypt; keep one of the two lines",
        )
    if backup.identity_file is not None and not backup.recipients:
        report.problem(
            (*encrypt, "identity_file"),
            "decrypts what goes to recipients, and there are none; write recipients: [...] too",
        )
    remote = backup.store.startswith("s3://")
    if backup.s3 != S3() and not remote:
        right = "take it out, or write store: s3://BUCKET/PREFIX"
        report.warn((*_PATH, "s3"), f"means nothing to {backup.store}; {right}")
    if remote and not backup.encrypted:
        report.warn(
            (*_PATH, "store"),
            "backups leave the hosts unencrypted, every Secret of the cluster in them; write "
            "encrypt: {passphrase_file: ~/.config/kubeops/backup.key} below backup",
        )


def recipient(scalar: Scalar) -> str:
    """Read a public key that is encrypted to."""
    written = fields.text(scalar)
    if written.startswith("AGE-SECRET-KEY-"):
        raise ValueError("is a private key; write the public one, age1..., and change the key")
    if _RECIPIENT.fullmatch(written):
        return written
    raise ValueError(
        f"{fields.shown(written)} is no public key to encrypt to; write age1... as age-keygen "
        "prints it, or the line of an ssh-ed25519 or ssh-rsa key"
    )


def endpoint(scalar: Scalar) -> str:
    """Read the URL of an S3 service."""
    written = fields.text(scalar)
    right = "write one such as https://s3.example:9000"
    try:
        parts = urlsplit(written)
        secret = parts.password is not None or parts.username is not None
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{fields.shown(written)} is no URL; {right}") from error
    if secret:
        raise ValueError("holds credentials; put them into the environment or ~/.aws/credentials")
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", written):
        raise ValueError(f"{fields.shown(written)} is no http or https URL; {right}")
    return written


def _region(scalar: Scalar) -> str:
    written = fields.text(scalar)
    if re.fullmatch(r"[A-Za-z0-9-]+", written):
        return written
    raise ValueError(f"{fields.shown(written)} is no region; write one such as eu-central-1")


def _s3(section: Section) -> S3:
    return S3(
        endpoint=section.take("endpoint", endpoint, None),
        region=section.take("region", _region, None),
        path_style=section.take("path_style", fields.boolean, S3.path_style),
    )
