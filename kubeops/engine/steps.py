"""Runs one step: ask the machine, journal, act, wait for the gate, journal.

1. `check` asks the machine. BLOCKED and UNKNOWN fail the step: nothing is done to a machine that
   cannot be read.
2. DONE skips `apply`, not the gate: a run may have been killed after `apply` and before what it
   set going came true, and the next step relies on it.
3. NEEDED: *started* is on the workstation's disk before `apply` touches the machine.
4. The gate is waited for; *done* is journalled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeops.engine.clock import Clock
from kubeops.engine.context import Check, Handler, State, StepContext
from kubeops.engine.gates import wait_until
from kubeops.engine.journal import Journal
from kubeops.engine.recorder import Recorder, RecordingTransport
from kubeops.engine.redact import Redactor
from kubeops.errors import CommandError, GateError, KubeopsError, StepError, UnknownOutcomeError
from kubeops.model.desired import Cluster
from kubeops.model.event import Kind
from kubeops.model.run import LINES_SHOWN, Failure, StepState
from kubeops.plan.model import Step
from kubeops.transport.base import Transport
from kubeops.transport.pool import Shared


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every step of a run is run with."""

    desired: Cluster
    transport: Transport
    handlers: Mapping[type, Handler[Any]]
    journal: Journal
    recorder: Recorder
    clock: Clock
    shared: Shared = field(default_factory=Shared)


def run_step(step: Step, tools: Tools, *, may_begin: Callable[[], bool]) -> StepState:
    """Run `step`; return DONE or SKIPPED, or PENDING when `may_begin` said no before it acted.

    Raises:
        KubeopsError: the step failed; JournalError when it was not begun because of it.
        InterruptedRunError: the run was interrupted while something was waited for.
    """
    handler = tools.handlers[type(step.action)]
    context = _context(step, tools)
    started = tools.clock.monotonic()
    state = StepState.SKIPPED
    if _is_needed(step, handler.check(step.action, context)):
        if not tools.recorder.begin(step, may=may_begin):
            return StepState.PENDING
        handler.apply(step.action, context)
        state = StepState.DONE
    gate = handler.gate(step.action, context)
    if gate is not None:
        wait_until(gate, clock=tools.clock, progress=context.progress)
    tools.recorder.emit(
        Kind.STEP_DONE if state is StepState.DONE else Kind.STEP_SKIPPED,
        step=step,
        text=step.title,
        data={"seconds": round(tools.clock.monotonic() - started, 3)},
    )
    return state


def describe_failure(error: Exception, step: Step, *, redactor: Redactor, log: str) -> Failure:
    """Return what an operator needs to know of `error`, secrets masked."""
    if not isinstance(error, KubeopsError):
        return Failure(
            step=step.id,
            host=step.host,
            title=step.title,
            message=redactor.text(f"defect of kubeops: {type(error).__name__}: {error}"),
            code=KubeopsError.code,
            exit_status=KubeopsError.exit_status,
            hint=f"please report it with the traceback in {log}",
        )
    command, status, output = "", None, ""
    if isinstance(error, CommandError):
        command, status, output = error.shown, error.status, error.output
    if isinstance(error, GateError):
        output = error.last
    return Failure(
        step=step.id,
        host=getattr(error, "host", step.host),
        title=step.title,
        message=redactor.text(error.message),
        code=error.code,
        exit_status=error.exit_status,
        hint=redactor.text(error.hint),
        command=redactor.text(command),
        status=status,
        output=tuple(redactor.text(output).splitlines()[-LINES_SHOWN:]),
    )


def _context(step: Step, tools: Tools) -> StepContext:
    recorder = tools.recorder

    def progress(text: str) -> None:
        recorder.emit(Kind.STEP_WAITING, step=step, text=text)

    def remember(key: str, value: object) -> None:
        recorder.emit(Kind.REMEMBERED, step=step, data={"key": key, "value": value})

    return StepContext(
        desired=tools.desired,
        host=step.host,
        transport=RecordingTransport(
            tools.transport, recorder=recorder, step=step, clock=tools.clock
        ),
        progress=progress,
        remember=remember,
        recall=tools.journal.recall,
        clock=tools.clock,
        shared=tools.shared,
    )


def _is_needed(step: Step, check: Check) -> bool:
    if check.state is State.BLOCKED:
        raise StepError(f"{step.host}: cannot {_lowered(step.title)}: {check.reason}")
    if check.state is State.UNKNOWN:
        raise UnknownOutcomeError(
            f"{step.host}: cannot tell whether to {_lowered(step.title)}: {check.reason}",
            host=step.host,
            hint="nothing was changed by this step; make the host readable, then run again",
        )
    return check.state is State.NEEDED


def _lowered(title: str) -> str:
    return title[:1].lower() + title[1:]
