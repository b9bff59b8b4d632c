"""Where everything that happens in a run passes: masked, journalled, then shown, in one order."""

import traceback
from collections.abc import Callable, Mapping
from threading import RLock

from kubeops.engine.clock import Clock
from kubeops.engine.journal import Journal
from kubeops.engine.redact import Redactor
from kubeops.errors import InterruptedRunError, JournalError, KubeopsError
from kubeops.model.event import Event, Kind, Sink
from kubeops.plan.model import Step
from kubeops.transport.base import Command, Result, Runner, Transport

# Whoever records these is about to act on a machine, and must not when they cannot be written.
_BEFORE_ACTING = frozenset({Kind.STEP_STARTED, Kind.REMEMBERED})
_LOG_LINES = 200


class Recorder:
    """Records a run's events, from any thread.

    The journal comes first and the screen second. When the journal cannot be written, `halted`
    says why: nothing new may begin then, but what is under way is not torn out of its work for it.
    A screen that fails is given up: the run is worth more than its display.

    Attributes:
        turn: held while an event is recorded; hold it to tie a decision to an event.
        halted: why no step may begin any more.
        defect: what the sink raised, unless it was the operating system (a closed terminal).
        redactor: masks everything that passes.
    """

    def __init__(self, *, journal: Journal, sink: Sink, clock: Clock) -> None:
        self.turn = RLock()
        self.halted: JournalError | None = None
        self.defect: Exception | None = None
        self.redactor = Redactor()
        self._journal = journal
        self._sink: Sink | None = sink
        self._clock = clock
        self._over = False

    def emit(
        self,
        kind: Kind,
        *,
        step: Step | None = None,
        host: str = "",
        text: str = "",
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Record one event.

        Raises:
            JournalError: it could not be written, and it is one that must be before acting.
            InterruptedRunError: the run has ended without waiting for this thread.
        """
        with self.turn:
            self.refuse_when_over()
            event = Event(
                at=self._clock.now(),
                kind=kind,
                step=step.id if step else "",
                host=host or (step.host if step else ""),
                text=self.redactor.text(text),
                data={key: self.redactor.value(value) for key, value in (data or {}).items()},
            )
            self._write(event)
            self._show(event)

    def begin(self, step: Step, *, may: Callable[[], bool]) -> bool:
        """Record that `step` starts, unless the run is halted or `may` says no; say whether it did.

        Raises:
            JournalError: it could not be written; the step must not be applied.
        """
        with self.turn:
            if self.halted is not None or not may():
                return False
            self.emit(Kind.STEP_STARTED, step=step, text=step.title)
            return True

    def log_defect(self, error: Exception) -> None:
        """Write the traceback of a defect of kubeops into the log."""
        self._log("".join(traceback.format_exception(error)))

    def log_command(
        self, command: Command, *, host: str, step: Step, seconds: float, end: Result | KubeopsError
    ) -> None:
        """Write a command and the end of its output into the log, and the command as an event."""
        if isinstance(end, Result):
            status, ended, output = end.status, f"status {end.status}", end.output
        else:
            status, ended, output = None, "no status", end.message
        lines = self.redactor.text(output).splitlines()
        left_out = [f"({len(lines) - _LOG_LINES} lines left out)"] if lines[_LOG_LINES:] else []
        self._log(
            "\n".join(
                (
                    f"{self._clock.now().isoformat(timespec='seconds')} {host} {step.id}",
                    f"  $ {command.shown}",
                    *(f"  | {line}" for line in (*left_out, *lines[-_LOG_LINES:])),
                    f"  {ended} after {seconds:.1f} s\n",
                )
            )
        )
        self.emit(
            Kind.COMMAND,
            step=step,
            host=host,
            text=command.shown,
            data={"status": status, "seconds": round(seconds, 3)},
        )

    def finish(self) -> None:
        """Refuse everything from now on."""
        with self.turn:
            self._over = True

    def refuse_when_over(self) -> None:
        """Stop a thread that nobody waits for any more.

        Raises:
            InterruptedRunError: the run has ended.
        """
        if self._over:
            raise InterruptedRunError("the run has ended without waiting for this step")

    def _write(self, event: Event) -> None:
        try:
            self._journal.record(event)
        except JournalError as error:
            self.halted = self.halted or error
            if event.kind in _BEFORE_ACTING:
                raise

    def _show(self, event: Event) -> None:
        if self._sink is None:
            return
        try:
            self._sink(event)
        except OSError:
            self._sink = None
        except Exception as error:  # noqa: BLE001  raised when the run has ended
            self._sink = None
            self.defect = error
            self.log_defect(error)

    def _log(self, text: str) -> None:
        self._journal.write_log(self.redactor.text(text))


class RecordingTransport:
    """A transport whose commands are recorded as those of one step.

    Closing it closes nothing: the connections belong to the run.
    """

    def __init__(
        self, transport: Transport, *, recorder: Recorder, step: Step, clock: Clock
    ) -> None:
        self._transport = transport
        self._recorder = recorder
        self._step = step
        self._clock = clock

    def runner(self, host: str) -> Runner:
        """Return the recorded runner of host `host`."""
        return _RecordingRunner(
            self._transport.runner(host),
            recorder=self._recorder,
            step=self._step,
            clock=self._clock,
        )

    def close(self) -> None:
        """Do nothing."""


class _RecordingRunner:
    def __init__(self, runner: Runner, *, recorder: Recorder, step: Step, clock: Clock) -> None:
        self._runner = runner
        self._recorder = recorder
        self._step = step
        self._clock = clock

    @property
    def host(self) -> str:
        return self._runner.host

    def run(self, command: Command) -> Result:
        return self._recorded(command, self._runner.run)

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        return self._recorded(command, lambda it: self._runner.stream(it, write))

    def _recorded(self, command: Command, run: Callable[[Command], Result]) -> Result:
        self._recorder.refuse_when_over()
        self._recorder.redactor.learn(command.secrets)
        started = self._clock.monotonic()
        try:
            result = run(command)
        except KubeopsError as error:
            self._record(command, started, error)
            raise
        self._record(command, started, result)
        return result

    def _record(self, command: Command, started: float, end: Result | KubeopsError) -> None:
        self._recorder.log_command(
            command,
            host=self.host,
            step=self._step,
            seconds=self._clock.monotonic() - started,
            end=end,
        )
