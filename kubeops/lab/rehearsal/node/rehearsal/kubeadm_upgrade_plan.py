"""`kubeadm upgrade plan` and `kubeadm upgrade diff`."""

import difflib
import json
from collections.abc import Mapping, Sequence

from rehearsal import files, kubeadm_config
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import CONFIG, Context, KubeadmError, pinned
from rehearsal.kubeadm_staticpods import Replacement
from rehearsal.kubeadm_upgrade_policy import judge
from rehearsal.version import Version, companions, parse

PLAN = CONFIG | Spec(
    values=("ignore-preflight-errors", "feature-gates", "output"),
    switches=(
        "allow-experimental-upgrades",
        "allow-release-candidate-upgrades",
        "print-config",
        "dry-run",
        "etcd-upgrade",
        "allow-missing-template-keys",
        "show-managed-fields",
    ),
    short={"o": "output"},
    defaults=("etcd-upgrade",),
)
DIFF = CONFIG | Spec(values=("context-lines",), short={"c": "context-lines"})
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONFIGS = (("kubeproxy.config.k8s.io", "v1alpha1"), ("kubelet.config.k8s.io", "v1beta1"))
RULE = "_____________________________________________________________________"
Entry = dict[str, str]


def plan(context: Context, given: Given) -> int:
    """Print what an upgrade would change.

    Raises:
        KubeadmError: the version is not allowed, or the API does not answer.
    """
    pinned(given.words, 1, f"accepts at most 1 arg(s), received {len(given.words)}")
    kind = given.value("output", "text")
    client = context.client()
    if kind == "text":
        files.say("[preflight] Running pre-flight checks.")
        cluster = kubeadm_config.from_cluster(client, prefix="upgrade/config")
        files.say("[upgrade] Running cluster health checks")
        files.say("[upgrade] Fetching available versions to upgrade to")
    else:
        found = client.get("configmaps", "kubeadm-config", namespace="kube-system")
        kept = files.load_yaml(found["data"]["ClusterConfiguration"])
        cluster = kubeadm_config.cluster(kept, version=parse(kept["kubernetesVersion"]))
    current = parse(cluster["kubernetesVersion"])
    if kind == "text":
        files.say(f"[upgrade/versions] Cluster version: {current.bare}")
        files.say(f"[upgrade/versions] kubeadm version: {context.version.full}")
    target = _target(context, given, quiet=kind != "text")
    if kind == "text":
        files.say(f"[upgrade/versions] Target version: {target}")
        files.say(f"[upgrade/versions] Latest version in the v{current.series} series: {target}")
        files.say()
    nodes = client.list("nodes")["items"]
    kubelets = {
        n["metadata"]["name"]: parse(n["status"]["nodeInfo"]["kubeletVersion"]) for n in nodes
    }
    verdict = judge(target=target, cluster=current, kubeadm=target, kubelets=kubelets.values())
    if verdict.mandatory:
        verdict.enforce(force=False)
    manual = [
        {
            "name": "kubelet",
            "currentVersion": str(version),
            "newVersion": str(target),
            "nodeName": name,
        }
        for name, version in sorted(kubelets.items(), key=lambda item: (item[1], item[0]))
    ]
    changed = target > current
    entries = _components(client, target)
    if kind == "text":
        if changed:
            _text(context, target, current, manual, entries)
        return 0
    upgrades = (
        []
        if not changed
        else [
            {
                "description": f"version in the v{current.series} series",
                "components": manual + _with_kubeadm(context, target, entries),
            }
        ]
    )
    found_plan = {
        "kind": "UpgradePlan",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "availableUpgrades": upgrades,
        "configVersions": [
            {"group": g, "currentVersion": v, "preferredVersion": v, "manualUpgradeRequired": False}
            for g, v in CONFIGS
        ],
    }
    if kind == "json":
        files.say(json.dumps(found_plan, indent=4))
    elif kind == "yaml":
        files.say(files.dump_yaml(found_plan).rstrip())
    else:
        raise KubeadmError(
            "could not construct output printer: unable to match a printer suitable for the "
            f"output format {kind}"
        )
    return 0


def _target(context: Context, given: Given, *, quiet: bool) -> Version:
    named = given.words[0] if given.words else ""
    if not named and given.has("config"):
        document = kubeadm_config.read(given.value("config")).get("UpgradeConfiguration", {})
        named = (document.get("plan") or {}).get("kubernetesVersion", "")
    return kubeadm_config.wanted_version(
        {"kubernetesVersion": named or "stable"}, context.version, quiet=quiet
    )


