"""The transport against real OpenSSH servers."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeops.errors import (
    AuthenticationError,
    HostKeyError,
    KubeopsError,
    TransportError,
    UnknownOutcomeError,
)
from kubeops.model.desired import HostKeys
from kubeops.model.file import File
from kubeops.transport import files
from kubeops.transport.base import Command
from kubeops.transport.pool import each
from kubeops.transport.ssh import SshRunner, SshTransport
from kubeops.transport.ssh_session import Patience, Session
from tests.component.conftest import Site, keygen, logins, public, run

pytestmark = pytest.mark.sshd

Wait = Callable[[Callable[[], bool]], None]


# Commands


def test_runs_what_it_is_given_word_for_word(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    words = ("a b", "it's", "$HOME", "`id`", '"', "\\", "*", "", "ä\n;")
    assert run(runner, "printf", r"%s\n", *words).stdout == "".join(f"{word}\n" for word in words)


def test_both_streams_and_the_status(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    result = run(runner, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert result.host == "cp1"


def test_the_locale_is_fixed(site: Site) -> None:
    runner = site.transport(site.server(env=("LC_ALL=de_DE.UTF-8",))).runner("cp1")
    assert run(runner, "printenv", "LC_ALL").stdout == "C\n"


def test_there_is_no_terminal_and_input_ends(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    assert run(runner, "sh", "-c", "cat; [ -t 0 ] || [ -t 1 ] || echo none").stdout == "none\n"


@pytest.mark.parametrize(
    ("argv", "status"),
    [(("no-such-program",), 127), (("sh", "-c", "kill -9 $$"), 137), (("false",), 1)],
    ids=["missing", "signal", "failed"],
)
def test_every_end_is_a_status(site: Site, argv: tuple[str, ...], status: int) -> None:
    runner = site.transport(site.server()).runner("cp1")
    assert run(runner, *argv).status == status


def test_output_that_is_no_text(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    command = Command(argv=("printf", r"\377\000\303"))
    assert runner.run(command).stdout == "\ufffd\x00\ufffd"
    pieces: list[bytes] = []
    assert runner.stream(command, pieces.append).stdout == ""
    assert b"".join(pieces) == b"\xff\x00\xc3"


def test_fifty_megabytes_in_and_out_at_once(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    content = os.urandom(1 << 20) * 50
    output = bytearray()
    result = runner.stream(Command(argv=("cat",), stdin=content), output.extend)
    assert result.ok
    assert output == content


def test_a_host_that_asks_for_new_keys_all_the_time(site: Site) -> None:
    runner = site.transport(site.server("RekeyLimit 1M")).runner("cp1")
    content = os.urandom(1 << 20) * 20
    for _ in range(5):
        output = bytearray()
        assert runner.stream(Command(argv=("cat",), stdin=content), output.extend).ok
        assert output == content


def test_new_keys_are_asked_for_as_late_as_the_ciphers_allow(site: Site) -> None:
    server = site.server()
    transport = site.transport(server)
    assert run(transport.runner("cp1"), "true").ok
    wire = transport._sessions["cp1"].connection().transport
    assert wire.packetizer.REKEY_BYTES == 1 << 36
    offered = wire.get_security_options().ciphers
    assert {wire._cipher_info[name]["block-size"] for name in offered} == {16}


def test_much_on_stderr_while_stdin_is_read(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    content = b"0123456789abcdef" * (1 << 19)
    result = run(runner, "sh", "-c", "cat >&2", stdin=content)
    assert result.stderr.encode() == content


def test_input_may_be_left_unread(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    result = run(runner, "head", "-c", "3", stdin=b"abc" * (10 << 20))
    assert (result.status, result.stdout) == (0, "abc")
    assert run(runner, "echo", "next").stdout == "next\n"


def test_what_the_reader_raises_is_passed_on(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")

    def full(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        runner.stream(Command(argv=("cat", "/dev/zero")), full)
    assert run(runner, "true").ok


def test_many_threads_share_one_connection(site: Site) -> None:
    server = site.server()
    runner = site.transport(server).runner("cp1")

    def echo(number: int) -> str:
        return run(runner, "sh", "-c", "cat; echo $0", str(number), stdin=b"x" * number).stdout

    outcomes = each(range(40), echo, at_once=20)
    assert [outcome.value for outcome in outcomes] == ["x" * n + f"{n}\n" for n in range(40)]
    assert logins(server) == 1


def test_files_are_put_and_read(site: Site, tmp_path: Path) -> None:
    runner = site.transport(site.server()).runner("cp1")
    file = File(path=str(tmp_path / "d/f"), content=os.urandom(3 << 20), mode=0o600, secret=True)
    assert files.put(runner, file)
    assert not files.put(runner, file)
    assert files.check(runner, file)
    assert files.read(runner, file.path) == file.content


# Ends that are not ends


def alive(pidfile: Path) -> bool:
    stat = Path(f"/proc/{pidfile.read_text().strip()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("trap", ["", "trap '' TERM"], ids=["obedient", "deaf"])
def test_the_limit_ends_the_command_on_the_host(
    site: Site, tmp_path: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr("kubeops.transport.wire.KILL_AFTER", 1)
    runner = site.transport(site.server()).runner("cp1")
    script = f'{trap}\necho $$ >"$0"; while :; do sleep 1; done'
    with pytest.raises(UnknownOutcomeError, match="was ended on the host after 1 s") as caught:
        run(runner, "sh", "-c", script, str(tmp_path / "pid"), timeout=1)
    assert caught.value.host == "cp1"
    eventually(lambda: not alive(tmp_path / "pid"))
    assert run(runner, "true").ok


def said(pidfile: Path) -> bool:
    return pidfile.exists() and pidfile.read_text().endswith("\n")


def closed_while_running(
    transport: SshTransport, command: Command, started: Callable[[], bool], eventually: Wait
) -> None:
    def give_up() -> None:
        with suppress(UnknownOutcomeError):
            transport.runner("cp1").run(command)

    waiting = threading.Thread(target=give_up)
    waiting.start()
    eventually(started)
    transport.close()
    waiting.join(30)


@pytest.mark.parametrize("expendable", [True, False])
def test_closing_ends_on_the_host_what_is_expendable(
    site: Site, tmp_path: Path, eventually: Wait, *, expendable: bool
) -> None:
    transport = site.transport(site.server())
    pidfile = tmp_path / "pid"
    script = 'echo $$ >"$0"; exec sleep 60'
    command = Command(argv=("sh", "-c", script, str(pidfile)), expendable=expendable)
    closed_while_running(transport, command, lambda: said(pidfile), eventually)
    if expendable:
        eventually(lambda: not alive(pidfile))
    else:
        assert alive(pidfile)
        os.kill(int(pidfile.read_text()), signal.SIGKILL)


def test_closing_does_not_wait_for_a_host_that_is_silent(
    site: Site, tmp_path: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeops.transport.ssh._END_TIMEOUT", 0.2)
    monkeypatch.setattr("kubeops.transport.wire._END", "sleep 5")
    transport = site.transport(site.server())
    pidfile = tmp_path / "pid"
    script = 'echo $$ >"$0"; exec sleep 60'
    command = Command(argv=("sh", "-c", script, str(pidfile)), expendable=True)
    closed_while_running(transport, command, lambda: said(pidfile), eventually)
    assert alive(pidfile)
    os.kill(int(pidfile.read_text()), signal.SIGKILL)


def test_a_status_that_only_looks_like_the_limit(site: Site) -> None:
    runner = site.transport(site.server()).runner("cp1")
    assert run(runner, "sh", "-c", "exit 124").status == 124


def test_a_host_that_falls_silent_is_not_waited_for_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = site.transport(site.server()).runner("cp1")
    monkeypatch.setattr("kubeops.transport.ssh_channel._GRACE", 0.5)
    # The limit on the host is taken away, as if the host did not keep it.
    monkeypatch.setattr("kubeops.transport.wire._seconds", lambda _seconds: "600")
    with pytest.raises(UnknownOutcomeError, match="nobody knows how `sleep 300` ended: it was to"):
        run(runner, "sleep", "300", timeout=0.5)


def test_a_background_process_that_keeps_the_output_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = site.transport(site.server()).runner("cp1")
    monkeypatch.setattr("kubeops.transport.ssh_channel._LINGER", 0.5)
    result = run(runner, "sh", "-c", "sleep 45 & echo started")
    assert (result.status, result.stdout) == (0, "started\n")


def test_a_connection_cut_under_a_command(site: Site, tmp_path: Path, eventually: Wait) -> None:
    server = site.server()
    runner = site.transport(server).runner("cp1")
    started, errors = tmp_path / "started", []

    def work() -> None:
        try:
            run(runner, "sh", "-c", 'echo x >>"$0"; sleep 30', str(started))
        except KubeopsError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: started.exists() and started.read_text() == "x\n")
    server.cut()
    thread.join(60)
    assert [type(error) for error in errors] == [UnknownOutcomeError]
    assert "the connection ended while it ran" in errors[0].message
    assert run(runner, "cat", str(started)).stdout == "x\n"  # reconnected; never run by itself
    assert logins(server) == 2


def test_a_connection_cut_between_commands_is_made_anew(site: Site, eventually: Wait) -> None:
    server = site.server()
    runner = site.transport(server).runner("cp1")
    assert run(runner, "true").ok
    server.cut()
    eventually(lambda: not server.sessions())
    assert run(runner, "true").ok
    assert logins(server) == 2


def test_a_server_that_starts_no_commands(site: Site) -> None:
    runner = site.transport(site.server("MaxSessions 0")).runner("cp1")
    with pytest.raises(TransportError, match="opens no channel") as caught:
        run(runner, "true")
    assert "MaxSessions" in caught.value.hint


def test_the_connection_is_kept_alive_and_closed(site: Site, eventually: Wait) -> None:
    server = site.server()
    transport = site.transport(server, Patience(keepalive=7, lost=11))
    runner = transport.runner("cp1")
    run(runner, "true")
    wire = runner._session.connection().transport
    assert wire.packetizer._Packetizer__keepalive_interval == 7
    assert wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 11_000
    transport.close()
    eventually(lambda: not server.sessions())


# Host keys


def test_an_unknown_host_is_refused_before_any_login(site: Site) -> None:
    server = site.server(known=False)
    with pytest.raises(HostKeyError, match="is unknown") as caught:
        run(site.transport(server).runner("cp1"), "true")
    kind, blob = public(server.host_key)
    line = f"[127.0.0.1]:{server.port} {kind} {blob}"
    assert f"echo '{line}' >> {site.known_hosts}" in caught.value.hint
    assert logins(server) == 0
    assert server.log.count("Connection from") == 1
    site.know(server)
    assert run(site.transport(server).runner("cp1"), "true").ok


@pytest.mark.parametrize("policy", list(HostKeys))
def test_a_changed_key_is_refused(site: Site, policy: HostKeys) -> None:
    server = site.server()
    server.stop()
    server.new_host_key()
    server.start()
    with pytest.raises(HostKeyError, match=f"HAS CHANGED.*line 1 of {site.known_hosts}"):
        run(site.transport(server, host_keys=policy).runner("cp1"), "true")
    assert logins(server) == 0


def test_accept_new_learns_a_host_once(site: Site) -> None:
    server = site.server(known=False)
    accepting = site.transport(server, host_keys=HostKeys.ACCEPT_NEW)
    assert run(accepting.runner("cp1"), "true").ok
    assert run(site.transport(server).runner("cp1"), "true").ok
    assert len(site.known_hosts.read_text().splitlines()) == 1
    assert site.known_hosts.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_the_host_is_asked_for_the_key_that_is_known(site: Site, kind: str) -> None:
    server = site.server(known=False)  # it also has an ed25519 key, which it would prefer
    server.stop()
    known = server.new_host_key(kind)
    server.start()
    site.known_hosts.write_text(f"[127.0.0.1]:{server.port} {known}\n")
    assert run(site.transport(server).runner("cp1"), "true").ok


def test_the_users_configuration_cannot_weaken(site: Site) -> None:
    (site.home / ".ssh/config").write_text(
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
    )
    server = site.server()
    with pytest.raises(HostKeyError, match="is unknown"):
        run(site.transport(server, known_hosts=None).runner("cp1"), "true")


def test_the_users_configuration_is_honoured(site: Site) -> None:
    server = site.server(known=False)
    site.known_hosts.write_text(f"cluster {' '.join(public(server.host_key))}\n")
    other = site.home / "key"
    site.key.rename(other)
    (site.home / ".ssh/config").write_text(
        f"Host 127.*\n  Port {server.port}\n  User root\n  HostKeyAlias cluster\n"
        f"  IdentityFile {other}\n"
    )
    nothing = {"user": None, "port": None, "key": None, "known_hosts": None}
    assert run(site.transport(server, **nothing).runner("cp1"), "true").ok


# Logins


def test_a_key_that_is_refused(site: Site) -> None:
    server = site.server()
    (server.directory / "authorized_keys").write_text("")
    with pytest.raises(AuthenticationError, match=f"refuses the login.*{site.key}") as caught:
        run(site.transport(server).runner("cp1"), "true")
    assert f"-p {server.port} root@127.0.0.1 true" in caught.value.hint
    assert server.log.count("Connection from") == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda key: key.unlink(), "there is no such file"),
        (lambda key: key.write_text("nonsense"), "it is no private key that can be used"),
    ],
    ids=["missing", "nonsense"],
)
def test_a_key_that_cannot_be_used(site: Site, spoil: Callable[[Path], object], said: str) -> None:
    server = site.server()
    spoil(site.key)
    with pytest.raises(AuthenticationError, match=said):
        run(site.transport(server).runner("cp1"), "true")


@pytest.fixture
def agent(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = site.home / "agent"
    process = subprocess.Popen(
        ("ssh-agent", "-D", "-a", path), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
def test_a_key_with_a_passphrase_comes_from_the_agent(
    site: Site, eventually: Wait, form: str
) -> None:
    server = site.server()
    kind = "rsa" if form == "PEM" else "ed25519"
    site.key.unlink()
    subprocess.run(
        ("ssh-keygen", "-q", "-t", kind, "-m", form, "-N", "secret", "-f", site.key),
        check=True,
        input=b"y\n",
        stdout=subprocess.DEVNULL,
    )
    (server.directory / "authorized_keys").write_bytes(site.key.with_suffix(".pub").read_bytes())
    with pytest.raises(AuthenticationError, match="has a passphrase and the ssh agent") as caught:
        run(site.transport(server).runner("cp1"), "true")
    assert caught.value.hint.startswith(f"ssh-add {site.key}")
    askpass = site.home / "askpass"
    askpass.write_text("#!/bin/sh\necho secret\n")
    askpass.chmod(0o700)
    eventually((site.home / "agent").exists)
    subprocess.run(
        ("ssh-add", "-q", site.key),
        check=True,
        env={**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=subprocess.DEVNULL,
    )
    assert run(site.transport(server).runner("cp1"), "true").ok
    assert run(site.transport(server, key=None).runner("cp1"), "true").ok


def test_the_server_hangs_up_after_too_many_keys(site: Site) -> None:
    server = site.server("MaxAuthTries 2")
    (server.directory / "authorized_keys").write_text("")
    names = [f"k{number}" for number in range(4)]
    for name in names:
        keygen(site.home / name)
    config = "Host *\n" + "".join(f"  IdentityFile {site.home / name}\n" for name in names)
    (site.home / ".ssh/config").write_text(config)
    with pytest.raises(AuthenticationError, match="refuses the login; keys offered: "):
        run(site.transport(server, key=None).runner("cp1"), "true")


def test_root_needs_no_sudo(site: Site) -> None:
    assert run(site.transport(site.server(), sudo=False).runner("cp1"), "id").ok


# Root


SUDO = """#!/bin/sh
# Stands in for sudo: asks for the password `right` unless $FREE is set, and then refuses to set
# variables when $NOSETENV is.
ask=yes read=no
[ -z "$FREE" ] || ask=no
while :; do
    case "$1" in
    -n) [ "$ask" = no ] || { echo "sudo: a password is required" >&2; exit 1; } ;;
    -S) read=yes ;;
    -p) shift ;;
    -k) ;;
    *=*) export "$1"; set="${1%%=*}" ;;
    --) shift; break ;;
    *) exit 99 ;;
    esac
    shift
