"""The network plugin: bridge configurations and routes, or a manifest; and manifests of addons.

What was applied is noted in the ConfigMap kube-system/kubeops, name to digest, so that a later run
knows without comparing objects.
"""

import json
from pathlib import Path, PurePath

from kubeops.engine.context import DONE, NEEDED, Check, Handler, State, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.handlers.observe import cluster_facts, nodes
from kubeops.handlers.tools import kubectl, systemctl
from kubeops.model.file import File
from kubeops.plan.actions import ApplyManifest, ConfigureBridge
from kubeops.plan.network import bridge_files, pod_routes
from kubeops.transport.base import Command
from kubeops.transport.files import check, put

SUBNET_TIMEOUT = 120
FLANNEL_PODS = "10.244.0.0/16"


def _files(action: ConfigureBridge, context: StepContext) -> tuple[File, File] | None:
    """The node's files; None while the cluster has not given every node its pod subnet."""
    found = nodes(context, via=action.via)
    subnet, routes = pod_routes(action.node, found)
    if not subnet or len(routes) + 1 < len(found):
        return None
    return bridge_files(subnet=subnet, routes=routes)


def _check_bridge(action: ConfigureBridge, context: StepContext) -> Check:
    files = _files(action, context)
    if files is None:
        return NEEDED
    return DONE if all(check(context.runner, file) for file in files) else NEEDED


def _configure_bridge(action: ConfigureBridge, context: StepContext) -> None:
    conflist, unit = _await_files(action, context)
    if put(context.runner, unit):
        context.run(systemctl("daemon-reload"))
    context.run(systemctl("enable", "--quiet", unit.path))
    context.run(systemctl("restart", PurePath(unit.path).name))
    put(context.runner, conflist)


def _await_files(action: ConfigureBridge, context: StepContext) -> tuple[File, File]:
    found: list[tuple[File, File]] = []

    def look() -> Reading:
        files = _files(action, context)
        if files is None:
            return Reading(ok=False, text="a node has none yet")
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
    if not patched.ok:
        literal = f"--from-literal={action.name}={action.digest}"
        context.run(kubectl(*target, "create", "configmap", "kubeops", literal))


def _manifest(action: ApplyManifest, context: StepContext) -> bytes:
    """The manifest, from the workstation's file or fetched by the control plane."""
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
        content = Path(action.source).read_bytes()
    if action.name == "flannel":
        pods = str(context.desired.networks.pods)
        content = content.replace(FLANNEL_PODS.encode(), pods.encode())
    return content


CONFIGURE_BRIDGE = Handler(check=_check_bridge, apply=_configure_bridge)
APPLY_MANIFEST = Handler(check=_check_manifest, apply=_apply_manifest)
