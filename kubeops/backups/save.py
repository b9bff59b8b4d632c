"""Takes a backup: a snapshot of one etcd member, PKI and configuration, proven, then stored.

1. One save of a cluster at a time; a healthy member is chosen; space is checked everywhere.
2. The host saves its own member's snapshot into a file only root can read, and sends it. The same
   command restores it into a scratch etcd there, unless this machine can do so itself; however it
   ends, it removes all it made.
3. What arrived is compared with what was sent and is climbed up to the last rung (see `ladder`).
4. The parts are compressed, encrypted and stored, then read back and hashed. The manifest comes
   last: it makes them a backup.
"""

import secrets
import shutil
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import kubeops
from kubeops.backups import catalog, crypto, ladder, lock, parts, verify
from kubeops.backups.ladder import Climb, Expected, Place
from kubeops.backups.member import Chosen, choose
from kubeops.backups.scripts import NO_SPACE, SCRATCH, Answer, answers, remark, script
from kubeops.backups.store import Store
from kubeops.errors import PreflightError, StepError, UntrustedSnapshotError
from kubeops.model.bundle import Bundle, ControlPlane, Member, Proof, bundle_name
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.transport.base import Command, Result, Transport

Progress = Callable[[str], None]

TIMEOUT = 7200.0
"""Seconds for a save, its way here and a restore on the host: enough for 8 GiB on a slow line."""

_MARGIN = 1.2
_STALE = timedelta(days=1)
_CHANCE = string.ascii_lowercase + string.digits


@dataclass(frozen=True, kw_only=True)
class _Saved:
    """What was brought here, and how far the snapshot climbed."""

    snapshot: Path
    pki: Path
    climb: Climb
    where: str


def take(
    desired: Cluster,
    facts: ClusterFacts,
    *,
    transport: Transport,
    store: Store,
    state: Path,
    now: Callable[[], datetime],
    progress: Progress,
) -> Bundle:
    """Take one proven backup of the cluster into `store` and return it.

    Args:
        desired: the inventory; its `backup` says how to encrypt.
        facts: the cluster as observed a moment ago (`facts.gather.gather_cluster`).
        transport: the way to the hosts.
        store: where the bundle goes; see `stores.open_store`.
        state: the directory for the lock and for scratch files (`engine.state.state_directory()`).
        now: the clock.
        progress: takes one line that says what is being done.

    Raises:
        LockedError: another backup of the cluster is being taken on this machine.
        PreflightError: no healthy etcd member, no place for the proof, not enough disk; nothing
            was touched.
        UsageError: the passphrase file cannot be read, or a public key is none.
        UntrustedSnapshotError: a rung of the proof failed; the message names it. What was saved is
            kept under `unproven/` and counts for nothing.
        CommandError, TransportError, UnknownOutcomeError: the host failed half-way.
        StoreError: the store failed half-way. In all cases nothing half-written is listed.
    """
    with lock.held(state, desired.name):
        scratch = _swept(state / desired.name / "saving")
        store.sweep(f"{desired.name}/", before=now() - _STALE)
        sealer = crypto.sealer(crypto.Keys.of(desired.backup))
        chosen = choose(desired, facts)
        with verify.scratch_directory(scratch) as directory:
            saving = _Saving(
                desired=desired,
                facts=facts,
                chosen=chosen,
                transport=transport,
                directory=Path(directory),
                progress=progress,
            )
            saving.check_space(store)
            taken = now()
            saved = saving.bring()
            progress(f"storing in {store.url}")
            return _store(saving, saved, store=store, sealer=sealer, taken=taken)


