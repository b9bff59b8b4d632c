"""Backups: one that was taken, those there are, how they were tried, what retention does."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.backup import Entry, Freshness, Listing, Standing, Verified
from kubeops.model.bundle import Bundle, Proof, Sealing
from kubeops.model.file import File
from kubeops.plan.retention import Verdict
from kubeops.render.errors import whole
from kubeops.render.plan import REHEARSAL
from kubeops.render.units import age, duration, size

_COLOURS = {
    Standing.PROVEN: "green",
    Standing.UNPROVEN: "bold red",
    Standing.DAMAGED: "bold red",
    Standing.UNFINISHED: "yellow",
}
_SEALED = {
    Sealing.NONE: "NOT ENCRYPTED",
    Sealing.RECIPIENTS: "encrypted to public keys",
    Sealing.PASSPHRASE: "encrypted with a passphrase",
}


def taken(
    bundle: Bundle, *, store: str, seconds: float, removed: Sequence[Verdict]
) -> RenderableType:
    """Return a backup that was just taken."""
    proof = bundle.proof
    parts = f"{size(bundle.size)} in {len(bundle.parts)} parts, {_SEALED[bundle.sealing]}"
    lines = (
        ("store", f"{store}/{bundle.cluster}/{bundle.name}"),
        ("size", parts),
        ("etcd", f"{bundle.etcd}, revision {bundle.revision}, {bundle.keys} keys"),
        ("kubernetes", bundle.kubernetes),
        ("proof", f"on {proof.where}: {', '.join(rung.name for rung in proof.rungs)}"),
        *((("removed", _several(removed)),) if removed else ()),
    )
    return Group(
        Text.assemble(
            (bundle.name, "bold"),
            "   ",
            ("proven", _COLOURS[Standing.PROVEN]),
            f"   of {bundle.cluster}, from {bundle.taken_from}, in {duration(seconds)}",
        ),
        *_rehearsal(bundle),
        *(whole(f"{label:<12}", text) for label, text in lines),
    )


def backups(listing: Listing) -> RenderableType:
    """Return all backups there are, and how each of them was proven."""
    heading = Text.assemble((listing.cluster, "bold"), f"   {_counts(listing)}   {listing.store}")
    if not listing.backups:
        return Group(heading, Text(), Text("no backup yet: invoke backup", style="yellow"))
    table = _table("BACKUP", "AGE", "SIZE", "KUBE", "ETCD", "REVISION", "STANDING")
    for entry in listing.backups:
        table.add_row(*_row(entry))
    proven = [entry for entry in listing.backups if entry.standing is Standing.PROVEN]
    others = [entry for entry in listing.backups if entry.standing is not Standing.PROVEN]
    rehearsed = any(entry.bundle and entry.bundle.rehearsal for entry in listing.backups)
    return Group(
        heading,
        *([Text(REHEARSAL, style="bold yellow")] if rehearsed else []),
        Text(),
        table,
        *_section("how they were proven", _proofs(proven)),
        *_section("not proven, and counted for nothing", [f"{e.name}: {e.reason}" for e in others]),
    )


def verified(found: Sequence[Verified], *, store: str) -> RenderableType:
    """Return how stored backups stood a new trial, rung by rung."""
    if not found:
        return Text(f"{store} holds no backup to verify", style="yellow")
    parts: list[RenderableType] = []
    for one in found:
        parts += [_verdict(one), *_rungs(one.proof)]
    held = sum(one.proof.holds for one in found)
    ending = f"{held} of {len(found)} verified in {store}"
    colour = "green" if held == len(found) else "bold red"
    return Group(*parts, Text(), Text(ending, style=colour))


def pruning(verdicts: Sequence[Verdict], *, cluster: str, store: str) -> RenderableType:
    """Return what retention removes and keeps, and why."""
    goes = [verdict for verdict in verdicts if not verdict.keep]
    table = _table("BACKUP", "VERDICT", "WHY")
    for verdict in verdicts:
        word = Text("keep", style="green") if verdict.keep else Text("remove", style="red")
        table.add_row(verdict.name, word, verdict.reason)
    heading = Text.assemble(
        (cluster, "bold"),
        f"   {len(goes)} to remove, {len(verdicts) - len(goes)} to keep   {store}",
    )
    parts: list[RenderableType] = [heading]
    if verdicts:
        parts += [Text(), table]
    if not goes:
        parts += [Text(), Text("nothing to remove", style="green")]
    return Group(*parts)


def removed(verdicts: Sequence[Verdict], *, store: str) -> RenderableType:
    """Return what was removed."""
    return Text(f"{_several(verdicts) if verdicts else 'nothing'} removed from {store}")


def freshness(found: Freshness) -> RenderableType:
    """Return whether the newest proven backup is recent enough."""
    last = found.last.last if found.last is not None else None
    parts: list[RenderableType] = [Text.assemble((found.cluster, "bold"), "   ", newest(found))]
    parts += [whole(f"{'store':<12}", found.store), whole(f"{'allowed':<12}", age(found.max_age))]
    if last is not None:
        ended = "went well" if last.ok else f"ended with status {last.exit_status}: {last.message}"
        when = age((found.at - last.at).total_seconds())
        text = Text.assemble((f"{'last run':<12}", "bold"), f"{when} ago, {ended}")
        parts.append(text)
    return Group(*parts)


def newest(found: Freshness) -> Text:
    """Return the line that says how old the newest proven backup is."""
    if found.newest is None:
        return Text("no proven backup", style="bold red")
    colour = "bold red" if found.too_old else "green"
    return Text.assemble(
        (f"{age(found.newest.age)} old", colour), f"   {found.newest.name}, proven"
    )


def units(files: Sequence[File], *, following: Sequence[str] = ()) -> RenderableType:
    """Return unit files as they are written."""
    parts: list[RenderableType] = []
    for file in files:
        lines = file.content.decode().rstrip().splitlines()
        parts += [Text(file.path, style="bold"), *(whole(f"  {line}") for line in lines), Text()]
    return Group(*parts, *(whole("next:  ", line) for line in following))


def scheduled(
    *, unit: str, files: Sequence[File], due: str, hint: str, following: Sequence[str]
) -> RenderableType:
    """Return a schedule that was installed."""
    parts = [Text.assemble((f"{unit}.timer", "bold"), f"   next: {due or 'unknown'}")]
    parts += [whole(f"  {file.path}") for file in files]
    if hint:
        text = "it only runs while you are logged in, until you type:"
        parts += [Text(text, style="yellow"), whole(f"  {hint}")]
    return Group(*parts, *(whole("next:  ", line) for line in following))


def exported(
    *, directory: str, written: Sequence[str], unchanged: int, gone: Sequence[str]
) -> RenderableType:
    """Return what an export changed in its directory."""
    return Group(
        Text.assemble(
            (directory, "bold"),
            f"   {len(written)} written, {unchanged} unchanged, {len(gone)} removed",
        ),
        *(whole(f"  - {path}") for path in gone),
    )


def _rehearsal(bundle: Bundle) -> list[RenderableType]:
    return [Text(REHEARSAL, style="bold yellow")] if bundle.rehearsal else []


def _row(entry: Entry) -> tuple[str | Text, ...]:
    bundle = entry.bundle
    return (
        entry.name,
        # The larger unit is enough beside a name with the time in it.
        " ".join(age(entry.age).split()[:2]),
        size(entry.size) if entry.size is not None else "-",
        bundle.kubernetes if bundle else "-",
        bundle.etcd if bundle else "-",
        str(bundle.revision) if bundle else "-",
        Text(entry.standing.value, style=_COLOURS[entry.standing]),
    )


def _proofs(entries: Sequence[Entry]) -> list[str]:
    """Return a line for all that were proven alike: most are."""
    alike: dict[str, list[str]] = {}
    for entry in entries:
        if entry.bundle is not None:
            proof = entry.bundle.proof
            text = f"on {proof.where}: {', '.join(rung.name for rung in proof.rungs)}"
            alike.setdefault(text, []).append(entry.name)
    return [f"{len(names)} {text}" for text, names in alike.items()]


def _verdict(one: Verified) -> Text:
    failed = one.proof.failed
    if failed is not None:
        said, colour = f"cannot be trusted: {failed.name}", "bold red"
    elif one.proof.full:
        said, colour = "restored and looked at", "green"
    else:
        said, colour = "its bytes are the proven ones", "green"
    return Text.assemble((one.name, "bold"), "   ", (said, colour), f"   on {one.proof.where}")


def _rungs(proof: Proof) -> list[Text]:
    return [
        Text.assemble(
            ("  ok    " if rung.ok else "  FAIL  ", "green" if rung.ok else "bold red"),
            f"{rung.name:<10}{rung.detail}",
        )
        for rung in proof.rungs
    ]


def _counts(listing: Listing) -> str:
    counted = ((listing.count(standing), standing.value) for standing in Standing)
    return ", ".join(f"{count} {word}" for count, word in counted if count) or "no backups"


def _several(verdicts: Sequence[Verdict]) -> str:
    return "1 backup" if len(verdicts) == 1 else f"{len(verdicts)} backups"


def _section(title: str, lines: Sequence[str]) -> list[RenderableType]:
    if not lines:
        return []
    return [Text(), Text(title, style="bold"), *(Text(f"  {line}") for line in lines)]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != "WHY")
    return table
