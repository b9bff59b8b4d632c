"""Stops and starts the control plane around a restore, and sees it through to its end.

A manifest is copied into the mark before it leaves /etc/kubernetes/manifests, and copied back by
way of a hidden file, which the kubelet does not look at: it never sees half of one, although the
two directories may be on different file systems.
"""

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import GateError
from kubeops.facts.parse_etcd import parse_alarms, parse_members
from kubeops.facts.restore import parse_hashes
from kubeops.handlers.etcd import etcdctl
from kubeops.handlers.observe import (
    always_due,
    api_trouble,
    change_nothing,
    cluster_facts,
    etcd_facts,
    nodes,
)
from kubeops.handlers.restore import HINT, check_phase, on_mark, phase_of
from kubeops.handlers.tools import kubectl, shell, systemctl
from kubeops.model.observed import EtcdFacts
from kubeops.model.restoring import Phase
from kubeops.plan.convergence import members_not_yet, restored_not_yet
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    CloseAttempt,
    ForgetNodes,
    ResyncNode,
    StartStaticPods,
    StopControlPlane,
)

STOP_TIMEOUT = 180
START_TIMEOUT = 300
RENEWAL_TIMEOUT = 45
RESTARTED_TIMEOUT = 180
CLUSTER_TIMEOUT = 600
PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

_OUT = """
advance "$2"
mkdir -p "$mark/manifests"
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  manifest=/etc/kubernetes/manifests/$name.yaml
  if [ -e "$manifest" ]; then
    cp -p "$manifest" "$mark/manifests/$name.part"
    sync "$mark/manifests/$name.part"
    mv -T "$mark/manifests/$name.part" "$mark/manifests/$name.yaml"
    sync "$mark/manifests"
    rm "$manifest"
  fi
done
"""
_LEFT = """
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  if [ -e "/etc/kubernetes/manifests/$name.yaml" ]; then echo "$name"; fi
done
"""
_IN = """
phase=$2
shift 2
for name; do
  kept=$mark/manifests/$name.yaml
  manifest=/etc/kubernetes/manifests/$name.yaml
  if [ -e "$manifest" ]; then continue; fi
  if [ ! -e "$kept" ]; then
    echo "neither $manifest nor $kept is there" >&2
    exit 1
  fi
  cp -p "$kept" "/etc/kubernetes/manifests/.$name.kubeops"
  sync "/etc/kubernetes/manifests/.$name.kubeops"
  mv -T "/etc/kubernetes/manifests/.$name.kubeops" "$manifest"
done
sync /etc/kubernetes/manifests
advance "$phase"
"""
# Without crictl the processes themselves tell; a name is cut after 15 letters there.
_RUNNING = """
if command -v crictl >/dev/null; then
  for name; do
    found=$(crictl ps --quiet --name "^$name\\$")
    if [ -n "$found" ]; then echo "$name"; fi
  done
else
  for process in /proc/[0-9]*; do
    found=$(cat "$process/comm" 2>/dev/null || true)
    for name; do
      if [ "$found" = "$(printf %.15s "$name")" ]; then echo "$name"; fi
    done
  done
fi
"""
_CLOSE = """
places
rm -f "$mark/snapshot.db" "$mark/snapshot.db.part" "$mark/pki.tar" "$mark/pki.tar.part"
rm -rf "$part" "$new"
advance "$2"
for found in "$kept" "$undone"; do
  if [ -e "$found" ]; then echo "$found"; fi
done
"""


def _running(context: StepContext, *pods: str) -> set[str]:
    return set(context.run(shell(_RUNNING, *pods)).stdout.split())


def _check_stopped(action: StopControlPlane, context: StepContext) -> Check:
    standing = check_phase(context, action.attempt, action.phase)
    if standing != DONE or phase_of(context, action.attempt) != action.phase:
        return standing
    return NEEDED if context.run(shell(_LEFT)).stdout.split() else DONE


def _stop(action: StopControlPlane, context: StepContext) -> None:
    on_mark(context, action.attempt, _OUT, action.phase)


def _stopped(action: StopControlPlane, context: StepContext) -> Gate | None:
    if phase_of(context, action.attempt) != action.phase:
        return None

    def look() -> Reading:
        running = _running(context, *PODS)
        return Reading(ok=not running, text=f"{', '.join(sorted(running))} still run")

    return Gate(name="the containers' end", look=look, timeout=STOP_TIMEOUT, successes=1)


def _check_started(action: StartStaticPods, context: StepContext) -> Check:
    return check_phase(context, action.attempt, action.phase)


def _start(action: StartStaticPods, context: StepContext) -> None:
    on_mark(context, action.attempt, _IN, action.phase, *action.pods)


def _started(action: StartStaticPods, context: StepContext) -> Gate | None:
    """What depends on other members is waited for later: `AwaitMembers`, `AwaitRestored`."""
    if action.phase not in {Phase.API, Phase.CONTROLLERS}:
        return None

    def look() -> Reading:
        missing = sorted(set(action.pods) - _running(context, *action.pods))
        trouble = f"{', '.join(missing)} do not run yet" if missing else ""
        if not trouble and action.phase is Phase.API:
            trouble = api_trouble(context)
        return Reading(ok=not trouble, text=trouble or "it is ready")

    return Gate(name=", ".join(action.pods), look=look, timeout=START_TIMEOUT)


