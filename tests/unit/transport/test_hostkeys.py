import base64
import subprocess
from pathlib import Path

import pytest

from kubeops.errors import HostKeyError
from kubeops.transport.hostkeys import Key, KnownHosts, known_name, read, record
from kubeops.transport.pool import each

A = Key("ssh-ed25519", b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + b"A" * 32)
B = Key("ssh-ed25519", b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + b"B" * 32)
R = Key("ssh-rsa", b"\x00\x00\x00\x07ssh-rsa" + b"R" * 64)


def known(tmp_path: Path, *lines: str, accept_new: bool = False) -> KnownHosts:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{line}\n" for line in lines))
    return KnownHosts(files=(file, tmp_path / "absent"), accept_new=accept_new)


def check(hosts: KnownHosts, key: Key, name: str = "10.0.0.11") -> None:
    hosts.check(key, host="cp1", name=name)


@pytest.mark.parametrize(
    ("address", "port", "alias", "name"),
    [
        ("CP1.example", 22, None, "cp1.example"),
        ("10.0.0.11", 2222, None, "[10.0.0.11]:2222"),
        ("fd00::1", 2222, None, "[fd00::1]:2222"),
        ("10.0.0.11", 2222, "Node1", "node1"),
    ],
)
def test_name_in_the_file(address: str, port: int, alias: str | None, name: str) -> None:
    assert known_name(address, port, alias) == name


@pytest.mark.parametrize(
    ("patterns", "name"),
    [
        ("10.0.0.11", "10.0.0.11"),
        ("cp1,10.0.0.11", "10.0.0.11"),
        ("CP1.Example", "cp1.example"),
        ("*.example,!bad.example", "cp1.example"),
        ("10.0.0.1?", "10.0.0.11"),
        ("[10.0.0.11]:2222", "[10.0.0.11]:2222"),
        ("10.0.0.11", "[10.0.0.11]:2222"),  # as OpenSSH: known by its bare name
    ],
)
def test_finds_the_line(tmp_path: Path, patterns: str, name: str) -> None:
    check(known(tmp_path, "# comment", "", f"{patterns} {A.text} a comment"), A, name)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"10.0.0.12 {A.text}", "10.0.0.11"),
        (f"[10.0.0.11]:2222 {A.text}", "10.0.0.11"),
        (f"*.example,!bad.example {A.text}", "bad.example"),
        (f"@cert-authority * {A.text}", "10.0.0.11"),
        ("10.0.0.11 ssh-ed25519 not-base64", "10.0.0.11"),
        ("10.0.0.11", "10.0.0.11"),
        (f"1[0].0.0.11 {A.text}", "10.0.0.11"),
        (f"|1|no|hash {A.text}", "10.0.0.11"),
    ],
)
def test_other_lines_are_not_about_the_host(tmp_path: Path, line: str, name: str) -> None:
    with pytest.raises(HostKeyError, match="is unknown"):
        check(known(tmp_path, line), A, name)


def test_finds_hashed_names_as_ssh_keygen_writes_them(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"10.0.0.11 {A.text}", f"[10.0.0.11]:2222 {B.text}")
    subprocess.run(("ssh-keygen", "-q", "-H", "-f", hosts.files[0]), check=True)
    assert "10.0.0.11" not in hosts.files[0].read_text()
    check(hosts, A)
    check(hosts, B, "[10.0.0.11]:2222")
    with pytest.raises(HostKeyError, match="HAS CHANGED"):
        check(hosts, B)


