"""Kubectl for steps that go on while API servers restart one after the other.

A question, or a change that may be made twice, is asked again for a while when nobody answered it:
behind a load balancer that is what a control plane's upgrade looks like.
"""

from kubeops.engine.context import StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import GateError
from kubeops.handlers.tools import kubectl
from kubeops.transport.base import Command, Result

PATIENCE = 90
_UNANSWERED = (
    "connection refused",
    "connection reset by peer",
    "was refused - did you specify the right host or port",
    "Unable to connect to the server",
    "TLS handshake timeout",
    "i/o timeout",
    "unexpected EOF",
    "etcdserver: ",
    "context deadline exceeded",
    "request did not complete within",
    "the server is currently unable to handle the request",
    "the server was unable to return a response in the time allotted",
    "net/http: request canceled",
)


def unanswered(result: Result) -> bool:
    """Whether a kubectl command failed because the API did not answer, not because it said no."""
    return not result.ok and any(words in result.output for words in _UNANSWERED)


def kube(context: StepContext, *arguments: str, stdin: bytes | None = None, hint: str = "") -> str:
    """Run kubectl on the step's host and return what it printed.

    Raises:
        CommandError: the API said no, or did not answer for a minute and a half.
        InterruptedRunError: the run was interrupted meanwhile.
    """
    command = kubectl("--request-timeout=10s", *arguments, stdin=stdin, timeout=30)
    return patient(context, command).must(hint=hint).stdout


def patient(context: StepContext, command: Command) -> Result:
    """Run a kubectl command that may be run twice; again while the API does not answer."""
    results = [context.runner.run(command)]
    if not unanswered(results[-1]):
        return results[-1]

    def look() -> Reading:
        results.append(context.runner.run(command))
        last = results[-1].output.strip().rpartition("\n")[2]
        return Reading(ok=not unanswered(results[-1]), text=last or "it answers")

    gate = Gate(name="the API", look=look, timeout=PATIENCE, successes=1, interval=1.0)
    try:
        wait_until(gate, clock=context.clock, progress=context.progress)
    except GateError:
        return results[-1].must()
    return results[-1]
