"""A restore up to the exchange of the data directories, and the way back.

Each control plane keeps a mark, /var/lib/kubeops/restore/ATTEMPT/ (0700): how far it is (`phase`),
when it began, its data directory, the staged snapshot, the last snapshot of the present state, and
copies of the four manifests. Everything is moved by renames on one file system, and every script
finishes what one that was killed has begun.

Where the data directory is a mount point, which cannot be renamed, `member` in it is what changes
places.
"""

import json
from contextlib import suppress
from pathlib import Path

from kubeops.backups import catalog
from kubeops.backups.crypto import Keys
from kubeops.backups.parts import fetch
from kubeops.backups.stores import open_store
from kubeops.backups.upload import upload
from kubeops.engine.context import DONE, NEEDED, Check, Handler, State, StepContext
from kubeops.engine.state import state_directory
from kubeops.errors import StepError, UntrustedSnapshotError
from kubeops.handlers.etcd_tools import etcdutl, must, save_snapshot
from kubeops.handlers.tools import shell
from kubeops.model.restoring import MARKS, Phase
from kubeops.plan.restore_actions import (
    FetchBundle,
    ForgetBundle,
    KeepPresent,
    RestoreData,
    StageSnapshot,
    SwapData,
    SwapDataBack,
)
from kubeops.transport.base import Result

HINT = "Type the same command again to go on."
LONG = 1800

_MARK = """
umask 077
mark=$1
advance() {
  printf '%s\\n' "$1" > "$mark/phase.part"
  sync "$mark/phase.part"
  mv -T "$mark/phase.part" "$mark/phase"
  sync "$mark"
}
places() {
  data=$(readlink -f "$(cat "$mark/data")")
  live=$data part=$data.part-restored
  if mountpoint -q "$data"; then live=$data/member part=$data/part-restored; fi
  began=$(cat "$mark/began")
  new=$live.restored-$began
  kept=$live.before-restore-$began
  undone=$live.undone-restore-$began
}
still() {
  for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null || true)" = etcd ] || continue
    if tr '\\0' '\\n' < "$process/cmdline" | grep -qxF -e "--data-dir=$data"; then
      echo "etcd still runs on $data" >&2
      exit 1
    fi
  done
}
"""
_PHASE = 'if [ -e "$1/phase" ]; then cat "$1/phase"; fi'
_BEGIN = """
mkdir -p "$mark"
if [ ! -e "$mark/began" ]; then
  date -u +%Y%m%dT%H%M%SZ > "$mark/began.part"
  mv "$mark/began.part" "$mark/began"
fi
printf '%s\\n' "$2" > "$mark/data"
printf '%s\\n' "$3" > "$mark/revision"
if [ "$4" = fresh ]; then : > "$mark/fresh"; fi
sync "$mark" "$mark/began" "$mark/data" "$mark/revision"
"""
_SAME = '[ "$(sha256sum < "$1/snapshot.db")" = "$2  -" ]'
_CLEAR = """
if [ "$(sha256sum < "$mark/snapshot.db")" != "$2  -" ]; then
  echo "the snapshot in $mark is damaged: its SHA-256 is not that of the backup" >&2
  exit 1
fi
places
rm -rf "$part" "$new"
echo "$part"
"""
_PLACE = """
places
if [ -d "$data" ]; then chown -R --reference="$data" "$part"; fi
find "$part" -type f -exec sync {} +
if [ "$live" = "$data" ]; then
  mv -T "$part" "$new"
else
  mv -T "$part/member" "$new"
  rm -rf "$part"
fi
sync "$(dirname "$new")"
printf '%s\\n' "$2" > "$mark/members"
advance restored
"""
_PLACED = """
places
[ -d "$new" ] && [ "$(cat "$mark/members")" = "$2" ]
"""
_SWAP = """
places
still
if [ -d "$new" ]; then
  if [ ! -e "$kept" ]; then
    if [ ! -e "$live" ]; then mkdir "$live"; fi
    mv -T "$live" "$kept"
  fi
  mv -T "$new" "$live"
elif [ ! -e "$kept" ]; then
  echo "neither $new nor $kept is there" >&2
  exit 1
fi
sync "$(dirname "$live")"
advance swapped
echo "the old data is kept in $kept"
"""
_SWAP_BACK = """
places
still
if [ -e "$kept" ]; then
  if [ -e "$live" ]; then mv -T "$live" "$undone"; fi
  mv -T "$kept" "$live"
fi
sync "$(dirname "$live")"
advance undo-swapped
if [ -e "$undone" ]; then echo "the data of the restore is kept in $undone"; fi
"""


