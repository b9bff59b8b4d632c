"""kubeadm upgrade plan, apply and node, so that they can be killed anywhere and called again.

Before kubeadm starts, `/var/lib/kubeops/unfinished-upgrade` is written on its host, and the same
remote script removes it when kubeadm has ended well.

1. A kubeadm that is still at work (of a killed run) is waited for.
2. No mark and static pods at the version: done. kubeadm leaves nothing that would tell it of a
   worker, where it takes a second and may be repeated.
3. kubeadm runs, and waits for a static pod twice as long as it would by itself; failures that are
   known to pass are met by running it again, at most twice, once API and etcd of the host are well
   again:
   * the trial Job of its preflight (kubeadm#3050, #3282),
   * a static pod's hash that did not change in time (kubeadm#2957, #3297), and
   * its copy of etcd's data racing the WAL (kubeadm#3324).
4. Any other failure ends the step with kubeadm's own words. Rolling back is kubeadm's own: it puts
   the earlier manifests back, and says so; that is passed on.
"""

import re

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import CommandError
from kubeops.handlers.kube import kube
from kubeops.handlers.observe import (
    always_due,
    cluster_facts,
    control_plane,
    host_facts,
    settled,
)
from kubeops.handlers.pods import pods_not_yet
from kubeops.handlers.tools import shell
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import CheckUpgrade, UpgradeApply, UpgradeNode
from kubeops.plan.convergence import members_not_yet
from kubeops.plan.standing import control_plane_version
from kubeops.transport.base import Command

PLAN_TIMEOUT = 180
UPGRADE_TIMEOUT = 3600
READY_TIMEOUT = 300
AGAIN = 2

TRANSIENT = {
    "its trial Job did not complete in time": re.compile(r"\[ERROR CreateJob\]"),
    "a static pod did not restart in time": re.compile(
        r"static Pod hash for component .+ did not change after"
        r"|did not change after|timed out waiting for the condition"
    ),
    "its copy of etcd's data met a log file that had just gone": re.compile(
        r"cp: cannot stat .*/wal/"
    ),
}
_ROLLED_BACK = "kubeadm has tried to recover everything into the earlier state"

# A kubelet that restarts etcd and API server may stall for minutes, alone or on slow disks, and a
# kubeadm that gives up restarts them once more to put the old ones back (kubeadm#2957, #3297).
_PATIENCE = b"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
timeouts:
  upgradeManifests: 10m0s
