"""Debian packages: prerequisites, the package source of a minor release, exact pins and holds.

Known traps: a held package makes `apt-get install` fail, `--allow-change-held-packages` drops the
hold without a word (so it is set again, every time), and a version that the source lacks ends with
status 100.
"""

from kubeops.engine.context import Handler, StepContext
from kubeops.handlers.observe import check_prepared
from kubeops.handlers.tools import apt_get, shell
from kubeops.plan.actions import AddPackageSource, InstallPackages, InstallPrerequisites
from kubeops.plan.hosts import HELD_PACKAGES, KEYRING, PINNED_PACKAGES, source_file
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


def _install_prerequisites(action: InstallPrerequisites, context: StepContext) -> None:
    context.progress("apt-get update")
    context.run(apt_get("update"))
    context.progress("apt-get install")
    context.run(apt_get("install", "--no-install-recommends", *action.packages))


def _add_package_source(action: AddPackageSource, context: StepContext) -> None:
    context.progress("fetching the key")
    context.run(
        shell(_FETCH_KEY, action.url, KEYRING, timeout=200),
        hint=f"From the host: curl -v {action.url}Release.key",
    )
    source = source_file(action)
    put(context.runner, source)
    context.progress("reading the package source")
    context.run(
        apt_get(
            "update",
            "-o",
            f"Dir::Etc::sourcelist={source.path}",
            "-o",
            "Dir::Etc::sourceparts=-",
            "-o",
            "APT::Get::List-Cleanup=0",
        )
    )


def _install_packages(action: InstallPackages, context: StepContext) -> None:
    context.run(Command(argv=("dpkg", "--configure", "-a"), timeout=300))
    context.progress("apt-get install")
    context.run(
        apt_get(
            "install",
            "--allow-change-held-packages",
            "--no-install-recommends",
            *(f"{name}={action.version}-*" for name in PINNED_PACKAGES),
            "cri-tools",
        ),
        hint="What the source offers, on the host: apt-cache madison kubeadm",
    )
    context.run(Command(argv=("apt-mark", "hold", *HELD_PACKAGES)))


INSTALL_PREREQUISITES = Handler(check=check_prepared, apply=_install_prerequisites)
ADD_PACKAGE_SOURCE = Handler(check=check_prepared, apply=_add_package_source)
INSTALL_PACKAGES = Handler(check=check_prepared, apply=_install_packages)
