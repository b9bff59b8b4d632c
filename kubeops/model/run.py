"""How runs and their steps end: what the executor returns and what a journal folds into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from kubeops.errors import (
    GateError,
    InterruptedRunError,
    KubeopsError,
    StepError,
    TransportError,
    UntrustedSnapshotError,
)

LINES_SHOWN = 15


class RunState(StrEnum):
    """How far a run got.

    `killed`: its journal has no end and its process is gone. `unreadable`: its journal is damaged.
    """

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    UNREADABLE = "unreadable"

    @property
    def resumable(self) -> bool:
        """Whether it did not come to its end, and can be gone on with."""
        return self in {RunState.FAILED, RunState.INTERRUPTED, RunState.KILLED}


class StepState(StrEnum):
    """How far a step got. `unfinished`: it was started and its run ended before it did."""

    PENDING = "pending"
    RUNNING = "running"
    SKIPPED = "skipped"
    DONE = "done"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a step failed, with everything an operator needs; secrets are masked.

    Attributes:
        step: the step's id; empty when the run itself failed.
        host: the host it happened on.
        title: the step's title.
        message: what went wrong, in one paragraph.
        code: the error's code, e.g. `KO-51`.
        exit_status: what kubeops ends with because of it.
        hint: what to type or change next; may be empty.
        command: the command that failed, as it may be shown; empty when no command did.
        status: that command's exit status.
        output: its last lines, at most `LINES_SHOWN`; for a gate, what was seen last.
    """

    step: str
    host: str
    title: str
    message: str
    code: str
    exit_status: int
    hint: str = ""
    command: str = ""
    status: int | None = None
    output: tuple[str, ...] = ()

    @property
    def is_defect(self) -> bool:
        """Whether kubeops itself is wrong, not the machine."""
        return self.code == KubeopsError.code


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: `status` is done, failed or interrupted.

    Attributes:
        failures: every step that failed, in the order in which they did.
        seconds: how long the run took.
        steps_done: how many steps were applied and passed their gate.
        steps_skipped: how many were found done.
        unfinished: `step on host` of what was under way when the run ended.
        run_id: the run's id.
        log: the file with every command's output.
    """

    status: RunState
    seconds: float
    run_id: str
    log: Path
    steps_done: int = 0
    steps_skipped: int = 0
    failures: tuple[Failure, ...] = ()
    unfinished: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """What kubeops ends with."""
        error = self.error
        return error.exit_status if error else 0

    @property
    def error(self) -> KubeopsError | None:
        """The run's end as an error that names every failed step; None when the run is done."""
        hint = f"fix the cause, then type `invoke runs.resume`; everything is in {self.log}"
        if self.status is RunState.INTERRUPTED:
            return InterruptedRunError(
                f"run {self.run_id} was interrupted after {self.steps_done} steps"
                + (f"; unfinished: {', '.join(self.unfinished)}" if self.unfinished else ""),
                hint="to go on, type `invoke runs.resume`",
            )
        if not self.failures:
            return None
        first = self.failures[0]
        message = "\n".join(f"{one.step or one.title}: {one.message}" for one in self.failures)
        if first.exit_status == TransportError.exit_status:
            return TransportError(message, host=first.host, hint=first.hint or hint)
        if first.exit_status == GateError.exit_status:
            return GateError(message, last="\n".join(first.output), hint=first.hint or hint)
        if first.exit_status == UntrustedSnapshotError.exit_status:
            return UntrustedSnapshotError(message, hint=first.hint or hint)
        return StepError(message, hint=first.hint or hint)

    def must(self) -> "Outcome":
        """Return this outcome when the run is done.

        Raises:
            InterruptedRunError: the run was interrupted.
            KubeopsError: the first failure's kind, naming every failed step.
        """
        if self.error:
            raise self.error
        return self


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What a journal says of one step; `seconds` is None unless the step ended."""

    id: str
    host: str
    title: str
    state: StepState
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a journal says of one run.

    Attributes:
        plan: the plan's document, as `Plan.to_json` made it.
        arguments: what `runs.resume` needs to run the same verb again.
        started: None when not even the first line was written whole.
        seconds: how long the run took; None unless it ended.
        steps: the plan's steps, in the plan's order.
        remembered: what its handlers remembered; the latest value of each key.
        problem: what is wrong with the journal itself; empty when nothing is.
    """

    run_id: str
    kind: str
    cluster: str
    state: RunState
    path: Path
    log: Path
    started: datetime | None = None
    seconds: float | None = None
    who: str = ""
    workstation: str = ""
    pid: int = 0
    version: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    arguments: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    remembered: Mapping[str, object] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    problem: str = ""
