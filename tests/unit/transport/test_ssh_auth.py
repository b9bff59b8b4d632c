import base64
import subprocess
from pathlib import Path

from kubeops.model.desired import Host, Role, Ssh
from kubeops.transport.ssh_auth import KeyLogin
from kubeops.transport.ssh_config import SshConfig


def keygen(*arguments: str | Path) -> None:
    subprocess.run(("ssh-keygen", "-q", *arguments), check=True)


def certify(key: Path, identity: str) -> bytes:
    """Write the certificate beside `key`; return what a host is shown of it."""
    keygen("-s", key.with_name("ca"), "-I", identity, f"{key}.pub")
    return base64.b64decode(key.with_name(f"{key.name}-cert.pub").read_text().split()[1])


def test_a_new_certificate_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for name in ("key", "ca"):
        keygen("-t", "ed25519", "-N", "", "-f", tmp_path / name)
    host = Host(name="cp1", address="cp1", role=Role.WORKER, ssh=Ssh(key=file))
    login = KeyLogin("cp1", SshConfig((), tmp_path).target(host))

    (bare,) = login._keys(())
    assert bare[1].public_blob is None
    for identity in ("ops", "ops, renewed"):
        certificate = certify(file, identity)
        (certified,) = login._keys(())
        assert certified[1].public_blob.key_blob == certificate
        assert list(login._keys(())) == [certified]
