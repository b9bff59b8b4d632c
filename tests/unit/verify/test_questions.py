from threading import Barrier

import pytest

from kubeops.errors import TransportError, UnknownOutcomeError
from kubeops.transport.base import Command, Result
from kubeops.transport.fake import FakeTransport
from kubeops.verify.questions import Questions
from tests.unit.verify.machines import NOW

GROUPS = {"control planes": ("cp1",), "workers": ("w1", "w2", "w3")}
HOSTS = ("cp1", "w1", "w2", "w3")


def asking(fake: FakeTransport) -> Questions:
    return Questions(fake, groups=GROUPS, now=lambda: NOW)


def answering(script: str) -> FakeTransport:
    fake = FakeTransport(HOSTS)
    for host in HOSTS:
        fake.runner(host).on(("sh", "-c", script), stdout=host)
    return fake


def asked(fake: FakeTransport) -> dict[str, list[str]]:
    return {
        host: [command.argv[2] for command in runner.commands]
        for host, runner in fake.runners.items()
    }


def test_all_of_a_role_are_asked_once() -> None:
    fake = answering("id -u")
    questions = asking(fake)
    assert [questions.ask(host, "id -u").get().stdout for host in ("w2", "w1", "w2")] == [
        "w2",
        "w1",
        "w2",
    ]
    assert asked(fake) == {"cp1": [], "w1": ["id -u"], "w2": ["id -u"], "w3": ["id -u"]}


def test_they_are_asked_at_the_same_time() -> None:
    """Each answer waits for the other two: one after the other would not end."""
    together = Barrier(3, timeout=30)

    class Meeting:
        host = "any"

        def run(self, command: Command) -> Result:
            together.wait()
            return Result(command=command, host=self.host, status=0, stdout="", stderr="")

    class Transport:
        def runner(self, _host: str) -> Meeting:
            return Meeting()

        def close(self) -> None:
            """Nothing is open."""

    questions = Questions(Transport(), groups=GROUPS, now=lambda: NOW)  # type: ignore[arg-type]  # Questions only runs
    assert questions.ask("w1", "true").get().ok


def test_a_host_that_is_away_is_asked_no_more() -> None:
    fake = answering("id -u")
    away = TransportError("w1: no route", host="w1")
    fake.runners["w1"]._answers.clear()
    fake.runner("w1").on((), error=away)
    questions = asking(fake)
    assert questions.ask("w2", "id -u").get().stdout == "w2"
    for script in ("id -u", "date"):
        fake.runner("w2").on(("sh", "-c", script))
        fake.runner("w3").on(("sh", "-c", script))
        with pytest.raises(TransportError) as caught:
            questions.ask("w1", script).get()
        assert caught.value is away
    assert asked(fake)["w1"] == ["id -u"]


def test_a_command_that_was_cut_off_says_nothing_about_the_next() -> None:
    fake = answering("date")
    error = UnknownOutcomeError("w1: ended", host="w1")
    for host in HOSTS[1:]:
        fake.runner(host).on(("sh", "-c", "id -u"), error=error)
    questions = asking(fake)
    with pytest.raises(UnknownOutcomeError):
        questions.ask("w1", "id -u").get()
    assert questions.ask("w1", "date").get().stdout == "w1"
