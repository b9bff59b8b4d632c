"""What makes a node this node: files over the shared root, written before its first boot.

What the node changes later lies in its own layer above, so that a seed is never written twice.
"""

import os
import secrets
from pathlib import Path

from kubeops.lab import base, baseroot, shell
from kubeops.lab.model import Lab, Node, Source

RUNTIME_PATH = "runtime/deb"


def make_keys(lab: Lab) -> None:
    """Make the key that logs in to the nodes and the password of `opspw`, if they are not there."""
    if not lab.key.exists():
        _generate_key(lab.key, comment=f"lab {lab.name}")
    if not lab.password_file.exists():
        _write(lab.password_file, secrets.token_urlsafe(12) + "\n", mode=0o600)


def write(lab: Lab, node: Node) -> None:
    """Write the seed of `node`, if it has none. Needs the lab's keys."""
    directory = lab.node_directory(node.name)
    final = directory / "seed"
    if final.exists():
        return
    partial = directory / "seed.part"
    shell.run("rm", "-rf", str(partial))
    _fill(partial, lab=lab, node=node)
    partial.rename(final)


def write_known_hosts(lab: Lab) -> None:
    """Write the host keys of all nodes that have a seed."""
    lines = [
        f"{node.address} {' '.join(host_key(lab, node).split()[:2])}\n"
        for node in lab.nodes
        if (lab.node_directory(node.name) / "seed").exists()
    ]
    _write(lab.known_hosts, "".join(lines), mode=0o600)


def host_key(lab: Lab, node: Node) -> str:
    """The public host key of `node`."""
    seed = lab.node_directory(node.name) / "seed"
    return (seed / "etc/ssh/ssh_host_ed25519_key.pub").read_text()


def _fill(root: Path, *, lab: Lab, node: Node) -> None:
    public = lab.key.with_suffix(".pub").read_text()
    (root / "etc/ssh").mkdir(parents=True)
    _generate_key(root / "etc/ssh/ssh_host_ed25519_key", comment=node.name)
    _write(root / "etc/hostname", f"{node.name}\n")
    _write(root / "etc/hosts", f"127.0.0.1 localhost\n{node.address} {node.name}\n")
    _write(root / "etc/machine-id", f"{secrets.token_hex(16)}\n", mode=0o444)
    _write(root / "etc/resolv.conf", _resolvers(lab))
    _write_shadow(root, lab=lab)
    _write_sources(root, lab=lab)
    for name, _number in baseroot.USERS:
        _write(root / f"home/{name}/.ssh/authorized_keys", public, mode=0o600)
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
        directory.chmod(0o755)  # whatever the caller's umask: the node sees these modes
    for name, number in baseroot.USERS:
        for path in ("", ".ssh", ".ssh/authorized_keys"):
            os.chown(root / f"home/{name}" / path, number, number)
        for path in ("", ".ssh"):
            (root / f"home/{name}" / path).chmod(0o700)


def _write_shadow(root: Path, *, lab: Lab) -> None:
    """Give `opspw` its password; everybody else keeps what the base says."""
    hashed = shell.run(
        *("chroot", str(lab.base), "openssl", "passwd", "-6", "-stdin"),
        stdin=lab.password_file.read_bytes(),
    ).stdout.strip()
    original = lab.base / "etc/shadow"
    lines = [
        f"opspw:{hashed}:{line.split(':', 2)[2]}" if line.startswith("opspw:") else line
        for line in original.read_text().splitlines(keepends=True)
    ]
    _write(root / "etc/shadow", "".join(lines), mode=0o640)
    os.chown(root / "etc/shadow", 0, original.stat().st_gid)


def _write_sources(root: Path, *, lab: Lab) -> None:
    """The archives the node starts with: this machine's, or the container runtime's stand-in."""
    if lab.source is Source.REAL:
        _write(root / "etc/apt/sources.list.d/debian.list", f"{base.source_line()}\n")
        return
    key = lab.repository / RUNTIME_PATH / "Release.key"
    _write(root / "etc/apt/keyrings/lab-runtime.asc", key.read_text())
    _write(
        root / "etc/apt/sources.list.d/lab-runtime.sources",
        f"Types: deb\nURIs: http://{lab.gateway}/{RUNTIME_PATH}/\nSuites: /\n"
        "Signed-By: /etc/apt/keyrings/lab-runtime.asc\n",
    )


def _resolvers(lab: Lab) -> str:
    """This machine's name servers where nodes can reach them; else one that refuses at once."""
    if lab.source is Source.REAL:
        return Path("/etc/resolv.conf").read_text()
    return f"nameserver {lab.gateway}\n"


def _generate_key(path: Path, *, comment: str) -> None:
    shell.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)
