"""What must hold between hosts that replace each other (`replaces:` at a new worker)."""

from difflib import get_close_matches

from kubeops.inventory.fields import shown
from kubeops.inventory.section import Report
from kubeops.model.desired import Cluster, Host


def check(cluster: Cluster, report: Report) -> None:
    """Report what is wrong with who replaces whom: one worker each, which replaces none itself."""
    hosts = {host.name: host for host in cluster.hosts}
    first: dict[str, str] = {}
    for host in cluster.hosts:
        path = ("hosts", host.name, "replaces")
        if not host.replaces or not report.is_sound(*path):
            continue
        trouble = _trouble(host, hosts, report)
        if not trouble and host.replaces in first:
            trouble = (
                f"{host.replaces} is replaced by {first[host.replaces]} already; one host replaces "
                "one, and a host that only adds room has no replaces:"
            )
        if trouble:
            report.problem(path, trouble)
        first.setdefault(host.replaces, host.name)


def _trouble(host: Host, hosts: dict[str, Host], report: Report) -> str:
    """Return what is wrong about the one that `host` replaces; empty when nothing is."""
    name = host.replaces
    old = hosts.get(name)
    if old is None:
        near = get_close_matches(name, hosts, n=1)
        hint = f"did you mean {near[0]}?" if near else "write the name of a worker below hosts"
        return (
            f"{shown(name)} is no host of this inventory; {hint} (when it is gone already, take "
            "this line out)"
        )
    if old is host:
        return "names the host itself; write the name of the worker whose place it takes"
    for one in (host, old):
        if one.is_control_plane and report.is_sound("hosts", one.name, "role"):
            return (
                f"{one.name} is a control plane, and only workers are replaced; a control plane is "
                "exchanged with invoke reset --limit and invoke install"
            )
    if old.replaces:
        return (
            f"{name} itself replaces {old.replaces}; let an upgrade finish that, take "
            f"{old.replaces} and the replaces: of {name} out, then begin the next one"
        )
    return ""