"""

# `cat |` because a shell's stdin may be a socket, which /dev/stdin cannot open again.
_MARKED = """
mkdir -p /var/lib/kubeops
printf %s "$1" > /var/lib/kubeops/unfinished-upgrade
sync -d /var/lib/kubeops/unfinished-upgrade
shift
cat | "$@"
rm /var/lib/kubeops/unfinished-upgrade
"""


def transient(output: str) -> str:
    """Return why kubeadm failed, when that is known to pass; empty otherwise."""
    return next((why for why, words in TRANSIENT.items() if words.search(output)), "")


def _version(action: UpgradeApply | UpgradeNode) -> KubeVersion:
    return KubeVersion.parse(action.version)


def _check_applied(action: UpgradeApply, context: StepContext) -> Check:
    if not _runs(action, context):
        return NEEDED
    configured = cluster_facts(context, via=context.host).api
    wanted = _version(action)
    if configured is None or configured.kubernetes is None or configured.kubernetes < wanted:
        return NEEDED
    return NEEDED if _addons_owed(wanted, context) else DONE


def _addons_owed(wanted: KubeVersion, context: StepContext) -> bool:
    """Whether every control plane is at the version and kube-proxy is not: apply is run again."""
    images = kube(
        context,
        "--namespace=kube-system",
        "get",
        "pods",
        "--selector=component=kube-apiserver",
        "-o",
        "jsonpath={.items[*].spec.containers[0].image}",
    ).split()
    proxy = kube(
        context,
        "--namespace=kube-system",
        "get",
        "daemonset",
        "kube-proxy",
        "--ignore-not-found",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].image}",
    )
    everywhere = all(image.endswith(f":{wanted.tag}") for image in images)
    return everywhere and proxy != "" and not proxy.endswith(f":{wanted.tag}")


def _check_node(action: UpgradeNode, context: StepContext) -> Check:
    """A worker does not tell whether it has been done; there it is quick and may be repeated."""
    control_plane = context.desired.host(context.host).is_control_plane
    return DONE if control_plane and _runs(action, context) else NEEDED


def _runs(action: UpgradeApply | UpgradeNode, context: StepContext) -> bool:
    """Whether nothing is under way or half-done here and the static pods are at the version."""
    facts = host_facts(context)
    found = control_plane_version(facts)
    return (
        not facts.kubeadm_running
        and facts.unfinished_upgrade is None
        and found is not None
        and found >= _version(action)
    )


def _apply(action: UpgradeApply, context: StepContext) -> None:
    _upgrade("apply", ("apply", _version(action).tag, "--yes"), action, context)


def _node(action: UpgradeNode, context: StepContext) -> None:
    _upgrade("node", ("node",), action, context)


def _upgrade(
    mark: str,
    arguments: tuple[str, ...],
    action: UpgradeApply | UpgradeNode,
    context: StepContext,
) -> None:
    """Run kubeadm, again when it failed of what passes.

    Raises:
        CommandError: it failed; kubeadm's words are its output, the hint says what is where.
    """
    settled(context)
    kubeadm = ("kubeadm", "upgrade", *arguments, "--config", "/dev/stdin")
    command = shell(
        _MARKED, mark, *kubeadm, stdin=_PATIENCE, timeout=UPGRADE_TIMEOUT, shows=kubeadm
    )
    left = AGAIN
    while True:
        context.progress(f"kubeadm upgrade {' '.join(arguments)}")
        result = context.runner.run(command)
        why = transient(result.output)
        if result.ok or not why or not left:
            break
        context.progress(f"kubeadm failed: {why}. It is run again, at most {left} more times")
        left -= 1
        if context.desired.host(context.host).is_control_plane:
            _await_recovery(context)
    if not result.ok:
        raise CommandError(
            host=context.host,
            shown=f"kubeadm upgrade {' '.join(arguments)}",
            status=result.status,
            output=result.output,
            hint=_whereabouts(result.output, action, context),
        )


def _await_recovery(context: StepContext) -> None:
    gate = Gate(
        name=f"the control plane of {context.host}",
        look=lambda: _control_plane(None, context),
        timeout=READY_TIMEOUT,
    )
    wait_until(gate, clock=context.clock, progress=context.progress)


def _whereabouts(output: str, action: UpgradeApply | UpgradeNode, context: StepContext) -> str:
    """Say what is where after a failure, and what to type."""
    back = (
        f"kubeadm put the earlier manifests of {context.host} back: it runs what it ran before. "
        if _ROLLED_BACK in output
        else ""
    )
    return (
        f"{back}No other host is begun. Cure what kubeadm says, then type the same command again: "
        f"it goes on with {context.host} to v{action.version}."
    )


def _upgraded_gate(action: UpgradeApply | UpgradeNode, context: StepContext) -> Gate | None:
    if not context.desired.host(context.host).is_control_plane:
        return None
    return Gate(
        name=f"the control plane of {context.host}",
        look=lambda: _control_plane(_version(action), context),
        timeout=READY_TIMEOUT,
    )


def _control_plane(version: KubeVersion | None, context: StepContext) -> Reading:
    """Look at the host's API server, etcd's members and the static pods, at `version` if given."""
    etcd = control_plane(context, via=context.host)
    if isinstance(etcd, str):
        return Reading(ok=False, text=etcd)
    names = {host.name for host in context.desired.control_planes}
    expected = tuple(member.name for member in etcd.members if member.name in names)
    missing = list(members_not_yet(etcd, expected))
    if context.host not in expected:
        missing.append(f"etcd has no member {context.host}")
    missing += pods_not_yet(context.host, context, control_plane=version)
    text = "; ".join(missing) or "API ready, etcd healthy, static pods at the version"
    return Reading(ok=not missing, text=text)


def _plan(action: CheckUpgrade, context: StepContext) -> None:
    """Have kubeadm say itself that the cluster can go there; it changes nothing."""
    settled(context)
    argv = ("kubeadm", "upgrade", "plan", f"v{action.version}")
    context.run(
        Command(argv=argv, timeout=PLAN_TIMEOUT),
        hint=f"kubeadm on {context.host} refuses v{action.version}; nothing was changed. Cure what "
        "it says, then type the same command again.",
    )


CHECK_UPGRADE = Handler(check=always_due, apply=_plan)
UPGRADE_APPLY = Handler(check=_check_applied, apply=_apply, gate=_upgraded_gate)
UPGRADE_NODE = Handler(check=_check_node, apply=_node, gate=_upgraded_gate)
