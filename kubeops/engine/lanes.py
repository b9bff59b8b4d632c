"""Runs the lanes of one wave, each in a thread of its own, and keeps what came of their steps."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial

from kubeops.engine.recorder import Recorder
from kubeops.engine.steps import Tools, describe_failure, run_step
from kubeops.errors import InterruptedRunError
from kubeops.model.event import Kind
from kubeops.model.run import Failure, StepState
from kubeops.plan.model import Lane, Step, Wave


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What came of a run's steps so far; read and changed while the recorder's `turn` is held.

    Attributes:
        under_way: steps that were begun and did not end, by id.
        ended: how many steps were done and skipped.
        failures: why steps failed, in the order in which they did.
        defects: exceptions of handlers that are no outcome kubeops knows.
    """

    under_way: dict[str, Step] = field(default_factory=dict)
    ended: Counter[StepState] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    defects: list[Exception] = field(default_factory=list)

    @property
    def steps_under_way(self) -> str:
        """The steps under way, for people; empty when there is none."""
        return ", ".join(map(named, self.under_way.values()))


def named(step: Step) -> str:
    """Return what a person calls `step`."""
    return f"{step.id} on {step.host}"


class WaveRun:
    """One wave under way; `failed` counts its failed lanes."""

    def __init__(self, wave: Wave, *, tools: Tools, ledger: Ledger) -> None:
        self.failed = 0
        self._wave = wave
        self._tools = tools
        self._ledger = ledger

    @property
    def is_stopped(self) -> bool:
        """Whether the whole run starts no step any more, in whichever lane."""
        return self._tools.clock.interrupted.is_set() or self._recorder.halted is not None

    @property
    def may_start_lane(self) -> bool:
        """Whether a lane that has not done anything yet may do so."""
        return not (
            self.is_stopped or self._ledger.defects or self.failed >= self._wave.failure_budget
        )

    def run(self, lane: Lane) -> None:
        """Run the steps of `lane` in order, to the first that does not end well."""
        begun = False
        for step in lane.steps:
            if not self._may_begin(begun=begun):
                return
            try:
                state = run_step(
                    step, self._tools, may_begin=partial(self._begin, step, begun=begun)
                )
            except InterruptedRunError as error:
                self._recorder.emit(Kind.NOTE, step=step, text=error.message)
                return
            except Exception as error:  # noqa: BLE001  described, and kept when it is a defect
                self._fail(step, error)
                return
            if state is StepState.PENDING:
                return
            begun = begun or state is StepState.DONE
            self._end(step, state)

    @property
    def _recorder(self) -> Recorder:
        return self._tools.recorder

    def _may_begin(self, *, begun: bool) -> bool:
        return not self.is_stopped if begun else self.may_start_lane

    def _begin(self, step: Step, *, begun: bool) -> bool:
        """Decide once more, while nothing else is recorded: a failure may just have come in."""
        if not self._may_begin(begun=begun):
            return False
        self._ledger.under_way[step.id] = step
        return True

    def _end(self, step: Step, state: StepState) -> None:
        with self._recorder.turn:
            self._ledger.under_way.pop(step.id, None)
            self._ledger.ended[state] += 1

    def _fail(self, step: Step, error: Exception) -> None:
        log = str(self._tools.journal.log)
        failure = describe_failure(error, step, redactor=self._recorder.redactor, log=log)
        with self._recorder.turn:
            self._ledger.under_way.pop(step.id, None)
            self._ledger.failures.append(failure)
            self.failed += 1
            if failure.is_defect:
                self._ledger.defects.append(error)
                self._recorder.log_defect(error)
            self._recorder.emit(
                Kind.STEP_FAILED,
                step=step,
                text=failure.message,
                data={"failure": asdict(failure)},
            )
