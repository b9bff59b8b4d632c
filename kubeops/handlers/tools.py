"""The programs on hosts that do the work, as commands: pure builders, shared by the handlers."""

from kubeops.transport.base import Command

ADMIN = "/etc/kubernetes/admin.conf"
APT_LOCK_WAIT = 300


def kubectl(*arguments: str, stdin: bytes | None = None, timeout: float = 60.0) -> Command:
    """Kubectl as the cluster's administrator, on a control plane."""
    return Command(
        argv=("kubectl", "--kubeconfig", ADMIN, *arguments), stdin=stdin, timeout=timeout
    )


def apt_get(*arguments: str, timeout: float = 900.0) -> Command:
    """apt-get without questions: waits for another apt, keeps configuration files as they are."""
    return Command(
        argv=(
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "--yes",
            "--quiet",
            "-o",
            f"DPkg::Lock::Timeout={APT_LOCK_WAIT}",
            "-o",
            "Dpkg::Options::=--force-confold",
            *arguments,
        ),
        timeout=timeout,
    )


def dpkg_configure() -> Command:
    """Finish what an interrupted dpkg left half-done, without questions; without it apt refuses."""
    argv = ("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "--configure", "-a")
    return Command(argv=argv, timeout=900)


def systemctl(*arguments: str) -> Command:
    """Systemctl; units may take a while to stop."""
    return Command(argv=("systemctl", *arguments), timeout=120)


def shell(
    script: str,
    *arguments: str,
    stdin: bytes | None = None,
    timeout: float = 60.0,
    shows: tuple[str, ...] = (),
) -> Command:
    """A constant POSIX script; everything that varies is an argument or on stdin.

    `shows` is what people are shown: the program the script is there to run.
    """
    return Command(
        argv=("sh", "-euc", script, "kubeops", *arguments),
        stdin=stdin,
        timeout=timeout,
        shows=shows,
    )
