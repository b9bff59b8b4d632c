"""containerd and the images: the systemd cgroup driver and the very sandbox image kubeadm lists.

A sandbox image that differs from kubeadm's passes every preflight check and then fails every pod
where the registry lacks it, with an error that does not name the cause. So kubeadm is asked.
"""

from kubeops.engine.context import Handler, StepContext
from kubeops.errors import StepError
from kubeops.handlers.observe import check_prepared, host_facts
from kubeops.handlers.packages import run_apt
from kubeops.handlers.tools import apt_get, systemctl
from kubeops.plan.actions import InstallRuntime, PullImages
from kubeops.plan.hosts import crictl_file, runtime_file
from kubeops.transport.base import Command
from kubeops.transport.files import put

WORKER_IMAGES = ("kube-proxy", "pause")


def images(*, version: str, repository: str, context: StepContext) -> tuple[str, ...]:
    """Return the images kubeadm on this host lists for `version`."""
    listed = context.run(
        Command(
            argv=(
                "kubeadm",
                "config",
                "images",
                "list",
                f"--kubernetes-version=v{version}",
                f"--image-repository={repository}",
            )
        )
    )
    return tuple(line.strip() for line in listed.stdout.splitlines() if ":" in line)


def _named(image: str) -> str:
    return image.rsplit("/", 1)[-1].split(":", 1)[0]


def _install_runtime(action: InstallRuntime, context: StepContext) -> None:
    if host_facts(context).container_runtime is None:
        context.progress("apt-get install containerd")
        run_apt(apt_get("update"), context)
        package = (
            f"containerd={action.runtime_version}*" if action.runtime_version else "containerd"
        )
        run_apt(apt_get("install", "--no-install-recommends", package), context)
    version = host_facts(context).container_runtime
    if version is None:
        raise StepError(
            f"{context.host}: containerd is installed but does not tell its version",
            hint="On the host: containerd --version",
        )
    listed = images(version=action.version, repository=action.image_repository, context=context)
    sandbox = next(image for image in listed if _named(image) == "pause")
    changed = put(context.runner, runtime_file(containerd=version, sandbox_image=sandbox))
    put(context.runner, crictl_file())
    context.run(systemctl("enable", "--quiet", "containerd.service"))
    context.run(systemctl("restart" if changed else "start", "containerd.service"))


def _pull_images(action: PullImages, context: StepContext) -> None:
    if context.desired.host(context.host).is_control_plane:
        context.run(
            Command(
                argv=(
                    "kubeadm",
                    "config",
                    "images",
                    "pull",
                    f"--kubernetes-version=v{action.version}",
                    f"--image-repository={action.image_repository}",
                ),
                timeout=1200,
            )
        )
        return
    for image in images(
        version=action.version, repository=action.image_repository, context=context
    ):
        if _named(image) in WORKER_IMAGES:
            context.progress(f"pulling {image}")
            context.run(Command(argv=("crictl", "pull", image), timeout=600))


INSTALL_RUNTIME = Handler(check=check_prepared, apply=_install_runtime)
PULL_IMAGES = Handler(check=check_prepared, apply=_pull_images)
