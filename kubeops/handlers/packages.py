"""Debian packages: prerequisites, the package source of a minor release, exact pins and holds.

Known traps: a held package makes `apt-get install` fail, `--allow-change-held-packages` drops the
hold without a word (so it is set again, every time), and a version that the source lacks ends with
status 100. An apt-get that is killed with its connection may go on for a while, and only apt-get
install knows how to wait for it: dpkg and apt-get update give up at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import CommandError
from kubeops.facts.parse_packages import parse_packages
from kubeops.handlers.observe import always_due, host_facts
from kubeops.handlers.tools import APT_LOCK_WAIT, apt_get, dpkg_configure, shell
from kubeops.model.event import REHEARSAL
from kubeops.model.observed import Package
from kubeops.plan.actions import (
    AddPackageSource,
    FetchPackages,
    HoldPackages,
    InstallPackages,
    InstallPrerequisites,
    UpgradeKubeadm,
)
from kubeops.plan.hosts import (
    HELD_PACKAGES,
    KEYRING,
    PINNED_PACKAGES,
    SOURCE_LIST,
    satisfied,
    source_file,
)
from kubeops.transport.base import Command
from kubeops.transport.files import put

_FETCH_KEY = """
mkdir -p "$(dirname "$2")"
curl --fail --silent --show-error --location --retry 2 --max-time 60 \\
  --output "$2.part" "$1Release.key"
grep -q 'BEGIN PGP PUBLIC KEY BLOCK' "$2.part"
chmod 0644 "$2.part"
mv "$2.part" "$2"
"""

_CACHED = """
version=$1
shift
for name; do
  ls /var/cache/apt/archives/"$name"_"$version"-*.deb >/dev/null 2>&1 ||
    dpkg-query -W -f '${db:Status-Status} ${Version}\\n' "$name" 2>/dev/null |
    grep -q "^installed $version-" || exit 44
done
"""
_HOLD = """
for name; do
  if dpkg-query -W "$name" >/dev/null 2>&1; then echo "$name"; fi
done | xargs -r apt-mark hold
"""
_MISSING = 44
_COLUMNS = r"${Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\n"
_UNKNOWN_PACKAGE = 1
_STAND_INS = "kubeops rehearsal"
"""Who maintains the packages of the lab's stand-ins, by their own word."""
_EXACTLY = ("--allow-change-held-packages", "--allow-downgrades", "--no-install-recommends")

_LOCKED = (
    "Could not get lock",
    "Unable to acquire the dpkg frontend lock",
    "frontend lock was locked",
)
"""What apt-get and dpkg say, in every release, when another one is at work."""
_OUTDATED = ("Hash Sum mismatch", "404", "was not found", "Unable to locate package")
"""What apt-get says when the source is another than the one it read, maybe days ago."""


def run_apt(command: Command, context: StepContext, *, hint: str = "") -> None:
    """Run an apt or dpkg command on the step's host; while another one is at work, wait for it.

    Raises:
        CommandError: it failed, not for want of the lock.
        GateError: another one is still at work after five minutes.
        InterruptedRunError: the run was interrupted meanwhile.
    """
    result = context.runner.run(command)
    if not result.ok and any(words in result.output for words in _LOCKED):
        wait_until(
            Gate(
                name="another apt or dpkg",
                look=lambda: _apt_at_work(context),
                timeout=APT_LOCK_WAIT,
                successes=1,
            ),
            clock=context.clock,
            progress=context.progress,
        )
        result = context.runner.run(command)
    result.must(hint=hint)


def install(*arguments: str, context: StepContext, hint: str = "") -> None:
    """Have apt-get install on the step's host, where a dpkg may have been interrupted before.

    Raises: as `run_apt`.
    """
    run_apt(dpkg_configure(), context)
    run_apt(apt_get("install", *arguments), context, hint=hint)


def _apt_at_work(context: StepContext) -> Reading:
    busy = host_facts(context).apt_locked
    return Reading(ok=not busy, text="it is still at work" if busy else "it has ended")


def _install_prerequisites(action: InstallPrerequisites, context: StepContext) -> None:
    context.progress("apt-get update")
    run_apt(apt_get("update"), context)
    context.progress("apt-get install")
    install("--no-install-recommends", *action.packages, context=context)


def _check_prerequisites(action: InstallPrerequisites, context: StepContext) -> Check:
    return DONE if set(action.packages) <= set(installed(action.packages, context)) else NEEDED


def _check_packages(action: InstallPackages, context: StepContext) -> Check:
    found = installed(HELD_PACKAGES, context)
    held = all(name in found and found[name].held for name in HELD_PACKAGES)
    return DONE if held and _are_at(action.version, PINNED_PACKAGES, found) else NEEDED


def _add_package_source(action: AddPackageSource, context: StepContext) -> None:
    context.progress("fetching the key")
    context.run(
        shell(_FETCH_KEY, action.url, KEYRING, timeout=200),
        hint=f"From the host: curl -v {action.url}Release.key",
    )
    source = source_file(action)
    # Into its place when apt has read it, and not before: there it says that this step is done.
    unread = replace(source, path="/etc/apt/kubernetes.list.unread")
    put(context.runner, unread)
    context.progress("reading the package source")
    _read_source(unread.path, context, hint=f"From the host: curl -v {action.url}InRelease")
    context.run(Command(argv=("mv", unread.path, source.path)))


