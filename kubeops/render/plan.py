"""A plan as a table: waves, steps, what was found, and the exact commands that come next."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kubeops.plan.actions import WORKSTATION
from kubeops.plan.model import Finding, Lane, Plan, Severity, Step
from kubeops.render.errors import whole

REHEARSAL = "REHEARSAL: these hosts run the lab's stand-ins, not Kubernetes"
_WIDE = 100
_DONE_SHOWN = 8
_NAMES_SHOWN = 3
_LABEL = 15
_LABELS = {
    Severity.BLOCKING: ("blocking", "bold red"),
    Severity.ACCEPTABLE: ("acceptable", "red"),
    Severity.WARNING: ("warning", "yellow"),
}


@dataclass(frozen=True)
class _Lanes:
    """Lanes that do the same on different hosts, and the steps as shown once for all."""

    names: tuple[str, ...]
    steps: tuple[Step, ...]


def plan(shown: Plan, *, verbose: bool = False, following: Sequence[str] = ()) -> RenderableType:
    """Return the whole plan; `following` are the commands to type next, one per line.

    Lanes that do the same are shown once, unless `verbose`.
    """
    parts: list[RenderableType] = [_Heading(shown)]
    if shown.rehearsal:
        parts.append(Text(REHEARSAL, style="bold yellow"))
    parts.append(Text())
    if shown.is_empty:
        parts.append(Text("nothing to do", style="green"))
    else:
        parts += [_Steps(shown, verbose=verbose), Text()]
    parts += _done(shown.done, verbose=verbose)
    parts += findings(shown.findings, accepted=shown.accepted)
    parts += [_labelled("next" if not index else "", line) for index, line in enumerate(following)]
    return Group(*parts)


def findings(found: Iterable[Finding], *, accepted: Iterable[str] = ()) -> list[RenderableType]:
    """Return the findings, gravest first, each with its cure and what accepts it."""
    allowed = frozenset(accepted)
    parts: list[RenderableType] = []
    for severity in (Severity.BLOCKING, Severity.ACCEPTABLE, Severity.WARNING):
        for finding in found:
            if finding.severity is severity:
                parts += _finding(
                    finding, accepted=severity is Severity.ACCEPTABLE and finding.check in allowed
                )
    return parts


def hosts(names: Sequence[str]) -> str:
    """`cp1`, `cp1 cp2 cp3`, `w1 w2 ... (30)`."""
    if len(names) <= _NAMES_SHOWN:
        return " ".join(names)
    return f"{' '.join(names[:2])} ... ({len(names)})"


class _Heading:
    """What the plan is about and its size: one line, or two on a narrow screen."""

    def __init__(self, shown: Plan) -> None:
        steps = sum(1 for _ in shown.steps)
        count = len({step.host for step in shown.steps} - {WORKSTATION})
        counts = (
            "" if shown.is_empty else f"   {_several(steps, 'step')}   {_several(count, 'host')}"
        )
        self._about = Text.assemble(
            (f"{shown.kind} {shown.cluster}", "bold"), f"   {shown.summary}"
        )
        self._size = Text.assemble(("plan ", "dim"), (shown.digest, "bold"), counts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fit the heading to the width there is."""
        line = Text.assemble(self._about, "   ", self._size)
        if line.cell_len <= options.max_width:
            yield line
        else:
            yield self._about
            yield self._size


