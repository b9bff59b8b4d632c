"""The transport against lab nodes: real sudo, and machines that fail in the ways machines do."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from kubeops.errors import AuthenticationError, CommandError, KubeopsError, UnknownOutcomeError
from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.model.desired import Host, Role, Ssh
from kubeops.model.file import File
from kubeops.transport import files
from kubeops.transport.base import Command, Result, Runner
from kubeops.transport.ssh import SshRunner, SshTransport
from kubeops.transport.ssh_config import SshConfig
from kubeops.transport.ssh_session import Patience

pytestmark = pytest.mark.lab

Login = Callable[..., SshRunner]


@pytest.fixture(scope="module")
def lab(lab_factory: Callable[..., Lab]) -> Lab:
    return lab_factory(1, 1)


@pytest.fixture
def login(lab: Lab, tmp_path: Path) -> Iterator[Login]:
    """Gives a runner on the node cp1, for a user."""
    made: list[SshTransport] = []

    def log_in(user: str, patience: Patience | None = None, /, **ssh: Any) -> SshRunner:
        host = Host(
            name="cp1",
            address=lab.node("cp1").address,
            role=Role.CONTROL_PLANE,
            ssh=Ssh(user=user, key=lab.key, known_hosts=lab.known_hosts, **ssh),
        )
        made.append(SshTransport([host], config=SshConfig((), tmp_path), patience=patience))
        return made[-1].runner("cp1")

    yield log_in
    for transport in made:
        transport.close()


def run(runner: Runner, *argv: str, timeout: float = 30, **options: Any) -> Result:
    return runner.run(Command(argv=argv, timeout=timeout, **options))


def eventually(condition: Callable[[], bool]) -> None:
    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.05), reraise=True):
        with attempt:
            assert condition()


def test_root_through_sudo_without_a_password(login: Login) -> None:
    runner = login("ops")
    assert run(runner, "id", "-un").stdout == "root\n"
    assert run(runner, "id", "-un", root=False).stdout == "ops\n"
    assert run(runner, "cat", stdin=b"in\xffput").stdout == "in\ufffdput"
    assert run(runner, "printenv", "LC_ALL").stdout == "C\n"


def test_root_through_sudo_with_a_password(lab: Lab, login: Login) -> None:
    runner = login("opspw", sudo_password_file=lab.password_file)
    content = b"0123456789abcdef" * (1 << 18)
    for _ in range(2):
        assert run(runner, "id", "-un").stdout == "root\n"
        result = run(runner, "cat", stdin=content)
        assert (result.stdout.encode(), result.stderr) == (content, "")
    secret = lab.password_file.read_text().strip()
    journal = run(runner, "journalctl", "--no-pager", "-t", "sudo", "-t", "sshd").output
    assert "COMMAND=" in journal
    assert secret not in journal


def test_the_password_stays_here_when_sudo_does_not_ask(lab: Lab, login: Login) -> None:
    runner = login("ops", sudo_password_file=lab.password_file)
    assert run(runner, "cat", stdin=b"input").stdout == "input"


def test_sudo_wants_a_password(login: Login) -> None:
    with pytest.raises(AuthenticationError, match="sudo refuses opspw: sudo: a password is req"):
        run(login("opspw"), "true")


def test_sudo_refuses_the_password(login: Login, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    with pytest.raises(AuthenticationError, match="does not take the password in") as caught:
        run(login("opspw", sudo_password_file=tmp_path / "password"), "true")
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("user", ["ops", "opspw"])
def test_the_limit_ends_what_root_started(lab: Lab, login: Login, user: str) -> None:
    file = lab.password_file if user == "opspw" else None
    runner = login(user, sudo_password_file=file)
    with pytest.raises(UnknownOutcomeError, match="was ended on the host after 1 s"):
        run(runner, "sh", "-c", "echo $$ >/run/pid; sleep 4711 & sleep 4711", timeout=1)
    pid = run(runner, "cat", "/run/pid").stdout.strip()
    eventually(lambda: not run(runner, "test", "-d", f"/proc/{pid}").ok)
    eventually(lambda: not run(runner, "pgrep", "-x", "-f", "sleep 4711").ok)


def test_a_file_of_root(login: Login) -> None:
    runner = login("ops")
    file = File(path="/etc/kubeops-test/a b", content=b"secret", mode=0o600, secret=True)
    assert files.put(runner, file)
    assert not files.put(runner, file)
    assert files.read(runner, file.path) == b"secret"
    assert run(runner, "stat", "-c", "%a %U:%G", file.path).stdout == "600 root:root\n"
    assert not run(runner, "cat", file.path, root=False).ok


def test_a_file_on_a_full_disk(lab: Lab, login: Login) -> None:
    runner = login("ops")
    file = File(path="/etc/kubeops-test/full", content=b"old")
    files.put(runner, file)
    faults.fill_disk(lab, "cp1", leave_bytes=4 << 20)
    try:
        with pytest.raises(CommandError) as caught:
            files.put(runner, File(path=file.path, content=b"new" * (4 << 20)))
    finally:
        faults.free_disk(lab, "cp1")
    assert "No space left on device" in caught.value.output
    assert files.read(runner, file.path) == b"old"
    listed = run(runner, "ls", "-A", "/etc/kubeops-test").stdout
    assert ".kubeops." not in listed


def test_through_another_node(lab: Lab, login: Login) -> None:
    runner = login("ops", jump=lab.node("w1").address)
    came = run(runner, "printenv", "SSH_CONNECTION", root=False).stdout.split()
    assert came[0] == lab.node("w1").address


def test_a_node_whose_network_is_cut_under_a_command(lab: Lab, login: Login) -> None:
    runner = login("ops", Patience(keepalive=1, lost=2, connect=1, banner=1, attempts=1))
    errors: list[KubeopsError] = []

    def work() -> None:
        try:
            run(runner, "sh", "-c", "echo x >>/run/started; sleep 300", timeout=600)
        except KubeopsError as error:
            errors.append(error)

    other = login("ops")
    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: run(other, "test", "-s", "/run/started").ok)
    faults.cut(lab, "cp1")
    try:
        thread.join(60)
        assert [type(error) for error in errors] == [UnknownOutcomeError]
    finally:
        faults.mend(lab, "cp1")
    eventually(lambda: _answers(runner))
    assert run(runner, "cat", "/run/started").stdout == "x\n"


def test_a_node_that_hangs_is_not_waited_for(
    lab: Lab, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = login("ops", Patience(channel=1))
    monkeypatch.setattr("kubeops.transport.ssh_channel._GRACE", 1)
    assert run(runner, "true").ok
    faults.freeze(lab, "cp1")
    try:
        with pytest.raises(KubeopsError) as caught:
            run(runner, "true", timeout=1)
    finally:
        faults.thaw(lab, "cp1")
    assert caught.value.host == "cp1"  # type: ignore[attr-defined] # of both errors it can be
    eventually(lambda: _answers(runner))


def _answers(runner: Runner) -> bool:
    try:
        return run(runner, "true").ok
    except KubeopsError:
        return False
