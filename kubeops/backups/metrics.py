"""Backups as Prometheus metrics, in a text file for node exporter's textfile collector.

Times are given rather than ages, as Prometheus wants it: an age would stand still between two runs.
`time() - kubeops_backup_newest_timestamp_seconds` is the age.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from kubeops.errors import StepError
from kubeops.model.backup import Attempts, Listing, Standing

_Sample = tuple[str, str, str, float]
"""Name below `kubeops_backup_`, what it is, further labels, value."""


def exposition(cluster: str, attempts: Attempts, listing: Listing | None) -> str:
    """Return the metrics as text; `listing` is None when the store could not be read."""
    lines = []
    told = set()
    for name, text, labels, value in _samples(attempts, listing):
        metric = f"kubeops_backup_{name}"
        if metric not in told:
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"]
            told.add(metric)
        lines.append(f'{metric}{{cluster="{cluster}"{labels}}} {value:.15g}')
    return "\n".join(lines) + "\n"


def write(directory: Path, cluster: str, text: str) -> Path:
    """Write the metrics of a cluster into `directory`, whole or not at all; return the file.

    Everybody may read it: the collector is not root.

    Raises:
        StepError: it cannot be written.
    """
    path = directory / f"kubeops-backup-{cluster}.prom"
    # The collector reads all that ends with .prom.
    part = directory / f".kubeops-backup-{cluster}.{os.getpid()}.part"
    try:
        try:
            part.write_text(text, encoding="utf-8")
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StepError(
            f"the metrics cannot be written: {error.filename or path}: {error.strerror or error}",
            hint="Correct backup.metrics_directory in the inventory, or the directory's mode.",
        ) from error
    return path


def _samples(attempts: Attempts, listing: Listing | None) -> Iterator[_Sample]:
    last = attempts.last
    yield "last_run_timestamp_seconds", "When the last run ended.", "", last.at.timestamp()
    yield "last_run_success", "Whether nothing went wrong in the last run.", "", float(last.ok)
    yield "last_run_exit_status", "Exit status of the last run.", "", last.exit_status
    yield "last_run_duration_seconds", "How long the last run took.", "", last.seconds
    if attempts.last_success is not None:
        text = "When a run last ended well."
        yield "last_success_timestamp_seconds", text, "", attempts.last_success.timestamp()
    text = "Whether the store could be read after the last run."
    yield "store_readable", text, "", float(listing is not None)
    if listing is not None:
        yield from _stored(listing)


def _stored(listing: Listing) -> Iterator[_Sample]:
    for standing in Standing:
        labels = f',standing="{standing}"'
        yield "stored", "Backups in the store.", labels, float(listing.count(standing))
    newest = listing.newest
    text = "Whether there is a backup that was restored once."
    yield "proven", text, "", float(newest is not None)
    if newest is None or newest.bundle is None:
        return
    bundle = newest.bundle
    text = "When the newest proven backup was taken."
    yield "newest_timestamp_seconds", text, "", bundle.taken.timestamp()
    yield "newest_size_bytes", "Its size in the store.", "", bundle.size
    yield "newest_revision", "Its revision of etcd.", "", bundle.revision
    yield "newest_keys", "How many keys it holds.", "", bundle.keys