def test_fingerprint_is_the_one_ssh_keygen_prints(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(A.text + "\n")
    printed = subprocess.run(
        ("ssh-keygen", "-lf", tmp_path / "k"), capture_output=True, text=True, check=True
    ).stdout
    assert A.fingerprint == printed.split()[1]


def test_unknown_says_what_to_compare_and_what_to_type(tmp_path: Path) -> None:
    hosts = known(tmp_path)
    with pytest.raises(HostKeyError) as caught:
        check(hosts, A, "[10.0.0.11]:2222")
    assert caught.value.host == "cp1"
    assert caught.value.message == (
        f"cp1: the host key of [10.0.0.11]:2222 (ssh-ed25519, {A.fingerprint}) is unknown: "
        f"it is not in {hosts.files[0]}, {hosts.files[1]}"
    )
    assert caught.value.hint.startswith(
        "on the host's console, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` must print "
    )
    typed = caught.value.hint.partition("if it does: ")[2]
    subprocess.run(("sh", "-c", typed), check=True)
    check(hosts, A, "[10.0.0.11]:2222")


def test_changed_names_the_line_and_how_to_forget_it(tmp_path: Path) -> None:
    hosts = known(tmp_path, "# first", f"10.0.0.11 {A.text}", accept_new=True)
    with pytest.raises(HostKeyError) as caught:
        check(hosts, B)
    assert f"line 2 of {hosts.files[0]} says (ssh-ed25519, {A.fingerprint})" in caught.value.message
    typed = caught.value.hint.partition("only if it does: ")[2]
    subprocess.run(("sh", "-c", typed), check=True, capture_output=True)
    assert list(read(hosts.files)) == []


def test_another_kind_of_key_is_a_change(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"10.0.0.11 {A.text}", accept_new=True)
    with pytest.raises(HostKeyError, match="HAS CHANGED"):
        check(hosts, R)


def test_one_of_several_keys_is_enough(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"10.0.0.11 {A.text}", f"10.0.0.11 {R.text}", f"10.0.0.11 {B.text}")
    check(hosts, B)
    assert hosts.kinds(host="cp1", name="10.0.0.11") == ("ssh-ed25519", "ssh-rsa")


def test_lines_are_found_in_their_order(tmp_path: Path) -> None:
    plain, wild = f"cp1.example {A.text}", f"*.example {R.text}"
    for number, lines in enumerate(((plain, wild), (wild, plain))):
        (tmp_path / str(number)).mkdir()
        hosts = known(tmp_path / str(number), *lines)
        kinds = tuple(line.split()[1] for line in lines)
        assert hosts.kinds(host="cp1", name="cp1.example") == kinds


def test_a_line_that_names_a_host_twice_is_found_once(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"a,A,b,a {A.text}")
    assert [entry.line for entry in hosts._about("a", "cp1")] == [1]


def test_revoked_wins(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"10.0.0.11 {A.text}", f"@revoked * {A.text}", accept_new=True)
    with pytest.raises(HostKeyError, match="revoked by line 2"):
        check(hosts, A)


def test_accept_new_writes_it_for_its_owner_only(tmp_path: Path) -> None:
    hosts = known(tmp_path, f"other {B.text}", accept_new=True)
    hosts.files[0].chmod(0o644)
    check(hosts, A)
    check(hosts, A)
    assert hosts.files[0].read_text() == f"other {B.text}\n10.0.0.11 {A.text}\n"
    assert hosts.files[0].stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["known_hosts"]
    check(KnownHosts(files=hosts.files), A)


def test_accept_new_makes_the_file_and_mends_its_last_line(tmp_path: Path) -> None:
    file = tmp_path / ".ssh/known_hosts"
    record(A, name="a", file=file, host="cp1")
    file.write_text(file.read_text().rstrip())
    record(B, name="b", file=file, host="cp1")
    assert [entry.patterns for entry in read([file])] == [("a",), ("b",)]


def test_accept_new_follows_a_link_and_spares_devices(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    record(A, name="a", file=tmp_path / "link", host="cp1")
    assert (tmp_path / "real").exists()
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(HostKeyError, match="/dev/null is no regular file"):
        record(A, name="a", file=Path("/dev/null"), host="cp1")
    assert Path("/dev/null").is_char_device()


def test_two_runs_record_at_once(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    keys = [Key("ssh-ed25519", bytes([n]) * 32) for n in range(24)]
    outcomes = each(
        keys, lambda key: record(key, name=f"h{key.blob[0]}", file=file, host="h"), at_once=8
    )
    assert all(outcome.ok for outcome in outcomes)
    assert {entry.key for entry in read([file])} == set(keys)


def test_text_is_what_the_file_holds() -> None:
    assert A.text == f"ssh-ed25519 {base64.b64encode(A.blob).decode()}"


def test_a_file_that_cannot_be_read_is_no_empty_file(tmp_path: Path) -> None:
    with pytest.raises(HostKeyError, match=f"cp1: its .* cannot be checked: {tmp_path}: Is a dir"):
        check(KnownHosts(files=(tmp_path,), accept_new=True), A)
