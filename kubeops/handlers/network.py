"""The network plugin: bridge configurations and routes, or a manifest; and manifests of addons.

What was applied is noted in the ConfigMap kube-system/kubeops, name to digest, so that a later run
knows without comparing objects.
"""

import hashlib
import json
from pathlib import Path, PurePath

from kubeops.engine.context import DONE, NEEDED, Check, Handler, State, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import StepError
from kubeops.handlers.observe import always_due, cluster_facts, nodes
from kubeops.handlers.tools import kubectl, shell
from kubeops.model.file import File
from kubeops.plan.actions import ApplyManifest, ConfigureBridge
from kubeops.plan.network import bridge_files, pod_routes
from kubeops.transport.base import Command
from kubeops.transport.files import put

SUBNET_TIMEOUT = 120

# systemd reads by itself a unit that it does not know yet. To have it read all units anew takes as
# long as all the rest, and it wants to as soon as one was enabled.
_ROUTE = """
unit=${1##*/}
[ "$(systemctl show --property=NeedDaemonReload --value "$unit")" = no ] || systemctl daemon-reload
systemctl restart "$unit"
systemctl enable --quiet --no-reload "$1"
"""
FLANNEL_PODS = "10.244.0.0/16"


def _files(action: ConfigureBridge, context: StepContext) -> tuple[File, File] | str:
    """The node's files; a text names the nodes that have no pod subnet or no address yet."""
    # A pod subnet is given for good, so it does not matter who asked, nor that it was a moment ago.
    found = context.shared.ask(("nodes", action.via), lambda: nodes(context, via=action.via))
    waiting = [node.name for node in found if not (node.pod_cidr and node.addresses)]
    subnet, routes = pod_routes(action.node, found)
    if waiting or not subnet:
        return f"{', '.join(waiting or [action.node])} has none yet"
    return bridge_files(subnet=subnet, routes=routes)


def _configure_bridge(action: ConfigureBridge, context: StepContext) -> None:
    conflist, unit = _await_files(action, context)
    put(context.runner, unit)
    restart = ("systemctl", "restart", PurePath(unit.path).name)
    context.run(shell(_ROUTE, unit.path, timeout=120, shows=restart))
    put(context.runner, conflist)


def _await_files(action: ConfigureBridge, context: StepContext) -> tuple[File, File]:
    found: list[tuple[File, File]] = []

    def look() -> Reading:
        files = _files(action, context)
        if isinstance(files, str):
            return Reading(ok=False, text=files)
        found.append(files)
        return Reading(ok=True, text="all nodes have one")

    wait_until(
        Gate(name="the nodes' pod subnets", look=look, timeout=SUBNET_TIMEOUT, successes=1),
        clock=context.clock,
        progress=context.progress,
    )
    return found[-1]


def _check_manifest(action: ApplyManifest, context: StepContext) -> Check:
    facts = cluster_facts(context, via=context.host)
    if facts.api is None:
        return Check(State.UNKNOWN, facts.api_error)
    return DONE if facts.api.applied.get(action.name) == action.digest else NEEDED


def _apply_manifest(action: ApplyManifest, context: StepContext) -> None:
    manifest = _manifest(action, context)
    context.progress(f"applying {action.source}")
    context.run(
        kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest, timeout=300
        )
    )
    _note(action, context)


def _note(action: ApplyManifest, context: StepContext) -> None:
    patch = json.dumps({"data": {action.name: action.digest}})
    target = ("-n", "kube-system")
    patched = context.runner.run(
        kubectl(*target, "patch", "configmap", "kubeops", "--type=merge", f"--patch={patch}")
    )
    if "(NotFound)" in patched.output:
        literal = f"--from-literal={action.name}={action.digest}"
        context.run(kubectl(*target, "create", "configmap", "kubeops", literal))
    else:
        patched.must()


def _manifest(action: ApplyManifest, context: StepContext) -> bytes:
    """The manifest, from the workstation's file or fetched by the control plane.

    Raises:
        StepError: the file cannot be read any more, or is not the one that was planned.
    """
    if "://" in action.source:
        fetched = context.run(
            Command(
                argv=("curl", "--fail", "--silent", "--show-error", "--location", action.source),
                timeout=120,
            ),
            hint=f"Give a file instead: fetch {action.source} and write its path in the inventory.",
        )
        content = fetched.stdout.encode()
    else:
        content = _planned(action)
    if action.name == "flannel":
        pods = str(context.desired.networks.pods)
        content = content.replace(FLANNEL_PODS.encode(), pods.encode())
    return content


def _planned(action: ApplyManifest) -> bytes:
    try:
        content = Path(action.source).read_bytes()
    except OSError as error:
        raise StepError(
            f"the manifest of {action.name} cannot be read: {action.source}: {error.strerror}",
            hint="Correct its path in the inventory.",
        ) from error
    if hashlib.sha256(content).hexdigest() != action.digest:
        raise StepError(
            f"{action.source} has changed since the plan was made",
            hint="Run the command again: it plans with what is there now.",
        )
    return content


CONFIGURE_BRIDGE = Handler(check=always_due, apply=_configure_bridge)
APPLY_MANIFEST = Handler(check=_check_manifest, apply=_apply_manifest)
