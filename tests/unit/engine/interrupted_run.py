"""A run in a process of its own, for tests that send it signals.

Prints `applying` when its first step is under way; that step ends when it reads a line from stdin.
Prints each note, and at last the outcome. Arguments: the state directory.
"""

import sys
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.executor import execute
from kubeops.model.event import Event, Kind
from kubeops.plan.actions import DeleteNode
from kubeops.transport.fake import FakeTransport
from tests.unit.engine.support import cluster, journal_in, lane, plan, wave


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(state: Path) -> int:
    done = set()

    def check(action: DeleteNode, _context: StepContext) -> Check:
        return DONE if action.node in done else NEEDED

    def apply(action: DeleteNode, _context: StepContext) -> None:
        say("applying")
        sys.stdin.readline()
        done.add(action.node)

    def show(event: Event) -> None:
        if event.kind is Kind.NOTE:
            say(event.text)

    what = plan(wave(lane("a", "1", "2")))
    with journal_in(state, what, Clock()) as journal:
        outcome = execute(
            what,
            desired=cluster(),
            transport=FakeTransport(["a"]),
            handlers={DeleteNode: Handler(check=check, apply=apply)},
            journal=journal,
            clock=Clock(),
            sink=show,
        )
    say(f"{outcome.status} done={outcome.steps_done} unfinished={','.join(outcome.unfinished)}")
    return outcome.exit_status


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