@dataclass(frozen=True, kw_only=True)
class _Saving:
    """One backup while it is taken; `directory` holds what is plain, on this machine."""

    desired: Cluster
    facts: ClusterFacts
    chosen: Chosen
    transport: Transport
    directory: Path
    progress: Progress

    @property
    def expected(self) -> Expected:
        return Expected(
            etcd=self.chosen.member.version,
            least_revision=self.chosen.member.revision,
            uid=self.facts.api.uid if self.facts.api is not None else "",
            registry_prefix=self.chosen.registry_prefix,
        )

    def check_space(self, store: Store) -> None:
        """Raise PreflightError unless the snapshot fits here and into the store."""
        size = self.chosen.member.db_size
        free = shutil.disk_usage(self.directory).free
        _need(ladder.space(int(size * _MARGIN * 2)), free, where=str(self.directory))
        there = store.free()
        if there is not None:
            _need(int(size * _MARGIN), there, where=store.url)

    def bring(self) -> _Saved:
        """Have the host save, bring snapshot and PKI here, and climb the ladder."""
        place = self._place()
        there = place.runner.host == self.chosen.host
        snapshot, found, seconds = self._snapshot(prove=there)
        sent = found["saved"]
        self.progress(
            f"{self.chosen.host}: saved in {sent.seconds:.1f} s, received in {seconds:.1f} s"
        )
        rungs = ladder.check_file(snapshot, received=sent.text.split()[0], seconds=seconds)
        if there:
            climb = ladder.judged(rungs, found, self.expected)
        elif rungs[-1].ok:
            climb = ladder.climb(
                snapshot,
                self.expected,
                place=place,
                scratch=self.directory,
                progress=self.progress,
            )
            climb = replace(climb, rungs=(rungs[0], *climb.rungs))
        else:
            climb = Climb(rungs=rungs)
        return _Saved(snapshot=snapshot, pki=self._pki(), climb=climb, where=place.runner.host)

    def _place(self) -> Place:
        others = [
            host.name
            for host in self.desired.control_planes
            if host.name in self.facts.hosts and host.name != self.chosen.host
        ]
        hosts = (self.chosen.host, *others)
        return ladder.find_place(self.transport, hosts, etcd=self.chosen.member.version)

    def _snapshot(self, *, prove: bool) -> tuple[Path, dict[str, Answer], float]:
        """Save the member's snapshot and receive it.

        Returns:
            The file, the script's answers, and the seconds from the first byte to the last.
        """
        size = self.chosen.member.db_size
        needed = int(size * _MARGIN) + (ladder.space(size) if prove else 0)
        told = ("yes" if prove else "no", self.chosen.registry_prefix, *SCRATCH)
        arguments = (*self.chosen.arguments, str(needed), *told)
        self.progress(f"{self.chosen.host}: saving a snapshot of about {size >> 20} MiB")
        file = self.directory / "snapshot.db"
        command = script("prove", "save", arguments=arguments, timeout=TIMEOUT)
        result, seconds = self._receive(command, file)
        if result.status == NO_SPACE:
            raise PreflightError(
                f"{self.chosen.host} has no room for the snapshot: {remark(result.stderr)}",
                hint="Make room in one of these directories.",
            )
        found = dict(answers(result.must(hint="Type the same command again.").stderr))
        if "saved" not in found:
            raise StepError(
                f"{self.chosen.host} did not say what it saved: {remark(result.stderr)}"
            )
        return file, found, seconds

    def _pki(self) -> Path:
        self.progress(f"{self.chosen.host}: reading PKI and configuration")
        api = "yes" if self.facts.api is not None else "no"
        required = self.chosen.encryption_configuration
        arguments = (SCRATCH[0], required, api, *self.chosen.configuration)
        file = self.directory / "pki.tar"
        result, _seconds = self._receive(script("pki", arguments=arguments, timeout=120.0), file)
        result.must()
        return file

    def _receive(self, command: Command, file: Path) -> tuple[Result, float]:
        """Run `command`, its output into `file`; return seconds from the first byte to the last."""
        first = last = 0.0
        with parts.new_file(file) as sink:

            def write(piece: bytes) -> None:
                nonlocal first, last
                first = first or time.monotonic()
                sink.write(piece)
                last = time.monotonic()

            result = self.transport.runner(self.chosen.host).stream(command, write)
        return result, last - first


def _store(
    saving: _Saving, saved: _Saved, *, store: Store, sealer: crypto.Sealer, taken: datetime
) -> Bundle:
    """Store what was saved; UntrustedSnapshotError, after that, when it is not proven."""
    desired, facts, chosen = saving.desired, saving.facts, saving.chosen
    climb, api = saved.climb, facts.api
    proof = Proof(at=taken, where=saved.where, full=_is_full(climb), rungs=climb.rungs)
    name = bundle_name(taken, "".join(secrets.choice(_CHANCE) for _ in range(6)))
    where = catalog.place(desired.name, name, proven=proof.full and proof.holds)
    bundle = Bundle(
        name=name,
        cluster=desired.name,
        taken=taken,
        taken_from=chosen.host,
        kube_system_uid=saving.expected.uid or climb.uid,
        kubernetes=str(api.server if api is not None else desired.kubernetes),
        etcd=chosen.member.version,
        revision=climb.revision,
        keys=climb.keys,
        registry_prefix=chosen.registry_prefix,
        members=tuple(map(Member.of, facts.etcd.members if facts.etcd is not None else ())),
        control_planes=tuple(
            ControlPlane(name=host.name, address=host.address) for host in desired.control_planes
        ),
        sealing=sealer.sealing,
        recipients=sealer.recipients,
        snapshot=parts.store_file(store, where, "snapshot.db", saved.snapshot, sealer=sealer),
        pki=parts.store_file(store, where, "pki.tar", saved.pki, sealer=sealer),
        key=parts.store_key(store, where, sealer.key) if sealer.key is not None else None,
        proof=proof,
        tool=kubeops.__version__,
        rehearsal=facts.rehearsal,
    )
    if bundle.proven:
        bundle = bundle.with_proof(
            replace(proof, rungs=(*proof.rungs, verify.stored(store, bundle)))
        )
        if not bundle.proven:
            # Without a manifest what is there is no backup, and is listed as what was cut off.
            raise _untrusted(bundle, kept=f"{store.url}/{where}")
    catalog.commit(store, bundle)
    if not bundle.proven:
        raise _untrusted(bundle, kept=f"{store.url}/{where}")
    return bundle


def _is_full(climb: Climb) -> bool:
    return climb.rungs[-1].name == "identity"


def _untrusted(bundle: Bundle, *, kept: str) -> UntrustedSnapshotError:
    failed = bundle.proof.failed
    said = f"{failed.name}: {failed.detail}" if failed is not None else "it was not restored"
    return UntrustedSnapshotError(
        f"the snapshot of {bundle.cluster} from {bundle.taken_from} is not proven: {said}",
        hint=f"It is kept in {kept} and counts for nothing. Type the same command again; if it "
        f"fails again, see what etcd says on {bundle.taken_from}: crictl ps --all --name etcd",
    )


def _need(needed: int, free: int, *, where: str) -> None:
    if free < needed:
        raise PreflightError(
            f"{where} has room for {free >> 20} MiB, and {needed >> 20} MiB are needed",
            hint="Make room there; nothing was touched.",
        )


def _swept(directory: Path) -> Path:
    """Empty `directory`: what is there was left by a save that was killed. The lock is ours."""
    shutil.rmtree(directory, ignore_errors=True)
    return directory