def _members(action: AwaitMembers, context: StepContext) -> Gate:
    def look() -> Reading:
        missing = _restored(action, context) if action.revision else _old(action, context)
        return Reading(ok=not missing, text="; ".join(missing) or "all members agree")

    return Gate(name="etcd's members", look=look, timeout=CLUSTER_TIMEOUT, successes=1)


def _restored(action: AwaitMembers, context: StepContext) -> tuple[str, ...]:
    etcd = _etcd_alone(context)
    missing = members_not_yet(etcd, action.control_planes)
    if missing:
        return missing
    behind = [one.name for one in etcd.members if one.revision < action.revision]
    if behind:
        return (f"{', '.join(behind)} have not reached revision {action.revision}",)
    told = etcdctl(context, "endpoint", "hashkv", "--cluster", "-w", "json", via=context.host)
    hashes = parse_hashes(told)
    agree = len(set(hashes.values())) == 1 and len(hashes) == len(action.control_planes)
    return () if agree else (f"the members' content differs (hashKV): {dict(hashes)}",)


def _etcd_alone(context: StepContext) -> EtcdFacts:
    """Ask etcd and nobody else: the API is down, and who asks it waits for its time-outs."""

    def ask(*arguments: str) -> str:
        return etcdctl(context, *arguments, "-w", "json", via=context.host)

    return EtcdFacts(
        asked=context.host,
        members=parse_members(
            ask("member", "list"),
            ask("endpoint", "health", "--cluster"),
            ask("endpoint", "status", "--cluster"),
        ),
        alarms=parse_alarms(ask("alarm", "list")),
    )


def _old(action: AwaitMembers, context: StepContext) -> tuple[str, ...]:
    etcd = etcd_facts(context, via=context.host)
    healthy = {member.name for member in etcd.members if member.healthy and not member.learner}
    return (
        *(f"{name} is not healthy" for name in action.control_planes if name not in healthy),
        *(f"etcd alarm {alarm}" for alarm in etcd.alarms),
    )


def _resync(action: ResyncNode, context: StepContext) -> None:
    if not action.always:
        try:
            _await_renewal(action, context, timeout=RENEWAL_TIMEOUT)
        except GateError as error:
            context.progress(f"restarting the kubelet: {error.last}")
        else:
            return
    context.run(systemctl("restart", "kubelet.service"), hint=HINT)
    _await_renewal(action, context, timeout=RESTARTED_TIMEOUT)


def _await_renewal(action: ResyncNode, context: StepContext, *, timeout: float) -> None:
    """Wait until the node's lease is another than at first; clocks are not compared."""
    first: list[str] = []

    def look() -> Reading:
        lease = _lease(action, context)
        if not first:
            first.append(lease)
        renewed = bool(lease) and lease != first[0]
        text = "it is renewed" if renewed else f"last renewed {lease or 'never'}"
        return Reading(ok=renewed, text=text)

    wait_until(
        Gate(
            name=f"the lease of {action.node}",
            look=look,
            timeout=timeout,
            successes=1,
            interval=1.0,
        ),
        clock=context.clock,
        progress=context.progress,
    )


def _lease(action: ResyncNode, context: StepContext) -> str:
    question = kubectl(
        *("--request-timeout=10s", "-n", "kube-node-lease", "get", "lease", action.node),
        *("--ignore-not-found", "-o", "jsonpath={.spec.renewTime}"),
    )
    return context.transport.runner(action.via).run(question).must().stdout.strip()


def _check_known(action: ForgetNodes, context: StepContext) -> Check:
    known = {node.name for node in nodes(context, via=context.host)}
    return NEEDED if known & set(action.nodes) else DONE


def _forget_nodes(action: ForgetNodes, context: StepContext) -> None:
    """Static pods go first: kubeadm asks those of etcd for members when a control plane joins."""
    gone = ("--ignore-not-found", "--wait=false")
    for node in action.nodes:
        pods = [f"{pod}-{node}" for pod in PODS]
        context.run(
            kubectl("-n", "kube-system", "delete", "pod", *pods, *gone, "--force"), hint=HINT
        )
        context.run(kubectl("delete", "node", node, *gone), hint=HINT)


def _verified(action: AwaitRestored, context: StepContext) -> Gate:
    def look() -> Reading:
        facts = cluster_facts(context, via=context.host)
        missing = restored_not_yet(facts, uid=action.uid, nodes=action.nodes)
        identity = facts.api is not None and action.uid not in {"", facts.api.uid}
        text = "; ".join(missing) or "it is the cluster, and whole"
        return Reading(ok=not missing, text=text, failed=identity)

    return Gate(name="the cluster", look=look, timeout=CLUSTER_TIMEOUT)


def _check_closed(action: CloseAttempt, context: StepContext) -> Check:
    return check_phase(context, action.attempt, action.phase)


def _close(action: CloseAttempt, context: StepContext) -> None:
    kept = on_mark(context, action.attempt, _CLOSE, action.phase)
    context.progress(f"kept: {', '.join(kept.split()) or 'nothing, for nothing was put aside'}")


STOP_CONTROL_PLANE = Handler(check=_check_stopped, apply=_stop, gate=_stopped)
START_STATIC_PODS = Handler(check=_check_started, apply=_start, gate=_started)
AWAIT_MEMBERS = Handler(check=always_due, apply=change_nothing, gate=_members)
RESYNC_NODE = Handler(check=always_due, apply=_resync)
FORGET_NODES = Handler(check=_check_known, apply=_forget_nodes)
AWAIT_RESTORED = Handler(check=always_due, apply=change_nothing, gate=_verified)
CLOSE_ATTEMPT = Handler(check=_check_closed, apply=_close)