def on_mark(
    context: StepContext, attempt: str, script: str, *arguments: str, timeout: float = 120
) -> str:
    """Run a script that knows the mark of `attempt` on the step's host; return what it printed."""
    command = shell(_MARK + script, f"{MARKS}/{attempt}", *arguments, timeout=timeout)
    shown = f"kubeops-restore {attempt}"
    return must(context.runner.run(command), shown, hint=HINT).stdout.strip()


def phase_of(context: StepContext, attempt: str) -> Phase | None:
    """Ask the step's host how far it is; None when it does not know of `attempt`."""
    said = context.run(shell(_PHASE, f"{MARKS}/{attempt}")).stdout.strip()
    return Phase(said) if said else None


def check_phase(context: StepContext, attempt: str, phase: Phase) -> Check:
    """Tell whether the host has reached `phase`; what is being undone does not go on."""
    found = phase_of(context, attempt)
    if found is None:
        return NEEDED if phase is Phase.STAGED else _unknown(context, attempt)
    if found.undoing and not phase.undoing:
        return Check(State.BLOCKED, f"restore {attempt} is being undone: invoke restore --undo")
    return DONE if found.rank >= phase.rank else NEEDED


def _unknown(context: StepContext, attempt: str) -> Check:
    return Check(State.BLOCKED, f"{context.host} knows nothing of restore {attempt}")


def local_snapshot(context: StepContext, bundle: str) -> Path:
    """Where this machine keeps the fetched snapshot of `bundle`; gone when it is not needed."""
    return state_directory() / context.desired.name / "restoring" / f"{bundle}.db"


def local_pki(context: StepContext, bundle: str) -> Path:
    """Where this machine keeps the fetched PKI of `bundle`, as `local_snapshot`."""
    return local_snapshot(context, bundle).with_suffix(".pki.tar")


def _check_fetched(action: FetchBundle, context: StepContext) -> Check:
    # `fetch` names a file only when all of it fits.
    files = [local_snapshot(context, action.bundle)]
    if action.pki:
        files.append(local_pki(context, action.bundle))
    return DONE if all(file.exists() for file in files) else NEEDED


def _fetch(action: FetchBundle, context: StepContext) -> None:
    policy = context.desired.backup
    store = open_store(policy)
    known = catalog.read_catalog(store, context.desired.name)
    for bundle in known.proven if action.proven else known.unproven:
        if bundle.name == action.bundle:
            wanted = {bundle.snapshot: local_snapshot(context, action.bundle)}
            if action.pki:
                wanted[bundle.pki] = local_pki(context, action.bundle)
            keys = Keys.of(policy)
            for part, target in wanted.items():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fetch(store, bundle, part, keys=keys, target=target, progress=context.progress)
            return
    raise StepError(
        f"{action.bundle} is no longer in {policy.store}",
        hint="See what is there: invoke backup.list",
    )


def _check_forgotten(action: ForgetBundle, context: StepContext) -> Check:
    copies = (local_snapshot(context, action.bundle), local_pki(context, action.bundle))
    return NEEDED if any(copy.exists() for copy in copies) else DONE


def _forget(action: ForgetBundle, context: StepContext) -> None:
    local = local_snapshot(context, action.bundle)
    local.unlink(missing_ok=True)
    local_pki(context, action.bundle).unlink(missing_ok=True)
    with suppress(OSError):  # another bundle may be there
        local.parent.rmdir()


def _check_staged(action: StageSnapshot, context: StepContext) -> Check:
    standing = check_phase(context, action.attempt, Phase.STAGED)
    if standing != DONE or phase_of(context, action.attempt) != Phase.STAGED:
        return standing
    same = context.runner.run(
        shell(_SAME, f"{MARKS}/{action.attempt}", action.sha256, timeout=LONG)
    )
    return DONE if same.ok else NEEDED


