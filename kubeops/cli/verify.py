"""The hosts, held against the inventory."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kubeops.cli._app import Invocation, Report, command
from kubeops.cli._options import READS, Option
from kubeops.errors import UsageError, VerifyError

if TYPE_CHECKING:
    from kubeops.model.verify import Verified, VerifyReport

ONLY = Option(
    name="only",
    value="EXPRESSION",
    help="Only properties whose test fits, in words with and, or, not: 'kubelet and not held'.",
)


@command("verify", *READS, ONLY)
def verify(call: Invocation, *, only: str | None) -> Report:
    """Check every host against the inventory, with the testinfra suite; nothing is changed.

    What does not hold is shown with what was expected, what was found and what to type.
    """
    from kubeops.ops.session import open_session
    from kubeops.render.verify import host_line
    from kubeops.render.verify import verify as render

    cluster = call.cluster()
    hosts = call.options.hosts(cluster)
    run = _runner()

    def progress(host: str, properties: "tuple[Verified, ...]") -> None:
        call.screen.say(host_line(host, properties))

    with open_session(cluster) as session:
        report = run(
            cluster,
            session.transport,
            now=session.clock.now,
            limit=hosts if call.options.limit else (),
            only=only or "",
            progress=progress,
        )
    return Report(
        data=report, text=render(report, verbose=call.screen.verbose), error=_error(report, call)
    )


def _runner() -> "Callable[..., VerifyReport]":
    """Import the suite, and with it pytest and testinfra.

    Raises:
        UsageError: they are not installed.
    """
    for needed in ("pytest", "testinfra"):
        if find_spec(needed) is None:
            raise UsageError(
                f"verify needs pytest and testinfra; {needed} is not installed",
                hint="pip install 'kubeops[verify]'",
            )
    from kubeops.verify.run import verify as run

    return run


def _error(report: "VerifyReport", call: Invocation) -> VerifyError | None:
    failed = len(report.failures)
    if not failed:
        return None
    return VerifyError(
        f"{failed} of {len(report.properties)} properties do not hold",
        hint=f"cure them as shown, then {call.command_line()}",
    )
