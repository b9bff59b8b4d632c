"""Testinfra's connection to a host: over kubeops' transport instead of a connection of its own."""

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from kubeops.verify.questions import Questions


class TransportBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands as root on one host of the inventory.

    A command is run once; asked again, it gives the same answer. The suite only reads.
    """

    NAME = "kubeops"

    def __init__(self, host: str, questions: Questions) -> None:
        super().__init__(host)
        self._encoding = "utf-8"
        self._questions = questions

    def run(self, command: str, *args: str, **_options: Any) -> CommandResult:
        """Run `command` with `args` quoted into it.

        Raises:
            TransportError, UnknownOutcomeError: as the transport says it.
        """
        script = self.quote(command, *args)
        result = self._questions.ask(self.hostname, script).get()
        return self.result(result.status, script.encode(), result.stdout, result.stderr)


def testinfra_host(name: str, questions: Questions) -> Host:
    """Return the testinfra host for host `name` of the inventory."""
    backend = TransportBackend(name, questions)
    host = Host(backend)
    backend.set_host(host)
    return host