class _Steps:
    """The steps, wave by wave; on narrow screens the gate goes below what is done."""

    def __init__(self, shown: Plan, *, verbose: bool) -> None:
        fold = _alone if verbose else _together
        self._waves = [(wave, fold(wave.lanes)) for wave in shown.waves]
        groups = [group for _, found in self._waves for group in found]
        steps = [(step, group) for group in groups for step in group.steps]
        self._step_width = max(len(step.id) for step, _ in steps)
        self._host_width = max(len(_where(step, group)) for step, group in steps)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fit the table to the width there is."""
        wide = options.max_width >= _WIDE
        header = self._table(options.max_width, wide=wide)
        header.add_row(*(Text(name, style="dim") for name in _columns(wide=wide)))
        yield header
        for number, (wave, groups) in enumerate(self._waves, start=1):
            lanes = len(wave.lanes)
            pace = "" if lanes == 1 else f"  ({_pace(wave.at_once, lanes)})"
            yield Text.assemble((f"{number:>2}  {wave.title}", "bold"), (pace, "dim"))
            table = self._table(options.max_width, wide=wide)
            for group in groups:
                for step in group.steps:
                    table.add_row(*_row(step, group, wide=wide))
            yield table

    def _table(self, available: int, *, wide: bool) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(width=2)
        table.add_column(width=min(self._step_width, available * 2 // 5), overflow="fold")
        table.add_column(width=min(self._host_width, available // 5), overflow="fold")
        table.add_column(overflow="fold", ratio=3)
        if wide:
            table.add_column(overflow="fold", ratio=2)
        table.expand = True
        return table


def _columns(*, wide: bool) -> tuple[str, ...]:
    return ("", "STEP", "HOST", "WHAT", "GATE") if wide else ("", "STEP", "HOST", "WHAT")


def _row(step: Step, group: _Lanes, *, wide: bool) -> tuple[Text, ...]:
    row = (Text(), Text(step.id), Text(_where(step, group), style="cyan"))
    if wide:
        return (*row, Text(step.title), Text(step.gate, style="dim"))
    gate = f"\nuntil {step.gate}" if step.gate else ""
    return (*row, Text.assemble(step.title, (gate, "dim")))


def _where(step: Step, group: _Lanes) -> str:
    return hosts(group.names) if len(group.names) > 1 else step.host


def _pace(at_once: int, lanes: int) -> str:
    if at_once <= 1:
        return f"{lanes}, one at a time"
    return f"all {lanes} at once" if at_once >= lanes else f"{lanes}, {at_once} at a time"


def _alone(lanes: Sequence[Lane]) -> list[_Lanes]:
    return [_Lanes((lane.name,), lane.steps) for lane in lanes]


def _together(lanes: Sequence[Lane]) -> list[_Lanes]:
    """Fold lanes that differ in nothing but their own name, in the order of the first of each."""
    groups: dict[tuple[tuple[str, ...], ...], list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(tuple(_shape(step, lane.name) for step in lane.steps), []).append(lane)
    return [_folded(group) for group in groups.values()]


def _folded(lanes: Sequence[Lane]) -> _Lanes:
    first = lanes[0]
    if len(lanes) == 1:
        return _Lanes((first.name,), first.steps)
    unnamed = _unnamer(first.name)
    steps = tuple(
        Step(
            id=unnamed(step.id),
            host=step.host,
            title=unnamed(step.title),
            action=step.action,
            gate=unnamed(step.gate),
        )
        for step in first.steps
    )
    return _Lanes(tuple(lane.name for lane in lanes), steps)


def _shape(step: Step, lane: str) -> tuple[str, ...]:
    unnamed = _unnamer(lane)
    kind = type(step.action).__name__
    return (unnamed(step.id), unnamed(step.host), unnamed(step.title), unnamed(step.gate), kind)


def _unnamer(name: str) -> Callable[[str], str]:
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return lambda text: pattern.sub("*", text)


def _done(lines: Sequence[str], *, verbose: bool) -> list[RenderableType]:
    shown = lines if verbose or len(lines) <= _DONE_SHOWN else lines[: _DONE_SHOWN - 1]
    rows = [_labelled("already done" if not i else "", line) for i, line in enumerate(shown)]
    if hidden := len(lines) - len(shown):
        rows.append(_labelled("", f"and {hidden} more; --verbose shows them"))
    return [*rows]


def _finding(finding: Finding, *, accepted: bool) -> list[RenderableType]:
    where = f"{finding.host}: " if finding.host else ""
    told = f"{finding.check}: {where}{finding.text}"
    label, style = _LABELS[finding.severity]
    if accepted:
        label, style = "accepted", "yellow"
    rows = [_paragraph(label, told, style=style)]
    if finding.cure:
        rows.append(_paragraph("", finding.cure, style="dim"))
    if finding.severity is Severity.ACCEPTABLE and not accepted:
        rows.append(_labelled("", f"--accept {finding.check} goes on in spite of it"))
    return rows


def _paragraph(label: str, text: str, *, style: str) -> RenderableType:
    grid = Table.grid(padding=0)
    grid.add_column(width=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), Text(text, style="" if label else style))
    return grid


def _labelled(label: str, text: str) -> RenderableType:
    return whole(f"{label:<{_LABEL}}", text)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
