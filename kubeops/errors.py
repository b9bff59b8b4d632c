"""Every way a run can end badly, one class per outcome.

KubeopsError                       exit status
├─ UsageError                      2   the command line cannot mean anything
├─ InventoryError                  2   the inventory file is wrong; carries every problem found
├─ TransportError                  3   a host was not reached
│  ├─ HostKeyError                 3   its key is unknown or has changed
│  └─ AuthenticationError          3   it refuses our user or key, or sudo wants a password
├─ PreflightError                  4   findings forbid the run; nothing was touched
├─ StepError                       5   a step failed; the same command continues
│  ├─ CommandError                 5   a command on a host ended with a status it must not
│  └─ UnknownOutcomeError          5   a command may or may not have finished on the host
├─ JournalError                    5   the run's journal cannot be written or read
├─ FactsError                      5   a host answered something that cannot be understood
├─ StoreError                      5   a backup store cannot be read or written
├─ GateError                       6   what a gate waited for did not come true in time
├─ LockedError                     7   another run holds the cluster
├─ UntrustedSnapshotError          8   a snapshot or restore cannot be trusted
├─ BackupTooOldError               8   the newest proven backup is older than allowed
├─ PlanChangedError                9   the plan is not the one that was approved
├─ ChangesPendingError             10  --check found something to do
├─ VerifyError                     11  a host is not as the inventory wants it
└─ InterruptedRunError             130 the operator pressed Ctrl-C

Exit status 1 is kept for defects of kubeops itself.
"""

from collections.abc import Mapping
from typing import ClassVar


class KubeopsError(Exception):
    """An outcome that kubeops understands and explains.

    Args:
        message: what went wrong, where, and why, in one paragraph.
        hint: what the operator types or changes next; empty when the message already says it.
    """

    exit_status: ClassVar[int] = 1
    code: ClassVar[str] = "KO-00"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KubeopsError):
    """The command line cannot mean anything."""

    exit_status = 2
    code = "KO-20"


class InventoryError(KubeopsError):
    """The inventory is wrong. `problems` holds one line per problem, in file order."""

    exit_status = 2
    code = "KO-21"

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class TransportError(KubeopsError):
    """A host was not reached; nothing is known about it."""

    exit_status = 3
    code = "KO-30"

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class HostKeyError(TransportError):
    """The host's key is not in known_hosts, or is another than the one there."""

    code = "KO-31"


class AuthenticationError(TransportError):
    """The host refuses the user, the key or the sudo password."""

    code = "KO-32"


class PreflightError(KubeopsError):
    """Findings forbid the run; nothing was touched. `plan` is the refused plan's document."""

    exit_status = 4
    code = "KO-40"

    def __init__(
        self, message: str, *, hint: str = "", plan: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.plan = plan


class StepError(KubeopsError):
    """A step of a run failed. The same command continues from there."""

    exit_status = 5
    code = "KO-50"


class CommandError(StepError):
    """A command ended with a status it must not.

    Args:
        host: name of the host in the inventory.
        shown: the command as it may be shown (secrets masked).
        status: its exit status.
        output: what it printed, stderr last, secrets masked, whole.
    """

    code = "KO-51"

    def __init__(self, *, host: str, shown: str, status: int, output: str, hint: str = "") -> None:
        super().__init__(f"{host}: `{shown}` ended with status {status}", hint=hint)
        self.host = host
        self.shown = shown
        self.status = status
        self.output = output


class UnknownOutcomeError(StepError):
    """A command was cut off and may or may not have taken effect: the host must be asked again."""

    code = "KO-52"

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class JournalError(KubeopsError):
    """A run's journal cannot be written, or holds what no run has written.

    Nothing is applied to a machine that could not be journalled first.
    """

    exit_status = 5
    code = "KO-53"


class FactsError(KubeopsError):
    """A host answered something that cannot be understood; `section` says in what.

    Nothing is decided on such an answer: it is a surprise to be looked at, not a missing thing.
    """

    exit_status = 5
    code = "KO-54"

    def __init__(self, *, host: str, section: str, reason: str) -> None:
        super().__init__(
            f"{host}: {section} cannot be understood: {reason}",
            hint=f"look at {section} on {host}; if it is in order, report this as a defect",
        )
        self.host = host
        self.section = section


class StoreError(KubeopsError):
    """A backup store cannot be read or written: full, out of reach, access denied.

    What was whole in it still is; what was being written is not there.
    """

    exit_status = 5
    code = "KO-55"


class GateError(KubeopsError):
    """A gate's deadline passed. `last` is the last state that was seen."""

    exit_status = 6
    code = "KO-60"

    def __init__(self, message: str, *, last: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.last = last


class LockedError(KubeopsError):
    """Another run holds the cluster's lock."""

    exit_status = 7
    code = "KO-70"


class UntrustedSnapshotError(KubeopsError):
    """A snapshot or a restore cannot be trusted."""

    exit_status = 8
    code = "KO-80"


class BackupTooOldError(KubeopsError):
    """There is no proven backup, or the newest one is older than allowed."""

    exit_status = 8
    code = "KO-81"


class PlanChangedError(KubeopsError):
    """The plan differs from the one that was approved. `plan` is the new plan's document."""

    exit_status = 9
    code = "KO-90"

    def __init__(
        self, message: str, *, hint: str = "", plan: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.plan = plan


class ChangesPendingError(KubeopsError):
    """Asked with --check, and there is something to do."""

    exit_status = 10
    code = "KO-91"


class VerifyError(KubeopsError):
    """A host does not have a property that the inventory wants of it; nothing was changed."""

    exit_status = 11
    code = "KO-93"


class InterruptedRunError(KubeopsError):
    """The operator interrupted the run; the steps under way were allowed to end."""

    exit_status = 130
    code = "KO-92"
