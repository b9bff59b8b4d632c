"""Runs a plan: waves one after the other, lanes of a wave side by side, steps of a lane in order.

How a run ends early:

* A failed step ends its lane. When a wave's `failure_budget` is used up no further lane begins.
  Lanes under way finish *all* their steps: stopping one half-way would leave its node cordoned or
  half upgraded because of another node's trouble. No wave follows one in which a lane failed.
* An interruption (Ctrl-C, SIGTERM, a closed terminal) lets the steps under way end; waiting for
  gates is given up, no further step begins. A second one stops waiting for the steps as well;
  the caller, who closes the transport, thereby ends what is expendable of them on the hosts.
* A journal that cannot be written lets the steps under way end; no further step begins.
* A defect of kubeops ends like a used up budget, then is raised.
"""

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

from kubeops.engine.clock import Clock
from kubeops.engine.context import Handler
from kubeops.engine.journal import Journal
from kubeops.engine.lanes import Ledger, WaveRun, named
from kubeops.engine.recorder import Recorder
from kubeops.engine.signals import interruptions
from kubeops.engine.steps import Tools
from kubeops.errors import InterruptedRunError, JournalError
from kubeops.model.desired import Cluster
from kubeops.model.event import Kind, Sink
from kubeops.model.run import Failure, Outcome, RunState, StepState
from kubeops.plan.model import Lane, Plan, Wave
from kubeops.transport.base import Transport


def execute(
    plan: Plan,
    *,
    desired: Cluster,
    transport: Transport,
    handlers: Mapping[type, Handler[Any]],
    journal: Journal,
    clock: Clock,
    sink: Sink,
) -> Outcome:
    """Run `plan` and return how it ended; failures of steps are values, not exceptions.

    Called in the main thread it takes over SIGINT, SIGTERM and SIGHUP until it returns. The
    journal and the transport stay open; closing them is the caller's.

    Args:
        plan: what to do.
        desired: the inventory, for the handlers.
        transport: reaches the hosts.
        handlers: how each type of action is done.
        journal: the run's journal.
        clock: the time; its `interrupted` flag stops the run.
        sink: takes every event.

    Raises:
        ValueError: the plan cannot be run at all: two steps of one id, or an action without a
            handler. Nothing was touched.
        Exception: whatever a handler or the sink raised that is not a KubeopsError: a defect.
            Its traceback is in the run's log.
    """
    _refuse_impossible(plan, handlers)
    recorder = Recorder(journal=journal, sink=sink, clock=clock)
    run = _Run(
        Tools(
            desired=desired,
            transport=transport,
            handlers=handlers,
            journal=journal,
            recorder=recorder,
            clock=clock,
        )
    )
    started = clock.monotonic()
    steps = sum(1 for _ in plan.steps)
    recorder.emit(
        Kind.RUN_STARTED,
        text=f"{plan.kind} {plan.cluster}: {plan.summary}",
        data={"run": journal.run_id, "log": str(journal.log), "steps": steps},
    )
    with interruptions(run.inbox.put):
        for wave in plan.waves:
            if not run.run_wave(wave):
                break
        outcome = run.outcome(steps=steps, seconds=clock.monotonic() - started)
        recorder.emit(
            Kind.RUN_ENDED,
            text=f"{plan.kind} {plan.cluster}: {outcome.status.value}",
            data={
                "status": outcome.status.value,
                "seconds": outcome.seconds,
                "done": outcome.steps_done,
                "skipped": outcome.steps_skipped,
                "unfinished": list(outcome.unfinished),
            },
        )
        recorder.finish()
    defects = [*run.ledger.defects, *filter(None, [recorder.defect])]
    if defects:
        raise defects[0]
    return outcome


def _refuse_impossible(plan: Plan, handlers: Mapping[type, Handler[Any]]) -> None:
    twice = [step for step, times in Counter(step.id for step in plan.steps).items() if times > 1]
    if twice:
        raise ValueError(f"steps with the same id: {', '.join(twice)}")
    homeless = {type(step.action).__name__ for step in plan.steps} - {
        action.__name__ for action in handlers
    }
    if homeless:
        raise ValueError(f"actions without a handler: {', '.join(sorted(homeless))}")


