import getpass
from pathlib import Path

import pytest

from kubeops.errors import TransportError
from kubeops.model.desired import Host, HostKeys, Role, Ssh
from kubeops.transport.ssh_config import SshConfig, Target


def resolve(tmp_path: Path, text: str, ssh: Ssh | None = None, address: str = "cp1") -> Target:
    (tmp_path / ".ssh").mkdir(exist_ok=True)
    file = tmp_path / ".ssh/config"
    file.write_text(text)
    host = Host(name="cp1", address=address, role=Role.WORKER, ssh=ssh or Ssh())
    return SshConfig((file, tmp_path / "absent"), tmp_path).target(host)


def test_defaults(tmp_path: Path) -> None:
    target = resolve(tmp_path, "", address="10.0.0.11")
    assert (target.address, target.port, target.user) == ("10.0.0.11", 22, getpass.getuser())
    assert (target.key, target.identities, target.jump) == (None, (), None)
    assert target.known_hosts.files == (
        tmp_path / ".ssh/known_hosts",
        Path("/etc/ssh/ssh_known_hosts"),
    )
    assert not target.known_hosts.accept_new


CONFIG = """
Host cp*
    HostName 10.0.0.11
    User ubuntu
    Port 2222
    IdentityFile ~/.ssh/a
    IdentityFile /keys/b
    IdentitiesOnly yes
    HostKeyAlias Node-1
    ConnectTimeout 3
    UserKnownHostsFile ~/.ssh/k1 /etc/k2
    StrictHostKeyChecking no
"""


def test_honours_the_users_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    target = resolve(tmp_path, CONFIG)
    assert str(target) == "ubuntu@10.0.0.11:2222"
    assert target.identities == (tmp_path / ".ssh/a", Path("/keys/b"))
    assert target.identities_only
    assert target.known_as == "node-1"
    assert target.connect_timeout == 3
    assert target.known_hosts.files[:2] == (tmp_path / ".ssh/k1", Path("/etc/k2"))
    assert not target.known_hosts.accept_new  # StrictHostKeyChecking cannot weaken


def test_the_inventory_wins(tmp_path: Path) -> None:
    ssh = Ssh(
        user="ops",
        port=22,
        key=Path("/k"),
        known_hosts=Path("/known"),
        host_keys=HostKeys.ACCEPT_NEW,
    )
    target = resolve(tmp_path, CONFIG.replace("    HostKeyAlias Node-1\n", ""), ssh)
    assert str(target) == "ops@10.0.0.11:22"
    assert target.key == Path("/k")
    assert target.known_as == "10.0.0.11"
    assert target.known_hosts.files == (Path("/known"),)
    assert target.known_hosts.accept_new


def chain(target: Target | None) -> list[str]:
    found = []
    while target is not None:
        found.append(str(target))
        target = target.jump
    return found


@pytest.mark.parametrize(
    ("jump", "hops"),
    [
        ("bastion", ["ops@bastion:22"]),
        ("me@bastion:2200", ["me@bastion:2200"]),
        ("ssh://me@bastion:2200", ["me@bastion:2200"]),
        ("me@[fd00::1]:2200", ["me@[fd00::1]:2200"]),
        ("a@one,b@two:3", ["b@two:3", "a@one:22"]),
        ("none", []),
    ],
)
def test_jump_hosts_nearest_to_the_target_first(tmp_path: Path, jump: str, hops: list[str]) -> None:
    ssh = Ssh(user="ops", jump=jump, host_keys=HostKeys.ACCEPT_NEW)
    target = (
        resolve(tmp_path, "Host *\n  ProxyJump other\n", ssh)
        if jump == "none"
        else resolve(tmp_path, "", ssh)
    )
    assert chain(target.jump) == hops
    assert target.jump is None or target.jump.known_hosts.accept_new


def test_no_jump_host_is_no_proxy_command_either(tmp_path: Path) -> None:
    text = "Host *\n  ProxyCommand nc %h %p\n"
    assert resolve(tmp_path, text, Ssh(jump="none")).jump is None


def test_a_jump_host_has_a_configuration_of_its_own(tmp_path: Path) -> None:
    text = """
    Host *
        ProxyJump gate
    Host gate
        HostName 192.0.2.1
        User jumper
        Port 2022
    """
    target = resolve(tmp_path, text, Ssh(user="ops"))
    assert chain(target) == ["ops@cp1:22", "jumper@192.0.2.1:2022"]
    assert target.try_it == "ssh -J jumper@192.0.2.1:2022 -p 22 ops@cp1 true"
    assert chain(resolve(tmp_path, text, address="gate")) == ["jumper@192.0.2.1:2022"]


def test_two_hosts_share_one_jump_host(tmp_path: Path) -> None:
    ssh = Ssh(user="ops", jump="a,b")
    one = resolve(tmp_path, "", ssh, address="10.0.0.1").jump
    assert one == resolve(tmp_path, "", ssh, address="10.0.0.2").jump


def test_include_stands_for_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / ".ssh/conf.d").mkdir(parents=True)
    (tmp_path / ".ssh/conf.d/a").write_text("Host other\n  User wrong\nHost cp1\n  Port 1\n")
    (tmp_path / ".ssh/conf.d/b").write_text("User included\n")
    target = resolve(
        tmp_path, "Include conf.d/a\nPort 2\nHost cp1\n  Include ~/.ssh/conf.d/b\n  User late\n"
    )
    assert (target.user, target.port) == ("included", 1)
    other = resolve(tmp_path, "Include conf.d/a\nPort 2\n", address="elsewhere")
    assert other.port == 2


@pytest.mark.parametrize(
    ("text", "jump", "said"),
    [
        ("Host *\n  ProxyCommand nc %h %p\n", None, "ProxyCommand for cp1 is not supported"),
        ("Host *\n  Port many\n", None, "invalid literal"),
        ("Host\n", None, "Unparsable line"),
        ("", "a b:c", "jump host `a b:c` is not"),
    ],
)
def test_says_what_it_cannot_use(tmp_path: Path, text: str, jump: str | None, said: str) -> None:
    with pytest.raises(TransportError, match=said) as caught:
        resolve(tmp_path, text, Ssh(jump=jump))
    assert caught.value.hint == "`ssh -G cp1` shows what ssh makes of it"
