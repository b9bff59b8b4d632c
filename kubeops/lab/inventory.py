"""The inventory that `up` writes: text, so that it reads like one a person wrote."""

from pathlib import Path

from kubeops.errors import UsageError
from kubeops.lab import services, state
from kubeops.lab.model import Lab, Node, Source

REAL_REPOSITORY = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"


def marker(name: str) -> str:
    """The first line of an inventory that belongs to the lab `name`."""
    return f"# Lab {name}: written by lab.up, removed by lab.down."


def check(path: Path, *, lab: str) -> None:
    """See that `path` may be written for the lab called `lab`.

    Raises:
        UsageError: there is a file that is not the lab's own.
    """
    if path.exists() and not path.read_text().startswith(marker(lab)):
        raise UsageError(
            f"{path} exists and does not belong to lab {lab}: it is not overwritten",
            hint="give the lab another inventory file, or move this one away",
        )


def write(lab: Lab) -> None:
    """Write the lab's inventory; one that is there only gets the hosts it lacks.

    What was changed in it since, as by an upgrade, is kept.
    """
    check(lab.inventory, lab=lab.name)
    lab.inventory.parent.mkdir(parents=True, exist_ok=True)
    now = lab.inventory.read_text() if lab.inventory.exists() else ""
    state.write(lab.inventory, with_hosts(now, lab) if now else text(lab), mode=0o644)


def with_hosts(now: str, lab: Lab) -> str:
    """The inventory `now` with a line for each node it lacks; hosts come last in it."""
    missing = [node for node in lab.nodes if f"\n  {node.name}: " not in now]
    return now.rstrip("\n") + "\n" + "".join(_host(node) for node in missing)


def remove(lab: Lab) -> None:
    """Remove the lab's inventory, if it is still the lab's own."""
    if lab.inventory.exists() and lab.inventory.read_text().startswith(marker(lab.name)):
        lab.inventory.unlink()


def text(lab: Lab) -> str:
    """The inventory of `lab`."""
    return _TEMPLATE.format(
        marker=marker(lab.name),
        name=lab.name,
        kubernetes=lab.kubernetes,
        endpoint=f"{lab.gateway}:{services.API_PORT}",
        packages=packages_repository(lab),
        store=lab.directory / "backups",
        key=lab.key,
        known_hosts=lab.known_hosts,
        hosts="".join(_host(node) for node in lab.nodes),
    )


def packages_repository(lab: Lab) -> str:
    """Where the lab's nodes get Kubernetes from; `{minor}` is filled in per minor release."""
    if lab.source is Source.REAL:
        return REAL_REPOSITORY
    return f"http://{lab.gateway}/core:/stable:/v{{minor}}/deb/"


def _host(node: Node) -> str:
    return f"  {node.name}: {{address: {node.address}, role: {node.role.value}}}\n"


_TEMPLATE = """\
{marker}
cluster:
  name: {name}
  kubernetes: "{kubernetes}"
  endpoint: {endpoint}
  networks: {{pods: 10.244.0.0/16, services: 10.96.0.0/16, dns_domain: cluster.local}}
  cni: {{name: bridge}}
  packages: {{repository: "{packages}"}}
  backup: {{store: "file://{store}"}}
ssh:
  user: ops
  key: {key}
  known_hosts: {known_hosts}
  host_keys: strict
  sudo: true
hosts:
{hosts}"""
