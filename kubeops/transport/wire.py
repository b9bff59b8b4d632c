"""What a command looks like on its way to a host: the one place where argv is quoted."""

import re
import shlex

from kubeops.transport.base import Command, Result

KILL_AFTER = 10
"""Seconds between asking a program that is out of time to end and making it end."""

_LOCALE = "LC_ALL=C"

# A shell stays around the program, so that an end by signal arrives as status 128+N: SSH itself
# has another message for it, which Paramiko drops, and then nobody knows how the program ended.
_STATUS = ("sh", "-c", f'{_LOCALE} "$@"; exit $?', "sh")

_NOT_FOUND = 127
_NO_SUDO = re.compile(r"sh: .*\bsudo: .*not found")  # each shell says it in its own way
_LOCALE_REFUSED = "are not allowed to set the following environment variables"
# In small letters: sudo-rs begins some of its sentences with a capital.
_SUDO_REFUSES = (
    "a password is required",
    "a terminal is required",
    "you must have a tty",
    "no password was provided",
    "incorrect password attempt",
    "is not in the sudoers file",
    "is not allowed to",
    _LOCALE_REFUSED,
    "may not run sudo",
    "account validation failure",
    # sudo-rs: Ubuntu's since 25.10
    "interactive authentication is required",
    "authentication required but not attempted",
    "incorrect authentication attempt",
    "i'm afraid i can't do that",
)


MARK = "KUBEOPS_COMMAND"
"""The variable in the environment of a command that can be ended by `ending`."""

# The `timeout` around a command passes the end on to all it started.
_END = """
grep -lzx "$1" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = timeout ]; then kill "$pid"; fi
done
"""


def ending(mark: str, *, timeout: float) -> Command:
    """Return the command that ends the one whose line has `mark`."""
    return Command(argv=("sh", "-euc", _END, "kubeops", f"{MARK}={mark}"), timeout=timeout)


def line(command: Command, *, sudo: tuple[str, ...] = (), mark: str = "") -> str:
    """Return what the login shell of the host is given to run `command`.

    `sudo` and its options make root of the login user; empty when nothing has to. The program is
    ended on the host, with all it started, after `command.timeout` seconds, or by `ending` when it
    was given a `mark`.
    """
    # Twice the locale: sudo's own messages are read, and sudo starts the program with a new
    # environment.
    root = (*sudo, _LOCALE, "--") if sudo else ()
    environment = ("env", f"{MARK}={mark}") if mark else ()
    limit = ("timeout", f"--kill-after={KILL_AFTER}", _seconds(command.timeout))
    return shlex.join((*_STATUS, *root, *environment, *limit, *command.argv))


def ended_by_timeout(result: Result) -> bool:
    """Whether it was the time limit of `line` that ended the command, and not the command itself.

    `timeout` answers 124, or 137 when it had to kill; a program may end with these by itself, but
    then it does so early.
    """
    return result.status in {124, 137} and result.seconds >= result.command.timeout


def sudo_refusal(result: Result) -> str:
    """Return the sentence with which `sudo -n` refused to start the command; empty when it did not.

    The output is read because sudo's status 1 is also the status of any program that fails.
    """
    text = result.stderr.strip()
    said = text.lower()
    if result.status == 1 and not result.stdout and any(words in said for words in _SUDO_REFUSES):
        return next(text for text in reversed(text.splitlines()) if text)
    if result.status == _NOT_FOUND and _NO_SUDO.fullmatch(text):
        return text.splitlines()[-1]
    return ""


def is_about_the_locale(refusal: str) -> bool:
    """Whether sudo refused what `line` has it set, and not the user: no password helps there."""
    return _LOCALE_REFUSED in refusal


def _seconds(seconds: float) -> str:
    return str(int(seconds)) if seconds == int(seconds) else f"{seconds:.3f}"