done
if [ "$ask" = yes ]; then
    [ "$read" = yes ] && IFS= read -r word
    [ "$word" = right ] || { echo "sudo: no password was provided" >&2; exit 1; }
fi
if [ -n "$NOSETENV" ] && [ -n "$set" ]; then
    echo "sudo: sorry, you are not allowed to set the following environment variables: $set" >&2
    exit 1
fi
exec "$@"
"""


@dataclass
class As:
    """A session of root that says it is another user's: the machine has none to log in as."""

    session: Session
    user: str = "ops"

    def open_channel(self) -> object:
        return self.session.open_channel()


def as_ops(site: Site, *env: str, **ssh: object) -> SshRunner:
    program = site.home / "bin/sudo"
    program.parent.mkdir()
    program.write_text(SUDO)
    program.chmod(0o755)
    path = f"PATH={program.parent}:{os.environ['PATH']}"
    server = site.server(env=(path, *env))
    runner = site.transport(server, **ssh).runner("cp1")
    return SshRunner(runner._host, As(runner._session))  # type: ignore[arg-type] # as above


def password(site: Site, text: str) -> Path:
    file = site.home / "password"
    file.write_text(text)
    return file


def test_sudo_without_a_password(site: Site) -> None:
    runner = as_ops(site, "FREE=1")
    assert run(runner, "cat", stdin=b"right\ninput").stdout == "right\ninput"