@dataclass(frozen=True)
class _LaneEnded:
    """A message to the main thread; the other kind is the name of a signal that came in."""


class _Run:
    """One run under way, as the main thread sees it.

    `inbox` is what that thread sleeps on; its `put` is safe in a signal handler.
    """

    def __init__(self, tools: Tools) -> None:
        self.inbox: SimpleQueue[_LaneEnded | str] = SimpleQueue()
        self.ledger = Ledger()
        self._tools = tools

    def run_wave(self, wave: Wave) -> bool:
        """Run a wave; say whether the next one may begin."""
        recorder = self._tools.recorder
        progress = WaveRun(wave, tools=self._tools, ledger=self.ledger)
        if progress.is_stopped:
            return False
        recorder.emit(Kind.WAVE_STARTED, text=wave.title, data={"wave": wave.name})
        waiting = deque(wave.lanes)
        running = 0
        while True:
            while waiting and running < wave.at_once and progress.may_start_lane:
                self._start(waiting.popleft(), progress)
                running += 1
            if not running:
                break
            message = self.inbox.get()
            if isinstance(message, _LaneEnded):
                running -= 1
            elif not self._interrupt(message):
                return False
        recorder.emit(Kind.WAVE_ENDED, text=wave.title, data={"wave": wave.name})
        return not (progress.failed or progress.is_stopped)

    def outcome(self, *, steps: int, seconds: float) -> Outcome:
        """Return how the run ended, `steps` being the number of steps in its plan."""
        with self._tools.recorder.turn:
            done = self.ledger.ended[StepState.DONE]
            skipped = self.ledger.ended[StepState.SKIPPED]
            failures = (*self.ledger.failures, *self._unjournalled())
            if done + skipped < steps and (self._tools.clock.interrupted.is_set() or not failures):
                status = RunState.INTERRUPTED
            else:
                status = RunState.FAILED if failures else RunState.DONE
            return Outcome(
                status=status,
                seconds=round(seconds, 3),
                run_id=self._tools.journal.run_id,
                log=self._tools.journal.log,
                steps_done=done,
                steps_skipped=skipped,
                failures=failures,
                unfinished=tuple(map(named, self.ledger.under_way.values())),
            )

    def _start(self, lane: Lane, progress: WaveRun) -> None:
        def work() -> None:
            try:
                # Raised when this thread wants to record something after the run has ended.
                with suppress(InterruptedRunError):
                    progress.run(lane)
            finally:
                self.inbox.put(_LaneEnded())

        # A daemon, so that a second Ctrl-C ends the process though a command still runs.
        Thread(target=work, name=lane.name, daemon=True).start()

    def _interrupt(self, signal: str) -> bool:
        """Take note of a signal; say whether to go on waiting for the steps under way."""
        recorder = self._tools.recorder
        with recorder.turn:
            steps = self.ledger.steps_under_way
            if self._tools.clock.interrupted.is_set():
                text = f"{signal} again: no longer waiting for {steps or 'anything'}"
                recorder.emit(Kind.NOTE, text=text)
                return False
            self._tools.clock.interrupted.set()
            text = f"{signal}: no further step starts"
            if steps:
                text += f"; waiting for the end of {steps}. Press Ctrl-C again to stop waiting."
            recorder.emit(Kind.NOTE, text=text)
            return True

    def _unjournalled(self) -> tuple[Failure, ...]:
        """Return the failure to write the journal, unless a step already failed of it."""
        error = self._tools.recorder.halted
        if error is None or any(one.code == JournalError.code for one in self.ledger.failures):
            return ()
        return (
            Failure(
                step="",
                host="",
                title="write the journal",
                message=error.message,
                code=error.code,
                exit_status=error.exit_status,
                hint=error.hint,
            ),
        )
