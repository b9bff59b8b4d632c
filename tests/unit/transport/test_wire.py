import pytest

from kubeops.transport import wire
from kubeops.transport.base import Command, Result

STATUS = """sh -c 'LC_ALL=C "$@"; exit $?' sh"""


@pytest.mark.parametrize(
    ("argv", "quoted"),
    [
        (("true",), "true"),
        (("echo", ""), "echo ''"),
        (("echo", "a b", "$HOME", "`id`"), "echo 'a b' '$HOME' '`id`'"),
        (("echo", "it's", "; reboot"), """echo 'it'"'"'s' '; reboot'"""),
        (("sh", "-c", "a\nb"), "sh -c 'a\nb'"),
    ],
    ids=["plain", "empty", "expansions", "quote", "newline"],
)
def test_quotes_once(argv: tuple[str, ...], quoted: str) -> None:
    line = wire.line(Command(argv=argv))
    assert line == f"{STATUS} timeout --kill-after=10 60 {quoted}"


def test_sudo_stands_around_the_limit_so_that_it_may_end_what_root_started() -> None:
    line = wire.line(Command(argv=("id",), timeout=2.5), sudo=("sudo", "-n"))
    assert line == f"{STATUS} sudo -n LC_ALL=C -- timeout --kill-after=10 2.500 id"


def test_a_mark_is_in_the_environment_of_the_limit_that_ends_it_all() -> None:
    line = wire.line(Command(argv=("id",)), sudo=("sudo",), mark="m1")
    limit = "KUBEOPS_COMMAND=m1 timeout --kill-after=10 60 id"
    assert line == f"{STATUS} sudo LC_ALL=C -- env {limit}"
    assert wire.line(Command(argv=("id",)), mark="m1") == f"{STATUS} env {limit}"
    assert wire.ending("m1", timeout=5).argv[-1] == "KUBEOPS_COMMAND=m1"


def test_neither_input_nor_secrets_are_on_the_line() -> None:
    command = Command(argv=("tee",), stdin=b"hunter2", secrets=("hunter2",))
    assert "hunter2" not in wire.line(command)
    assert "hunter2" not in repr(command)


def result(status: int, *, stderr: str = "", stdout: str = "", seconds: float = 0.0) -> Result:
    command = Command(argv=("x",), timeout=5)
    return Result(
        command=command, host="h", status=status, stdout=stdout, stderr=stderr, seconds=seconds
    )


@pytest.mark.parametrize(
    ("status", "seconds", "ended"),
    [(124, 5.1, True), (137, 15.0, True), (124, 1.0, False), (137, 4.9, False), (1, 9.0, False)],
)
def test_tells_the_time_limit_from_a_status_of_the_program(
    status: int, seconds: float, *, ended: bool
) -> None:
    assert wire.ended_by_timeout(result(status, seconds=seconds)) is ended


@pytest.mark.parametrize(
    "stderr",
    [
        "sudo: a password is required",
        "sudo: a terminal is required to read the password; either use the -S option to read",
        "sudo: sorry, you must have a tty to run sudo",
        "ops is not in the sudoers file.",
        "sudo: sorry, you are not allowed to set the following environment variables: LC_ALL",
        "Sorry, user ops is not allowed to execute '/usr/bin/timeout ... id' as root on cp1.",
        "sudo: no password was provided\nsudo: 1 incorrect password attempt",
        "sudo: interactive authentication is required",
        "sudo: Authentication failed, try again.\nsudo: Authentication required but not attempted",
        "sudo: Maximum 3 incorrect authentication attempts",
        "sudo: maximum 3 incorrect authentication attempts",
        "sudo: I'm sorry ops. I'm afraid I can't do that",
        "sudo: Account validation failure, is your account locked?",
    ],
)
def test_knows_the_refusals_of_sudo(stderr: str) -> None:
    assert wire.sudo_refusal(result(1, stderr=stderr)) == stderr.splitlines()[-1]


def test_tells_the_refused_locale_from_a_refused_user() -> None:
    refused = "not allowed to set the following environment variables: LC_ALL"
    assert wire.is_about_the_locale(f"sudo: sorry, you are {refused}")
    assert wire.is_about_the_locale(f"sudo: you are {refused}")  # sudo-rs
    assert not wire.is_about_the_locale("ops is not in the sudoers file.")


@pytest.mark.parametrize(
    "missing",
    [
        "sh: 1: sudo: not found",
        "sh: line 1: sudo: command not found",
        "sh: sudo: not found",
        "sh: sudo: inaccessible or not found",
    ],
    ids=["dash", "bash", "busybox", "mksh"],
)
def test_knows_that_sudo_is_not_installed(missing: str) -> None:
    assert wire.sudo_refusal(result(127, stderr=missing)) == missing


@pytest.mark.parametrize(
    "failed",
    [
        result(1, stderr="grep: x: No such file or directory"),
        result(1, stdout="it printed", stderr="sudo: a password is required"),
        result(2, stderr="sudo: a password is required"),
        result(127, stderr="timeout: failed to run command 'x': No such file or directory"),
        result(127, stderr="sh: 1: x: not found"),
    ],
    ids=["other", "printed", "status", "missing", "another"],
)
def test_takes_no_other_failure_for_a_refusal(failed: Result) -> None:
    assert wire.sudo_refusal(failed) == ""