def _stage(action: StageSnapshot, context: StepContext) -> None:
    kind = "fresh" if action.fresh else "beside"
    on_mark(context, action.attempt, _BEGIN, action.data, str(action.begins), kind)
    file = f"{MARKS}/{action.attempt}/snapshot.db"
    local = local_snapshot(context, action.bundle)
    if not local.exists():
        raise StepError(f"{local} is not there any more", hint=HINT)
    upload(context.runner, local, file, progress=context.progress)
    context.progress("asking etcdutl about the snapshot")
    told = _status(etcdutl(context, "snapshot", "status", file, "-w", "json", hint=HINT))
    if told != action.revision:
        raise UntrustedSnapshotError(
            f"{context.host}: etcdutl counts revision {told} in {action.bundle}, not "
            f"{action.revision}",
            hint="Use another backup: invoke backup.list",
        )
    on_mark(context, action.attempt, "advance staged")


def _status(result: Result) -> int:
    try:
        return int(json.loads(result.stdout)["revision"])
    except (ValueError, LookupError, TypeError) as error:
        raise StepError(
            f"{result.host}: etcdutl answered {result.stdout[:200]!r}: {error}", hint=HINT
        ) from error


def _check_data(action: RestoreData, context: StepContext) -> Check:
    standing = check_phase(context, action.attempt, Phase.RESTORED)
    if standing != DONE or phase_of(context, action.attempt) != Phase.RESTORED:
        return standing
    mark = f"{MARKS}/{action.attempt}"
    placed = context.runner.run(shell(_MARK + _PLACED, mark, action.members))
    return DONE if placed.ok else NEEDED


def _restore(action: RestoreData, context: StepContext) -> None:
    context.progress("verifying the copy")
    part = on_mark(context, action.attempt, _CLEAR, action.sha256, timeout=LONG)
    context.progress(f"restoring beside the present data, as {action.member}")
    etcdutl(
        context,
        *("snapshot", "restore", f"{MARKS}/{action.attempt}/snapshot.db"),
        *("--data-dir", part),
        *("--name", action.member),
        *("--initial-advertise-peer-urls", action.peers),
        *("--initial-cluster", action.members),
        *("--initial-cluster-token", action.token),
        *("--bump-revision", str(action.bump), "--mark-compacted"),
        hint=HINT,
    )
    on_mark(context, action.attempt, _PLACE, action.members, timeout=LONG)


def _present(attempt: str) -> str:
    return f"{MARKS}/{attempt}/present.db"


def _check_kept(action: KeepPresent, context: StepContext) -> Check:
    there = context.runner.run(shell('[ -e "$1" ]', _present(action.attempt)))
    return DONE if there.ok else NEEDED


def _keep(action: KeepPresent, context: StepContext) -> None:
    file = _present(action.attempt)
    saved = save_snapshot(context, file)
    if not saved.ok and action.required:
        must(saved, f"etcdctl snapshot save {file}", hint=HINT)
    if saved.ok:
        context.progress(f"the present state is kept in {file} on {context.host}, unproven")
    else:
        context.progress(f"etcd cannot be saved any more: {saved.output.strip()[-200:]}")


def _check_swapped(action: SwapData, context: StepContext) -> Check:
    return check_phase(context, action.attempt, Phase.SWAPPED)


def _swap(action: SwapData, context: StepContext) -> None:
    context.progress(on_mark(context, action.attempt, _SWAP))


def _check_swapped_back(action: SwapDataBack, context: StepContext) -> Check:
    return check_phase(context, action.attempt, Phase.UNDO_SWAPPED)


def _swap_back(action: SwapDataBack, context: StepContext) -> None:
    context.progress(on_mark(context, action.attempt, _SWAP_BACK) or "nothing was exchanged")


FETCH_BUNDLE = Handler(check=_check_fetched, apply=_fetch)
FORGET_BUNDLE = Handler(check=_check_forgotten, apply=_forget)
STAGE_SNAPSHOT = Handler(check=_check_staged, apply=_stage)
RESTORE_DATA = Handler(check=_check_data, apply=_restore)
KEEP_PRESENT = Handler(check=_check_kept, apply=_keep)
SWAP_DATA = Handler(check=_check_swapped, apply=_swap)
SWAP_DATA_BACK = Handler(check=_check_swapped_back, apply=_swap_back)
