"""The signed apt repository of the stand-ins, laid out as pkgs.k8s.io is.

    core:/stable:/v1.35/deb/    Packages, Packages.gz, Release, InRelease, Release.gpg, Release.key,
    *.deb runtime/deb/                likewise, with containerd

Built in a folder beside the final one and renamed, so that whoever reads it sees a whole one; built
again only when the stand-ins' code or the list of packages has changed. The signing key is made
once per machine.
"""

import fcntl
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kubeops.errors import UsageError
from kubeops.lab.rehearsal import compiled as compiling
from kubeops.lab.rehearsal import packages
from kubeops.lab.rehearsal.compiled import PYTHON, bytecode, compiled
from kubeops.lab.rehearsal.packages import Package
from kubeops.transport.base import Command
from kubeops.transport.local import LocalRunner

SIGNING = Path("/var/lib/kubeops/lab-signing")
SIGNER = "kubeops rehearsal repository"
TOOLS = {"dpkg-deb": "dpkg", "apt-ftparchive": "apt-utils", "gpg": "gnupg"}
STAMP = "kubeops-rehearsal.sha256"
EPOCH = 1_767_225_600  # 2026-01-01: the same sources give the same packages
SECONDS = 120.0


def build(
    directory: Path,
    *,
    progress: Callable[[str], None],
    signing: Path = SIGNING,
    python: tuple[str, ...] = PYTHON,
) -> None:
    """Make the repository in `directory`, unless the one there is current.

    Args:
        directory: replaced as a whole; its parent must be writable.
        progress: gets one line when something is built.
        signing: where this machine's signing key is kept; made when it is not there.
        python: the argv of the nodes' interpreter, for which the stand-ins are compiled.

    Raises:
        UsageError: a tool that is needed is not installed.
        CommandError: one of them failed.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    _require_tools()
    with _lock(directory.with_name(f".{directory.name}.lock")), _no_agent_left(signing):
        digest = code_digest()
        stamp = directory / STAMP
        key = _key(signing)
        wanted = f"{digest} {hashlib.sha256(key.encode()).hexdigest()} {bytecode(python)}"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        progress("building the rehearsal's package repository")
        with TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as scratch:
            made = Path(scratch) / "made"
            code = compiled(packages.CODE, python=python)
            _suites(made, code=code, key=key, signing=signing)
            (made / STAMP).write_text(wanted)
            made.chmod(0o755)
            _swap(made, directory, scratch=Path(scratch))


def code_digest() -> str:
    """Return the hash of everything the packages are made of."""
    whole = hashlib.sha256()
    ours = [Path(module) for module in (packages.__file__, compiling.__file__, __file__)]
    sources = [*sorted(packages.CODE.rglob("*")), *ours]
    for path in sources:
        if path.is_file() and "__pycache__" not in path.parts:
            whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _suites(made: Path, *, code: Mapping[str, bytes], key: str, signing: Path) -> None:
    suites = {
        made / f"core:/stable:/v{series}/deb": packages.of_minor(series)
        for series in packages.releases()
    }
    suites[made / "runtime/deb"] = packages.runtimes()
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [
            pool.submit(pack, package, folder, code=code, scratch=Path(scratch))
            for folder, wanted in suites.items()
            for package in wanted
        ]
        for job in jobs:
            job.result()
    for folder in suites:
        index(folder, key=key, signing=signing)


def pack(package: Package, folder: Path, *, code: Mapping[str, bytes], scratch: Path) -> Path:
    """Make one .deb in `folder`, below its architecture's name as in the real repository.

    `code` is what the stand-ins compile to.
    """
    root = scratch / f"{folder.parent.name}-{package.name}-{package.version}"
    for path, (content, mode) in package.files.items():
        _write(root / path.lstrip("/"), content, mode)
    if package.code:
        library = root / f"{packages.LIBRARY}/{package.name}/rehearsal".lstrip("/")
        _copy_code(library)
        _write_compiled(code, library / "__pycache__")
    _write(root / "DEBIAN/control", package.control, 0o644)
    if package.conffiles:
        _write(root / "DEBIAN/conffiles", "\n".join(package.conffiles) + "\n", 0o644)
    for name, text in package.scripts.items():
        _write(root / "DEBIAN" / name, text, 0o755)
    for item in (root, *root.rglob("*")):
        if item.is_dir():
            item.chmod(0o755)
        os.utime(item, (EPOCH, EPOCH))
    target = folder / "amd64" / f"{package.name}_{package.version}_amd64.deb"
    target.parent.mkdir(parents=True, exist_ok=True)
    _tool("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(target))
    shutil.rmtree(root)
    return target


def index(folder: Path, *, key: str, signing: Path) -> None:
    """Write the indexes of one flat repository and sign them."""
    listing = _in(folder, "apt-ftparchive", "packages", ".").replace("Filename: ./", "Filename: ")
    (folder / "Packages").write_text(listing)
    (folder / "Packages.gz").write_bytes(gzip.compress(listing.encode(), mtime=0))
    options = tuple(
        part
        for name, value in (("Origin", "kubeops"), ("Label", "rehearsal"), ("Suite", "deb"))
        for part in ("-o", f"APT::FTPArchive::Release::{name}={value}")
    )
    release = _in(folder, "apt-ftparchive", *options, "release", ".")
    (folder / "Release").write_text(release)
    (folder / "Release.key").write_text(key)
    gpg = ("gpg", "--homedir", str(signing), "--batch", "--yes", "--digest-algo", "SHA256")
    _tool(*gpg, "--clearsign", "-o", str(folder / "InRelease"), str(folder / "Release"))
    _tool(*gpg, "-abs", "-o", str(folder / "Release.gpg"), str(folder / "Release"))


def _in(folder: Path, *argv: str) -> str:
    return _tool("env", "--chdir", str(folder), *argv)


def _key(signing: Path) -> str:
    """Return the armoured public key, making the pair the first time."""
    signing.mkdir(mode=0o700, parents=True, exist_ok=True)
    gpg = ("gpg", "--homedir", str(signing), "--batch", "--quiet")
    with _lock(signing / "lock"):
        if not _tool(*gpg, "--list-secret-keys", "--with-colons"):
            _tool(
                *gpg,
                "--passphrase",
                "",
                "--pinentry-mode",
                "loopback",
                "--quick-generate-key",
                SIGNER,
                "rsa2048",
                "sign",
                "never",
            )
        return _tool(*gpg, "--armor", "--export", SIGNER)


@contextmanager
def _no_agent_left(signing: Path) -> Iterator[None]:
    """End the agent that gpg starts for a key, which would stay for ever."""
    try:
        yield
    finally:
        _tool("gpgconf", "--homedir", str(signing), "--kill", "gpg-agent")


def _copy_code(target: Path) -> None:
    for path in sorted(packages.CODE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            goal = target / path.relative_to(packages.CODE)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, goal)
            goal.chmod(0o644)


def _write_compiled(code: Mapping[str, bytes], target: Path) -> None:
    for name, content in code.items():
        goal = target / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_bytes(content)
        goal.chmod(0o644)


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def _swap(made: Path, directory: Path, *, scratch: Path) -> None:
    if directory.exists():
        directory.rename(scratch / "old")
    made.rename(directory)


def _require_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise UsageError(
            f"the rehearsal's packages cannot be built: {', '.join(missing)} not installed",
            hint=f"apt-get install {' '.join(missing)}",
        )


def _tool(*argv: str) -> str:
    return LocalRunner().run(Command(argv=argv, timeout=SECONDS)).must().stdout


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