def _read_source(path: str, context: StepContext, *, hint: str = "") -> None:
    """Have apt read the package source described in the file `path`, and no other."""
    run_apt(
        apt_get(
            "update",
            "-o",
            "APT::Update::Error-Mode=any",
            "-o",
            f"Dir::Etc::sourcelist={path}",
            "-o",
            "Dir::Etc::sourceparts=-",
            "-o",
            "APT::Get::List-Cleanup=0",
        ),
        context,
        hint=hint,
    )


def _install_packages(action: InstallPackages, context: StepContext) -> None:
    install_exactly(action.version, *PINNED_PACKAGES, besides=("cri-tools",), context=context)
    asked = Command(argv=("dpkg-query", "-W", "-f", "${Maintainer}", "kubeadm"), root=False)
    if context.run(asked).stdout.startswith(_STAND_INS):
        context.remember(REHEARSAL, action.version)


def install_exactly(
    version: str, *names: str, besides: tuple[str, ...] = (), context: StepContext
) -> None:
    """Install packages at `version`, older or newer than the present one, and hold all of them.

    `besides` are installed as well, at whatever version the source offers. apt drops the hold of
    what it changes, so every Kubernetes package that is there is held again. A source that has
    changed since apt read it is read again, once.
    """
    context.progress(f"apt-get install {' '.join(names)} {version}")
    wanted = (*_EXACTLY, *(f"{name}={version}-*" for name in names), *besides)
    hint = "What the source offers, on the host: apt-cache madison kubeadm"
    try:
        install(*wanted, context=context, hint=hint)
    except CommandError as error:
        if not any(words in error.output for words in _OUTDATED):
            raise
        context.progress("reading the package source, which has changed since it was read")
        _read_source(SOURCE_LIST, context, hint=hint)
        install(*wanted, context=context, hint=hint)
    hold(HELD_PACKAGES, context)


def hold(names: tuple[str, ...], context: StepContext) -> None:
    """Hold those of `names` that are installed."""
    context.run(shell(_HOLD, *names, shows=("apt-mark", "hold", *names)))


def at_version(version: str, *names: str, context: StepContext) -> bool:
    """Whether packages are wholly installed at `version`, and held."""
    return _are_at(version, names, installed(names, context))


def _are_at(version: str, names: Iterable[str], found: Mapping[str, Package]) -> bool:
    return all(
        name in found and found[name].held and found[name].version.split("-", 1)[0] == version
        for name in names
    )


def installed(names: Iterable[str], context: StepContext) -> Mapping[str, Package]:
    """Return those of `names` that are wholly installed on the step's host."""
    asked = context.run(
        Command(argv=("dpkg-query", "-W", "-f", _COLUMNS, *names), root=False), _UNKNOWN_PACKAGE
    )
    return parse_packages(asked.stdout)


def _check_fetched(action: FetchPackages, context: StepContext) -> Check:
    source = AddPackageSource(url=action.url, minor=action.minor)
    if not satisfied(source, host_facts(context)):
        return NEEDED
    cached = context.run(shell(_CACHED, action.version, *PINNED_PACKAGES), _MISSING)
    return DONE if cached.ok else NEEDED


def _fetch(action: FetchPackages, context: StepContext) -> None:
    source = AddPackageSource(url=action.url, minor=action.minor)
    _add_package_source(source, context)
    context.progress(f"downloading {action.version}")
    install(
        "--download-only",
        *_EXACTLY,
        *(f"{name}={action.version}-*" for name in PINNED_PACKAGES),
        context=context,
        hint=f"What the source offers: curl {action.url}Packages",
    )


def _check_kubeadm(action: UpgradeKubeadm, context: StepContext) -> Check:
    return DONE if at_version(action.version, "kubeadm", context=context) else NEEDED


def _upgrade_kubeadm(action: UpgradeKubeadm, context: StepContext) -> None:
    install_exactly(action.version, "kubeadm", context=context)


def _check_held(action: HoldPackages, context: StepContext) -> Check:
    found = installed(action.packages, context)
    return DONE if all(package.held for package in found.values()) else NEEDED


def _hold(action: HoldPackages, context: StepContext) -> None:
    hold(action.packages, context)


INSTALL_PREREQUISITES = Handler(check=_check_prerequisites, apply=_install_prerequisites)
ADD_PACKAGE_SOURCE = Handler(check=always_due, apply=_add_package_source)
INSTALL_PACKAGES = Handler(check=_check_packages, apply=_install_packages)
FETCH_PACKAGES = Handler(check=_check_fetched, apply=_fetch)
UPGRADE_KUBEADM = Handler(check=_check_kubeadm, apply=_upgrade_kubeadm)
HOLD_PACKAGES = Handler(check=_check_held, apply=_hold)
