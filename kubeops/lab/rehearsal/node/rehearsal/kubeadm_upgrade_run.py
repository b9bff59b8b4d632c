"""Running `kubeadm upgrade apply` and `kubeadm upgrade node` from their command lines."""

from collections.abc import Sequence
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_kubelet
from rehearsal import kubeadm_objects as objects
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Given
from rehearsal.kubeadm_common import Context, KubeadmError, pinned
from rehearsal.kubeadm_upgrade import PHASES, Upgrade
from rehearsal.kubeadm_upgrade_policy import judge
from rehearsal.version import Version, parse


def apply(context: Context, given: Given) -> int:
    """Run `kubeadm upgrade apply VERSION`.

    Raises:
        KubeadmError: it stopped.
    """
    pinned(given.words, 1, f"accepts at most 1 arg(s), received {len(given.words)}")
    upgrade, current = _load_apply(context, given)
    files.say("[upgrade/preflight] Running preflight checks")
    upgrade.check_machine()
    files.say("[upgrade] Running cluster health checks")
    _check_health(upgrade)
    files.say(
        f'[upgrade/preflight] You have chosen to upgrade the cluster version to "{upgrade.target}"'
    )
    files.say(f"[upgrade/versions] Cluster version: {current}")
    files.say(f"[upgrade/versions] kubeadm version: {context.version.full}")
    force = given.switch("force") or bool(upgrade.settings.get("forceUpgrade"))
    kubelets = _kubelets(upgrade.client)
    judge(
        target=upgrade.target, cluster=current, kubeadm=context.version, kubelets=kubelets
    ).enforce(force=force)
    if not (given.switch("yes") or force or upgrade.dry):
        _confirm()
    upgrade.pull()
    context.reached("preflight")
    if upgrade.dry:
        return upgrade.finish_dry("apply")
    skipped = upgrade.skipped
    limit = files.go_duration(kubeadm_config.timeouts(upgrade.document)["upgradeManifests"])
    if "control-plane" not in skipped:
        files.say(
            "[upgrade/control-plane] Upgrading your static Pod-hosted control plane to "
            f'version "{upgrade.target}" '
            f"(timeout: {limit})..."
        )
        upgrade.replace()
        context.reached("control-plane")
    upgrade.cluster["kubernetesVersion"] = str(upgrade.target)
    if "upload-config" not in skipped:
        objects.upload_kubeadm_config(upgrade.client, upgrade.cluster)
        kept = upgrade.client.get("configmaps", "kubelet-config", namespace="kube-system")
        objects.upload_kubelet_config(upgrade.client, kubeadm_kubelet.from_cluster(kept))
        context.reached("upload-config")
    if "kubeconfig" not in skipped:
        files.say(
            "[upgrade/kubeconfig] The kubeconfig files for this node were successfully upgraded!"
        )
    if "kubelet-config" not in skipped:
        upgrade.kubelet_config()
        context.reached("kubelet-config")
    if "bootstrap-token" not in skipped:
        files.say(
            "[upgrade/bootstrap-token] Configuring bootstrap token and cluster-info RBAC rules"
        )
        objects.bootstrap_rules(upgrade.client)
    if "addon" not in skipped:
        upgrade.addons()
        context.reached("addon")
    if "post-upgrade" not in skipped:
        upgrade.post()
    files.say()
    files.say(
        "[upgrade] SUCCESS! A control plane node of your cluster was upgraded to "
        f'"{upgrade.target}".'
    )
    files.say()
    files.say(
        "[upgrade] Now please proceed with upgrading the rest of the nodes by following the "
        "right order."
    )
    return 0


