"""What the executor hands to a handler, and what a handler answers."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate
from kubeops.model.desired import Cluster
from kubeops.transport.base import Command, Result, Runner, Transport
from kubeops.transport.pool import Shared

A = TypeVar("A")


class State(StrEnum):
    """What a handler's check says of the machine, at the step's turn."""

    DONE = "done"
    NEEDED = "needed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """A check's answer; `reason` is for people and is required for BLOCKED and UNKNOWN."""

    state: State
    reason: str = ""


DONE = Check(State.DONE)
NEEDED = Check(State.NEEDED)


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """Everything a handler may use.

    Attributes:
        desired: the inventory.
        host: the step's host.
        transport: gives the runner of any host.
        progress: takes one line that says what is being done or waited for right now.
        remember: keeps a JSON value in the journal under a key; for what machines cannot tell.
        recall: gives back what this run, or the runs it resumes, remembered; None when nothing.
        clock: the time.
        shared: for questions that the lanes of a wave ask at the same time.
    """

    desired: Cluster
    host: str
    transport: Transport
    progress: Callable[[str], None]
    remember: Callable[[str, object], None]
    recall: Callable[[str], object]
    clock: Clock
    shared: Shared

    @property
    def runner(self) -> Runner:
        """The runner of the step's host."""
        return self.transport.runner(self.host)

    def run(self, command: Command, *statuses: int, hint: str = "") -> Result:
        """Run `command` on the step's host; any status but 0 and `statuses` raises CommandError."""
        return self.runner.run(command).must(*statuses, hint=hint)


def _no_gate(_action: object, _context: StepContext) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Handler(Generic[A]):
    """How one kind of action is done.

    `check` asks the machine whether it is done already, `apply` does it, and `gate` (optional)
    gives what must come true afterwards. `apply` must converge: called on a half-done machine it
    finishes the work.
    """

    check: Callable[[A, StepContext], Check]
    apply: Callable[[A, StepContext], None]
    gate: Callable[[A, StepContext], Gate | None] = _no_gate
