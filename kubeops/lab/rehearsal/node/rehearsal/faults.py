"""Faults on order, and the record of every call.

Each stand-in program runs inside `call()`. It takes at most one ordered fault whose `command` is a
prefix of its command line, and leaves one line in the log of calls when it ends. Orders are a list
in
/etc/kubeops-rehearsal/faults.json:

    [{"command": "kubeadm join", "times": 1, "kind": "fail", "status": 1, "message": "...", "after":
    "preflight"}]

kinds: `fail` prints `message` on stderr and ends with `status`; `slow` waits `seconds`, then goes
on; `hang` waits `seconds` (for ever when 0), then fails; `die` ends the process by SIGKILL. `after`
names a phase or marker of the program: the fault strikes when the program has passed it, otherwise
at the very start.

Standard input is never recorded, and tokens and certificate keys are masked in the recorded command
line.
"""

import fcntl
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = re.compile(
    r"(?<![0-9a-z])([a-z0-9]{6}\.[a-z0-9]{16})(?![0-9a-z])|(?<![:0-9a-f])([0-9a-f]{64})(?![0-9a-f])"
)
FOREVER = 10**9


class FaultError(Exception):
    """An ordered failure. Ends the program with `status` after printing `message` on stderr."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One ordered misbehaviour; the module's text tells what each field does."""

    command: str
    kind: str
    times: int = 1
    seconds: float = 0.0
    status: int = 1
    message: str = ""
    after: str = ""

    def strike(self) -> None:
        """Misbehave.

        Raises:
            FaultError: for `fail`, and for a `hang` that is over.
        """
        if self.kind == "die":
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind in {"slow", "hang"}:
            time.sleep(self.seconds or (FOREVER if self.kind == "hang" else 0))
        if self.kind in {"fail", "hang"}:
            text = self.message or f"error: {self.command}: ordered to fail"
            raise FaultError(text, status=self.status)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The faults ordered on this node and its log of calls."""

    path: Path = Path("/etc/kubeops-rehearsal/faults.json")
    calls: Path = Path("/var/log/kubeops-rehearsal/calls.jsonl")

    def take(self, line: str) -> Fault | None:
        """Use up one use of the first fault for the command line `line`; processes may compete."""
        try:
            handle = self.path.open("r+")
        except OSError:
            return None
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            entries: list[dict[str, Any]] = json.loads(handle.read() or "[]")
            for entry in entries:
                fault = Fault(**entry)
                if fault.times > 0 and matches(fault.command, line):
                    entry["times"] = fault.times - 1
                    handle.seek(0)
                    handle.truncate()
                    handle.write(json.dumps(entries))
                    return fault
        return None

    def stands(self, line: str) -> bool:
        """Whether a fault for `line` is ordered; uses nothing up (for conditions that last)."""
        with suppress(OSError, ValueError):
            entries = json.loads(self.path.read_text() or "[]")
            return any(entry["command"] == line and entry.get("times", 1) > 0 for entry in entries)
        return False

    def record(self, *, command: str, argv: Sequence[str], start: float, status: int) -> None:
        """Append one call to the log; a node whose disk is full still runs its programs."""
        entry = {
            "command": command,
            "argv": [SECRET.sub("***", argument) for argument in argv],
            "start": start,
            "end": time.time(),
            "status": status,
        }
        with suppress(OSError):
            self.calls.parent.mkdir(parents=True, exist_ok=True)
            with self.calls.open("a") as log:
                log.write(json.dumps(entry) + "\n")


def matches(command: str, line: str) -> bool:
    """Whether `command` is a prefix of `line` that ends at a word's end."""
    return line == command or line.startswith(command + " ")


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A program while it runs: it tells which phases it has passed."""

    fault: Fault | None = None

    def reached(self, marker: str) -> None:
        """Tell that the phase `marker` is done; the fault ordered for that moment strikes.

        Raises:
            FaultError: the program is ordered to fail here.
        """
        if self.fault is not None and self.fault.after == marker:
            self.fault.strike()


def call(
    command: str,
    argv: Sequence[str],
    main: Callable[[Invocation], int],
    *,
    orders: Orders | None = None,
) -> int:
    """Run `main` as the program `command`: faults first, the log last. Returns the exit status."""
    orders = orders or Orders()
    start = time.time()
    status = 1
    try:
        fault = orders.take(" ".join((command, *argv)))
        if fault is not None and not fault.after:
            fault.strike()
        status = main(Invocation(fault=fault))
    except FaultError as error:
        print(error.message, file=sys.stderr)
        status = error.status
    except KeyboardInterrupt:
        status = 130
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BrokenPipeError:
        status = 141
    finally:
        orders.record(command=command, argv=argv, start=start, status=status)
    return status