def node(context: Context, given: Given) -> int:
    """Run `kubeadm upgrade node`.

    Raises:
        KubeadmError: it stopped.
    """
    pinned(given.words, 0, f'unknown command "{" ".join(given.words)}" for "kubeadm upgrade node"')
    document = _document(given)
    control_plane = (context.layout.manifests / "kube-apiserver.yaml").exists()
    client = context.client("admin" if control_plane else "kubelet")
    cluster = _from_cluster(client, prefix="upgrade")
    upgrade = Upgrade(
        context=context,
        given=given,
        settings=document.get("node") or {},
        document=document,
        client=client,
        cluster=cluster,
        target=parse(cluster["kubernetesVersion"]),
        control_plane=control_plane,
    )
    _known_phases(upgrade.skipped)
    skipped = upgrade.skipped
    files.say("[upgrade/preflight] Running pre-flight checks")
    upgrade.check_machine()
    if control_plane:
        upgrade.pull()
    else:
        files.say("[upgrade/preflight] Skipping prepull. Not a control plane node.")
    context.reached("preflight")
    if upgrade.dry:
        return upgrade.finish_dry("node")
    if not control_plane:
        files.say("[upgrade/control-plane] Skipping phase. Not a control plane node.")
        files.say("[upgrade/kubeconfig] Skipping phase. Not a control plane node.")
    elif "control-plane" not in skipped:
        files.say(
            "[upgrade/control-plane] Upgrading your Static Pod-hosted control plane instance "
            "to version "
            f'"{upgrade.target}"...'
        )
        upgrade.replace()
        files.say(
            "[upgrade/kubeconfig] The kubeconfig files for this node were successfully upgraded!"
        )
        context.reached("control-plane")
    if "kubelet-config" not in skipped:
        upgrade.kubelet_config()
        context.reached("kubelet-config")
    if control_plane and "addon" not in skipped:
        upgrade.addons()
        context.reached("addon")
    elif not control_plane:
        for addon in ("coredns", "kube-proxy"):
            files.say(
                f"[upgrade/addon] Skipping the addon/{addon} phase. Not a control plane node."
            )
    if "post-upgrade" not in skipped:
        upgrade.post()
    return 0


def _load_apply(context: Context, given: Given) -> tuple[Upgrade, Version]:
    document = _document(given)
    settings = document.get("apply") or {}
    wanted = given.words[0] if given.words else settings.get("kubernetesVersion", "")
    if not wanted:
        raise KubeadmError("missing one or more required arguments. Required arguments: [version]")
    client = context.client()
    cluster = _from_cluster(client, prefix="upgrade")
    target = kubeadm_config.wanted_version({"kubernetesVersion": wanted}, context.version)
    upgrade = Upgrade(
        context=context,
        given=given,
        settings=settings,
        document=document,
        client=client,
        cluster=cluster,
        target=target,
    )
    _known_phases(upgrade.skipped)
    return upgrade, parse(cluster["kubernetesVersion"])


def _document(given: Given) -> dict[str, Any]:
    if not given.has("config"):
        return {}
    documents = kubeadm_config.read(given.value("config"))
    kubeadm_config.check_documents(documents, "UpgradeConfiguration")
    return documents["UpgradeConfiguration"]


def _from_cluster(client: Client, *, prefix: str) -> dict[str, Any]:
    try:
        return kubeadm_config.from_cluster(client, prefix=prefix, timeout=60.0)
    except (KubeadmError, ApiError, UnreachableError) as error:
        raise KubeadmError(f"[{prefix}/config] FATAL: {error}") from error


def _known_phases(names: Sequence[str] | set[str]) -> None:
    for name in names:
        if name.split("/")[0] not in PHASES:
            raise KubeadmError(f"invalid phase name: {name}")


def _kubelets(client: Client) -> list[Version]:
    nodes = client.list("nodes")["items"]
    return [parse(node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes]


def _confirm() -> None:
    print("[upgrade] Are you sure you want to proceed? [y/N]: ", end="", flush=True)
    try:
        answer = input()
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        raise KubeadmError(
            "error execution phase preflight: won't proceed; the user didn't answer (Y|y) in "
            "order to continue"
        )


def _check_health(upgrade: Upgrade) -> None:
    nodes = upgrade.client.list("nodes", labels="node-role.kubernetes.io/control-plane")["items"]
    sick = [
        node["metadata"]["name"]
        for node in nodes
        if not any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in node["status"].get("conditions", [])
        )
    ]
    missing = [
        name
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        if not (upgrade.context.layout.manifests / f"{name}.yaml").exists()
    ]
    lines = []
    ignored = {name.lower() for name in upgrade.ignored}
    if sick and not ignored & {"controlplanenodesready", "all"}:
        lines.append(
            "\t[ERROR ControlPlaneNodesReady]: there are NotReady control-planes in the "
            f"cluster: [{' '.join(sick)}]"
        )
    if missing and not ignored & {"staticpodmanifest", "all"}:
        lines.append(
            "\t[ERROR StaticPodManifest]: the control plane seems to be Static Pod-hosted, "
            "but some of the manifests "
            "don't seem to exist on disk. This probably means you're running 'kubeadm "
            "upgrade' on a remote machine, "
            "which is not supported for a Static Pod-hosted cluster. Manifest files not "
            f"found: {missing}"
        )
    if lines:
        listed = "\n".join(lines)
        raise KubeadmError(
            "error execution phase preflight: [upgrade/health] FATAL: [preflight] Some fatal "
            "errors occurred:\n"
            f"{listed}\n[preflight] If you know what you are doing, you can make a check "
            "non-fatal with "
            "`--ignore-preflight-errors=...`"
        )
