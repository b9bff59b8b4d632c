"""containerd and the images: the systemd cgroup driver and the very sandbox image kubeadm lists.

A sandbox image that differs from kubeadm's passes every preflight check and then fails every pod
where the registry lacks it, with an error that does not name the cause. So kubeadm is asked.
"""

from kubeops.engine.context import Handler, StepContext
from kubeops.errors import StepError
from kubeops.facts.parse_packages import (
    containerd_package,
    parse_containerd,
    parse_sandbox_image,
    upstream,
)
from kubeops.handlers.observe import always_due
from kubeops.handlers.packages import install, installed, run_apt
from kubeops.handlers.tools import apt_get, shell, systemctl
from kubeops.plan.actions import InstallRuntime, PullImages
from kubeops.plan.hosts import CONTAINERD_CONFIG, crictl_file, runtime_file
from kubeops.transport.base import Command
from kubeops.transport.files import check, put, read

UNIT = "containerd.service"
_NOT_FOUND = 127

# Which etcd, CoreDNS and pause belong to a release only its own kubeadm knows. Before an upgrade
# that one lies in apt's cache and is run from there, in a directory where programs may run.
_KUBEADM_OF = """
version=$1
shift
case $(dpkg-query -W -f '${Version}' kubeadm || true) in "$version"-*) exec kubeadm "$@" ;; esac
package=$(ls -1 /var/cache/apt/archives/kubeadm_"$version"-*.deb 2>/dev/null | head -n 1)
[ -n "$package" ] || exec kubeadm "$@"
mkdir -p /var/lib/kubeops
folder=$(mktemp -d /var/lib/kubeops/kubeadm.XXXXXX)
trap 'rm -rf "$folder"' EXIT
dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder" ./usr/bin/kubeadm
"$folder/usr/bin/kubeadm" "$@"
"""


# `cat |` because a shell's stdin may be a socket, which /dev/stdin cannot open again.
_PIPED = 'cat | "$@"'

# Enabling has systemd read all its units anew, whether or not there is anything to enable.
_START = """
systemctl is-enabled --quiet "$1" || systemctl enable --quiet "$1"
systemctl start "$1"
"""

_PULL = """
pulls=
failed=0
for image; do
  crictl pull "$image" &
  pulls="$pulls $!"
done
for pull in $pulls; do wait "$pull" || failed=$?; done
exit "$failed"
"""


def images(*, version: str, repository: str, context: StepContext) -> tuple[str, ...]:
    """Return the images that kubeadm of `version` lists, if that is what the host can run."""
    listed = context.run(_kubeadm_images("list", version=version, repository=repository))
    return _lines(listed.stdout)


def configured_images(configuration: str, context: StepContext) -> tuple[str, ...]:
    """Return the images that the host's kubeadm lists for a ClusterConfiguration, as YAML."""
    kubeadm = ("kubeadm", "config", "images", "list", "--config", "/dev/stdin")
    listed = context.run(shell(_PIPED, *kubeadm, stdin=configuration.encode(), shows=kubeadm))
    return _lines(listed.stdout)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if ":" in line)


def _kubeadm_images(verb: str, *, version: str, repository: str) -> Command:
    arguments = (
        *("config", "images", verb),
        f"--kubernetes-version=v{version}",
        f"--image-repository={repository}",
    )
    shows = ("kubeadm", *arguments)
    return shell(_KUBEADM_OF, version, *arguments, timeout=1200, shows=shows)


def _named(image: str) -> str:
    return image.rsplit("/", 1)[-1].split(":", 1)[0]


def _sandbox_listed(*, version: str, repository: str, context: StepContext) -> str:
    """Return the sandbox image that kubeadm lists."""
    listed = images(version=version, repository=repository, context=context)
    sandbox = next((image for image in listed if _named(image) == "pause"), None)
    if sandbox is None:
        raise StepError(
            f"{context.host}: kubeadm lists no sandbox (pause) image for v{version}",
            hint=f"On the host: kubeadm config images list --kubernetes-version=v{version}",
        )
    return sandbox


def _sandbox_in_use(context: StepContext) -> str | None:
    """Return the sandbox image of containerd's configuration; None when it does not name one."""
    content = read(context.runner, CONTAINERD_CONFIG)
    try:
        return parse_sandbox_image((content or b"").decode())
    except ValueError:
        return None


def containerd_version(context: StepContext) -> str | None:
    """Return the version of the host's containerd; None when it has none."""
    told = context.run(Command(argv=("containerd", "--version"), root=False), _NOT_FOUND)
    return parse_containerd(told.stdout) if told.ok else None


def _packaged_version(context: StepContext) -> str:
    """Return the version of the containerd that was just installed."""
    package = containerd_package(installed(("containerd", "containerd.io"), context))
    if package is None:
        raise StepError(
            f"{context.host}: apt-get ended well and has not installed containerd",
            hint="On the host: apt-cache policy containerd",
        )
    return upstream(package.version)


def _install_runtime(action: InstallRuntime, context: StepContext) -> None:
    found = containerd_version(context)
    if found is None:
        context.progress("apt-get install containerd")
        run_apt(apt_get("update"), context)
        package = (
            f"containerd={action.runtime_version}*" if action.runtime_version else "containerd"
        )
        install("--no-install-recommends", package, context=context)
    version = found or _packaged_version(context)
    sandbox = _sandbox_listed(
        version=action.version, repository=action.image_repository, context=context
    )
    configuration = runtime_file(containerd=version, sandbox_image=sandbox)
    if found is None or not check(context.runner, configuration):
        # Stopped, not restarted afterwards: a run that ends in between leaves a unit that is seen
        # to be stopped, where a running one would be taken for one that has read the new file.
        context.run(systemctl("stop", UNIT))
    put(context.runner, crictl_file(), configuration)
    start = ("systemctl", "start", UNIT)
    context.run(shell(_START, UNIT, timeout=120, shows=start))


def _pull_images(action: PullImages, context: StepContext) -> None:
    wanted = {"version": action.version, "repository": action.image_repository}
    if context.desired.host(context.host).is_control_plane:
        context.progress(f"pulling the images of {action.version}")
        context.run(_kubeadm_images("pull", **wanted))
        return
    proxy = f"{action.image_repository}/kube-proxy:v{action.version}"
    needed = (proxy, _sandbox_in_use(context) or _sandbox_listed(context=context, **wanted))
    context.progress(f"pulling {' and '.join(needed)}")
    context.run(shell(_PULL, *needed, timeout=600, shows=("crictl", "pull", *needed)))


INSTALL_RUNTIME = Handler(check=always_due, apply=_install_runtime)
PULL_IMAGES = Handler(check=always_due, apply=_pull_images)
