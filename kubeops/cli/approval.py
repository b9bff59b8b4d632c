"""Whether a plan may run: its cluster named, shown, checked against what was approved, asked."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from kubeops.cli._app import Invocation
from kubeops.cli._hints import completed
from kubeops.cli._options import meant
from kubeops.engine.state import state_directory
from kubeops.errors import PlanChangedError, PreflightError, UsageError
from kubeops.plan.model import Finding, Plan, Severity

_CHANGES_SHOWN = 20


def approve(plan: Plan, call: Invocation, *, answers: TextIO | None = None) -> bool:
    """Show `plan` and return whether to run it.

    False when `--plan` only wanted to see it, when there is nothing to do, or when the operator
    says no. With `--json`, a plan that is not going to run is the document on stdout.

    Args:
        plan: what would be done.
        call: the options that say how it is approved.
        answers: where the operator's answer is read from; stdin unless given.

    Raises:
        PreflightError: findings forbid the run.
        PlanChangedError: `--approve` names another plan.
        UsageError: nobody is there to ask, and neither `--yes` nor `--approve` was given.
    """
    options = call.options
    plan = _typable(plan, options.inventory)
    _tell_unknown(plan, call)
    if options.plan:
        _keep(plan)
    if plan.refusals:
        _refuse(plan, call)
    if options.plan or plan.is_empty:
        _print(plan, call)
        return False
    if options.approve and options.approve != plan.digest:
        raise _changed(plan, call)
    _show(plan, call)
    if options.yes or options.approve:
        return True
    return _ask(plan, call, answers or sys.stdin)


def confirm(name: str, given: str | None, call: Invocation, *, act: str, hint: str) -> None:
    """Have the cluster's `name` typed out, before what cannot be taken back with a second command.

    Args:
        name: the cluster's.
        given: what `--confirm` gave; asked for on a terminal when None.
        call: where it is asked.
        act: what would be done, as in "taking the whole cluster down".
        hint: what to type instead, or as well.

    Raises:
        UsageError: another name was given, or nobody is there to ask.
    """
    if given is None and sys.stdin.isatty():
        call.screen.err.print(f"This means {act}. Type its name, {name}: ", end="")
        given = sys.stdin.readline().strip()
    if given != name:
        raise UsageError(f"{act} needs its name, {name}; nothing was done", hint=hint)


def _typable(plan: Plan, inventory: str | None) -> Plan:
    """Return `plan` with the commands in what was found completed; its digest is the same."""
    findings = tuple(
        replace(
            finding,
            text=completed(finding.text, inventory),
            cure=completed(finding.cure, inventory),
        )
        for finding in plan.findings
    )
    return replace(plan, findings=findings, done=completed(plan.done, inventory))


def _tell_unknown(plan: Plan, call: Invocation) -> None:
    """Say which names of `--accept` no finding has; no error, for scripts keep fixed lists."""
    found = {finding.check for finding in plan.findings}
    for name in dict.fromkeys(call.options.accept):
        if name not in found:
            call.screen.say(
                f"note: no finding here is called {name} (--accept){meant(name, found)}"
            )


def _refuse(plan: Plan, call: Invocation) -> None:
    """Raise for the findings; with `--plan` the table lists them, else the error does."""
    shown = call.options.plan and not call.screen.json
    if shown:
        _print(plan, call)
    refusals = plan.refusals
    names = tuple(dict.fromkeys(finding.check for finding in refusals))
    heading = f"{plan.kind} {plan.cluster}: {_several(len(refusals))} the run; nothing was touched"
    message = heading + ("" if shown else "".join(f"\n{line}" for line in _listed(refusals)))
    acceptable = all(finding.severity is Severity.ACCEPTABLE for finding in refusals)
    again = call.command_line(*(("--accept", ",".join(names)) if acceptable else ()))
    hint = (
        f"cure them, or go on in spite of them: {again}"
        if acceptable
        else f"cure them, then type {again}"
    )
    raise PreflightError(message, hint=hint, plan=plan.to_json())


def _listed(refusals: tuple[Finding, ...]) -> Iterator[str]:
    for finding in refusals:
        where = f"{finding.host}: " if finding.host else ""
        yield f"  {finding.severity}  {finding.check}: {where}{finding.text}"
        if finding.cure:
            yield f"      cure: {finding.cure}"
        if finding.severity is Severity.ACCEPTABLE:
            yield f"      or:   --accept {finding.check}"


def _print(plan: Plan, call: Invocation) -> None:
    """Print a plan that is not going to run: it is the result."""
    from kubeops.render.jsonout import success
    from kubeops.render.plan import plan as render

    screen = call.screen
    if screen.json:
        screen.document(success("plan", plan.to_json()))
        return
    runnable = not plan.is_empty and not plan.refusals
    following = (call.command_line("--approve", plan.digest),) if runnable else ()
    screen.result(render(plan, verbose=screen.verbose, following=following))


def _show(plan: Plan, call: Invocation) -> None:
    """Show a plan that is about to run, or to be asked about: it is not the result."""
    from kubeops.render.plan import plan as render

    call.screen.say(render(plan, verbose=call.screen.verbose))


def _ask(plan: Plan, call: Invocation, answers: TextIO) -> bool:
    if not answers.isatty():
        raise UsageError(
            f"plan {plan.digest} needs a yes, and there is no terminal to ask on",
            hint=f"{call.command_line('--approve', plan.digest)}, or --yes for whatever is planned",
        )
    console = call.screen.err
    console.print("\nRun this plan? [y/N] ", end="", soft_wrap=True)
    if answers.readline().strip().lower() in {"y", "yes"}:
        return True
    console.print("nothing was done")
    if call.screen.json:
        _print(plan, call)
    return False


def _changed(plan: Plan, call: Invocation) -> PlanChangedError:
    approved = call.options.approve or ""
    known = _kept(plan.cluster, approved)
    if known is None:
        difference = "the approved plan was not printed here, so the difference is not known"
    else:
        lines = list(_difference(known, plan.to_json()))
        more = len(lines) - _CHANGES_SHOWN
        lines[_CHANGES_SHOWN:] = [f"and {more} more"] if more > 0 else []
        difference = "\n".join(f"  {line}" for line in lines)
    return PlanChangedError(
        f"plan {approved} was approved, but it would now be plan {plan.digest}:\n{difference}",
        hint=f"look at the new plan: {call.command_line('--plan')}",
        plan=plan.to_json(),
    )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs: steps that went, came or changed, then everything else by name."""
    old, new = _steps(before), _steps(after)
    yield from (f"- {step} {old[step]['title']}" for step in old if step not in new)
    yield from (f"+ {step} {new[step]['title']}" for step in new if step not in old)
    changed = [step for step in new if step in old and old[step] != new[step]]
    yield from (f"~ {step} {old[step]['title']} -> {new[step]['title']}" for step in changed)
    for name in ("summary", "accepted"):
        if before.get(name) != after.get(name):
            yield f"~ {name}: {before.get(name)} -> {after.get(name)}"
    if old == new and before.get("waves") != after.get("waves"):
        yield "~ the same steps, in another order or pace"


def _steps(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the steps by id, as JSON spells them (tuples are lists there)."""
    plain = json.loads(json.dumps(document["waves"], default=str))
    return {step["id"]: step for wave in plain for lane in wave["lanes"] for step in lane["steps"]}


def _keep(plan: Plan) -> None:
    """Remember a printed plan, so that a later `--approve` can tell what has changed."""
    path = _kept_path(plan.cluster, plan.digest)
    with suppress(OSError):  # a convenience: a plan can be printed where nothing can be written
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(plan.to_json(), file, default=str)


def _kept(cluster: str, digest: str) -> Mapping[str, Any] | None:
    try:
        text = _kept_path(cluster, digest).read_text(encoding="utf-8")
        document: Mapping[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    return document


def _kept_path(cluster: str, digest: str) -> Path:
    name = "".join(character for character in digest if character.isalnum())
    return state_directory() / cluster / "plans" / f"{name}.json"


def _several(count: int) -> str:
    return "1 finding forbids" if count == 1 else f"{count} findings forbid"