def _components(client: Client, target: Version) -> list[Entry]:
    """Return every component, what it runs and what it would run, in kubeadm's order."""
    found: list[Entry] = []
    for component in COMPONENTS:
        for name, tag in _pods(client, component):
            found.append(
                {
                    "name": component,
                    "currentVersion": tag,
                    "newVersion": str(target),
                    "nodeName": name,
                }
            )
    proxy = _image_tag(client, "daemonsets", "kube-proxy")
    if proxy:
        found.append(
            {
                "name": "kube-proxy",
                "currentVersion": proxy.removeprefix("v"),
                "newVersion": str(target),
            }
        )
    dns = _image_tag(client, "deployments", "coredns")
    if dns:
        found.append(
            {"name": "CoreDNS", "currentVersion": dns, "newVersion": companions(target).coredns}
        )
    found += [
        {
            "name": "etcd",
            "currentVersion": tag,
            "newVersion": companions(target).etcd,
            "nodeName": name,
        }
        for name, tag in _pods(client, "etcd")
    ]
    return found


def _pods(client: Client, component: str) -> list[tuple[str, str]]:
    pods = client.list("pods", namespace="kube-system", labels=f"component={component}")["items"]
    return sorted(
        (p["spec"]["nodeName"], p["spec"]["containers"][0]["image"].rpartition(":")[2])
        for p in pods
    )


def _image_tag(client: Client, resource: str, name: str) -> str:
    found = client.find(resource, name, namespace="kube-system")
    if found is None:
        return ""
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2])


def _with_kubeadm(context: Context, target: Version, entries: Sequence[Entry]) -> list[Entry]:
    own = {"name": "kubeadm", "currentVersion": str(context.version), "newVersion": str(target)}
    at = next((i for i, entry in enumerate(entries) if entry["name"] == "etcd"), len(entries))
    return [*entries[:at], own, *entries[at:]]


def _text(
    context: Context,
    target: Version,
    current: Version,
    manual: Sequence[Entry],
    entries: Sequence[Entry],
) -> None:
    files.say(
        "Components that must be upgraded manually after you have upgraded the control plane "
        "with 'kubeadm upgrade apply':"
    )
    _table(manual)
    files.say()
    files.say(f"Upgrade to the latest version in the v{current.series} series:")
    files.say()
    _table(entries)
    files.say()
    files.say("You can now apply the upgrade by executing the following command:")
    files.say()
    files.say(f"\tkubeadm upgrade apply {target}")
    files.say()
    if target > context.version:
        files.say(
            f"Note: Before you can perform this upgrade, you have to update kubeadm to {target}."
        )
        files.say()
    files.say(RULE)
    files.say(_STATE)
    rows = [("API GROUP", "CURRENT VERSION", "PREFERRED VERSION", "MANUAL UPGRADE REQUIRED")]
    rows += [(group, version, version, "no") for group, version in CONFIGS]
    _rows(rows)
    files.say(RULE)
    files.say()


def _table(entries: Sequence[Mapping[str, str]]) -> None:
    rows = [("COMPONENT", "NODE", "CURRENT", "TARGET")]
    rows += [
        (entry["name"], entry.get("nodeName", ""), entry["currentVersion"], entry["newVersion"])
        for entry in entries
    ]
    _rows(rows)


def _rows(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]) - 1)]
    for row in rows:
        files.say(
            "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1]
        )


def diff(context: Context, given: Given) -> int:
    """Print how the manifests would change.

    Raises:
        KubeadmError: the API does not answer.
    """
    client = context.client()
    cluster = kubeadm_config.from_cluster(client, prefix="upgrade/diff")
    wanted = {"kubernetesVersion": given.words[0] if given.words else cluster["kubernetesVersion"]}
    target = kubeadm_config.wanted_version(wanted, context.version)
    lines = int(given.value("context-lines", "3"))
    replacement = Replacement(
        context=context,
        cluster=cluster | {"kubernetesVersion": str(target)},
        target=target,
        renew=False,
        etcd=False,
        timeout=0.0,
    )
    for name, text in replacement.manifests().items():
        path = context.layout.manifests / f"{name}.yaml"
        before = path.read_text() if path.exists() else ""
        for line in difflib.unified_diff(
            before.splitlines(), text.splitlines(), str(path), "new manifest", lineterm="", n=lines
        ):
            files.say(line)
    return 0


_STATE = """

The table below shows the current state of component configs as understood by this version of kubeadm.
Configs that have a "yes" mark in the "MANUAL UPGRADE REQUIRED" column require manual config upgrade or
resetting to kubeadm defaults before a successful upgrade can be performed. The version to manually
upgrade to is denoted in the "PREFERRED VERSION" column.
"""  # noqa: E501 - kubeadm's text
