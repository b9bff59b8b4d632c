"""Backups: taken, looked after, scheduled; API objects as files."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from kubeops.cli._app import Invocation, Report, command, typed
from kubeops.cli._options import ANY, INVENTORY, PLAN, YES, Option
from kubeops.errors import BackupTooOldError, KubeopsError, UntrustedSnapshotError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from kubeops.model.backup import Freshness, Verified
    from kubeops.model.desired import Cluster
    from kubeops.ops.session import Session


def _seconds(text: str) -> float:
    from kubeops.inventory.fields import seconds_of

    return seconds_of(text)


SCHEDULED = Option(
    name="scheduled",
    help="Nobody is watching: on failure the inventory's backup.on_failure is run.",
)
NAME = Option(
    name="name", value="NAME", help="The backup, as backup.list names it. Default: the newest."
)
ALL = Option(name="all", help="Verify every proven backup, and complain of damaged ones.")
FULL = Option(
    name="full", help="Restore each into a scratch etcd as well, here or on a control plane."
)
MAX_AGE = Option(
    name="max-age",
    value="TIME",
    help="How old the newest one may be, such as 26h. Default: the inventory's backup.max_age.",
    parse=_seconds,
)
CRONTAB = Option(
    name="print-crontab", help="Print a line for a crontab instead; nothing is installed."
)
OUTPUT = Option(
    name="output",
    value="DIRECTORY",
    required=True,
    help="Where the files go: a new or empty directory, or one of an earlier export.",
)
SECRETS = Option(
    name="secrets", help="Export Secrets, too, encrypted as the inventory's backup.encrypt says."
)


@command("backup", INVENTORY, SCHEDULED, *ANY)
def backup(call: Invocation, *, scheduled: bool) -> Report:
    """Take one backup into the store; it is called one once it was restored, in a scratch etcd.

    Afterwards retention removes old ones, if the inventory says what to keep (backup.keep).
    """
    from kubeops.model.backup import Standing
    from kubeops.ops.backup import take
    from kubeops.render import jsonout

    cluster = call.cluster()
    try:
        with _session(cluster) as session:
            taken = take(session, progress=_progress(call))
    except Exception as error:
        known = error if isinstance(error, KubeopsError) else KubeopsError(str(error))
        if scheduled:
            _alarm(call, cluster, jsonout.failure(call.verb, known))
        raise
    data = {
        "cluster": taken.cluster,
        "store": taken.store,
        "backup": taken.backup,
        "standing": Standing.PROVEN,
        "size": taken.backup.size,
        "seconds": taken.seconds,
        "removed": taken.removed,
    }
    if scheduled and taken.problem is not None:
        _alarm(call, cluster, jsonout.failure(call.verb, taken.problem, data=data))
    from kubeops.render.backup import taken as render

    shown = render(taken.backup, store=taken.store, seconds=taken.seconds, removed=taken.removed)
    return Report(data=data, text=_explained(shown, taken.problem), error=taken.problem)


@command("backup.list", INVENTORY, *ANY)
def list_(call: Invocation) -> Report:
    """List the backups in the store: age, size, versions, revision, and how each was proven."""
    from kubeops.engine.clock import Clock
    from kubeops.ops.freshness import listing
    from kubeops.render.backup import backups

    found = listing(call.cluster(), now=Clock().now())
    return Report(data=found, text=backups(found))


@command("backup.verify", INVENTORY, NAME, ALL, FULL, *ANY)
def verify(call: Invocation, *, name: str | None, all: bool, full: bool) -> Report:  # noqa: A002 - the option's name
    """Read stored backups again: hashes and decryption, and with --full a restore elsewhere."""
    from kubeops.ops.backup import verify as run
    from kubeops.render.backup import verified

    if name is not None and all:
        raise UsageError("--name is one of --all; give one of the two")
    cluster = call.cluster()
    with _session(cluster) as session:
        found = run(session, name=name or "latest", every=all, full=full, progress=_progress(call))
    data = {"cluster": cluster.name, "store": cluster.backup.store, "verified": found}
    error = _untrusted(found)
    text = verified(found, store=cluster.backup.store)
    return Report(data=data, text=_explained(text, error), error=error)


@command("backup.prune", INVENTORY, PLAN, YES, *ANY)
def prune(call: Invocation) -> Report | None:
    """Remove the backups that the inventory's backup.keep does not keep; asks first.

    Only proven ones count, and the newest of them always stays. What failed its proof, or was cut
    off, goes after 14 days. --plan shows what would go, and why.
    """
    from kubeops.ops.backup import plan_pruning
    from kubeops.ops.backup import prune as run
    from kubeops.render.backup import pruning, removed

    with _session(call.cluster()) as session:
        planned = plan_pruning(session.desired, now=session.clock.now())
        table = pruning(planned.verdicts, cluster=planned.cluster, store=planned.store)
        if call.options.plan or not planned.goes:
            return Report(data=planned, text=table)
        call.screen.say(table)
        if not call.options.yes and not _agreed(call):
            return Report(data=planned, text="nothing was removed")
        gone = run(session, planned, progress=_progress(call))
    data = {"cluster": planned.cluster, "store": planned.store, "removed": gone}
    return Report(data=data, text=removed(gone, store=planned.store))


@command("backup.status", INVENTORY, MAX_AGE, *ANY)
def status(call: Invocation, *, max_age: float | None) -> Report:
    """Tell how old the newest proven backup is; status 8 when that is older than allowed."""
    from kubeops.engine.clock import Clock
    from kubeops.engine.state import state_directory
    from kubeops.ops.freshness import freshness
    from kubeops.render.backup import freshness as render

    found = freshness(call.cluster(), state=state_directory(), now=Clock().now(), max_age=max_age)
    error = _stale(found) if found.too_old else None
    data = {"too_old": found.too_old, **_fields(found)}
    return Report(data=data, text=_explained(render(found), error), error=error)


@command("backup.schedule", INVENTORY, PLAN, CRONTAB, *ANY)
def schedule(call: Invocation, *, print_crontab: bool) -> Report:
    """Have this machine take backups by the inventory's backup.schedule, with a systemd timer.

    Root gets system units, anybody else their own. Typed again it brings them up to date. A run
    that was missed is caught up. --plan prints the units and installs nothing.
    """
    from kubeops.backups.schedule import crontab
    from kubeops.engine.state import state_directory
    from kubeops.ops import schedule as ops
    from kubeops.render import backup as render

    cluster = call.cluster()
    wanted = ops.job(cluster, state=state_directory())
    if print_crontab:
        line = crontab(wanted)
        return Report(data={"crontab": line}, text=_explained(_whole(line), None))
    manager = ops.manager_here()
    if call.options.plan:
        files = ops.units(wanted, manager)
        units = {file.path: file.content.decode() for file in files}
        following = (call.command_line(),)
        return Report(data={"units": units}, text=render.units(files, following=following))
    done = ops.schedule(wanted, manager)
    inventory = ("--inventory", call.options.inventory) if call.options.inventory else ()
    text = render.scheduled(
        unit=done.unit,
        files=done.files,
        due=done.next,
        hint=done.hint,
        following=(typed("backup.status", *inventory),),
    )
    data = {
        "unit": f"{done.unit}.timer",
        "files": [file.path for file in done.files],
        "next": done.next,
        "hint": done.hint,
    }
    return Report(data=data, text=text)


@command("backup.unschedule", INVENTORY, *ANY)
def unschedule(call: Invocation) -> Report:
    """Remove the timer that backup.schedule installed; backups stay where they are."""
    from kubeops.ops import schedule as ops

    removed = ops.unschedule(call.cluster().name, ops.manager_here())
    lines = "\n".join(f"removed {path}" for path in removed)
    return Report(data={"removed": removed}, text=lines or "nothing was scheduled here")


@command("backup.export", INVENTORY, OUTPUT, SECRETS, *ANY)
def export(call: Invocation, *, output: str, secrets: bool) -> Report:
    """Write the API's objects as YAML, one file each, without what a cluster fills in.

    Fit for a git repository: what has not changed is not touched, what is gone is removed. It is
    not a backup: nothing is restored from it but what people applied.
    """
    from kubeops.ops.export import export as run
    from kubeops.render.backup import exported

    directory = Path(output).expanduser().absolute()
    with _session(call.cluster()) as session:
        done = run(session, directory, secrets=secrets, progress=_progress(call))
    text = exported(
        directory=str(directory),
        written=done.written,
        unchanged=done.unchanged,
        gone=done.removed,
    )
    data = {
        "directory": directory,
        "written": done.written,
        "unchanged": done.unchanged,
        "removed": done.removed,
    }
    return Report(data=data, text=text)


def _session(cluster: "Cluster") -> "AbstractContextManager[Session]":
    from kubeops.ops.session import open_session

    return open_session(cluster)


def _progress(call: Invocation) -> Callable[[str], None]:
    """Return what says each line of progress, with the time since the verb began."""
    from kubeops.engine.clock import Clock
    from kubeops.render.units import clock

    time = Clock()
    began = time.monotonic()

    def say(text: str) -> None:
        call.screen.say(_whole(f"{clock(time.monotonic() - began):>7}  {text}"))

    return say


def _alarm(call: Invocation, cluster: "Cluster", document: dict[str, object]) -> None:
    from kubeops.cli._hints import completed
    from kubeops.ops.backup import alarm

    argv = cluster.backup.on_failure
    document = completed(document, call.options.inventory)
    trouble = alarm(argv, json.dumps(document).encode() + b"\n") if argv else ""
    if trouble:
        call.screen.say(_whole(f"warning: {trouble}"))


def _agreed(call: Invocation) -> bool:
    """Ask on the terminal.

    Raises:
        UsageError: there is none.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "removing backups needs a yes, and there is no terminal to ask on",
            hint=call.command_line("--yes"),
        )
    call.screen.err.print("\nRemove these? [y/N] ", end="", soft_wrap=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _untrusted(found: "tuple[Verified, ...]") -> UntrustedSnapshotError | None:
    failed = [one for one in found if not one.proof.holds]
    if not failed:
        return None
    rungs = ", ".join(
        f"{one.name} ({one.proof.failed.name})" if one.proof.failed else one.name for one in failed
    )
    hint = "take a new one: invoke backup; never restore from these"
    if all(one.proof.failed and one.proof.failed.name == "decrypted" for one in failed):
        # What is stored is what was written: the key is another one, and a new backup would be
        # encrypted with that.
        hint = (
            "they are stored as they were written: does backup.encrypt in the inventory name the "
            "passphrase or private key of that time? Keep them, and look for it first"
        )
    return UntrustedSnapshotError(
        f"{len(failed)} of {len(found)} backups cannot be trusted: {rungs}", hint=hint
    )


def _stale(found: "Freshness") -> BackupTooOldError:
    from kubeops.render.units import age

    if found.newest is None:
        said = f"{found.store} holds no proven backup of {found.cluster}"
    else:
        said = (
            f"the newest proven backup of {found.cluster}, {found.newest.name}, is "
            f"{age(found.newest.age)} old; {age(found.max_age)} are allowed"
        )
    return BackupTooOldError(said, hint="take one now: invoke backup")


def _fields(found: "Freshness") -> dict[str, object]:
    return {field.name: getattr(found, field.name) for field in fields(found)}


def _whole(text: str) -> "Text":
    from kubeops.render.errors import whole

    return whole(text)


def _explained(text: "RenderableType", error: KubeopsError | None) -> "RenderableType":
    """Return `text`, and below it what is wrong, if anything is."""
    from rich.console import Group

    from kubeops.render.errors import error as explain

    # A line in a group is not broken; one that is printed on its own would be.
    return Group(text) if error is None else Group(text, "", explain(error))