def test_sudo_wants_a_password_and_there_is_none(site: Site) -> None:
    runner = as_ops(site)
    with pytest.raises(AuthenticationError, match="sudo refuses ops: sudo: a password") as caught:
        run(runner, "true")
    assert "`sudo_password_file` under `ssh`" in caught.value.hint
    assert runner.run(Command(argv=("true",), root=False)).ok


def test_sudo_reads_the_password_and_the_command_the_rest(site: Site) -> None:
    runner = as_ops(site, sudo_password_file=password(site, "right\n"))
    content = os.urandom(4 << 20)
    output = bytearray()
    assert runner.stream(Command(argv=("cat",), stdin=content), output.extend).ok
    assert output == content
    assert "right" not in run(runner, "sh", "-c", "cat /proc/$PPID/cmdline /proc/$$/cmdline").stdout


def test_a_sudo_that_asks_for_no_password_is_not_given_it(site: Site) -> None:
    runner = as_ops(site, "FREE=1", sudo_password_file=password(site, "right\n"))
    assert run(runner, "cat", stdin=b"input").stdout == "input"


def test_a_wrong_sudo_password_is_tried_once(site: Site) -> None:
    file = password(site, "hunter3\n")
    runner = as_ops(site, sudo_password_file=file)
    with pytest.raises(
        AuthenticationError, match=f"sudo does not take the password in {file}"
    ) as c:
        run(runner, "true")
    assert "hunter3" not in f"{c.value.message}{c.value.hint}"


@pytest.mark.parametrize(
    ("free", "given"),
    [("1", False), ("1", True), ("", True)],
    ids=["free", "needless-password", "password"],
)
def test_a_sudo_that_may_not_set_the_locale(site: Site, free: str, *, given: bool) -> None:
    file = password(site, "right\n") if given else None
    runner = as_ops(site, f"FREE={free}", "NOSETENV=1", sudo_password_file=file)
    with pytest.raises(AuthenticationError, match=r"sudo refuses ops: .* LC_ALL") as c:
        run(runner, "true")
    assert c.value.hint == 'on the host allow it by visudo: `Defaults:ops env_keep += "LC_ALL"`'


def test_the_sudo_password_cannot_be_read(site: Site) -> None:
    runner = as_ops(site, sudo_password_file=site.home / "none")
    with pytest.raises(AuthenticationError, match=r"cannot be read from .*/none: No such file"):
        run(runner, "true")


def test_root_is_needed_and_sudo_is_not_wanted(site: Site) -> None:
    with pytest.raises(AuthenticationError, match="`true` needs root, but the login user is ops"):
        run(as_ops(site, sudo=False), "true")
