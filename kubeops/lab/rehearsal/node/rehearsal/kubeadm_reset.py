"""`kubeadm reset`: leave etcd, stop everything, delete what init and join have made."""

import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_etcd
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import CONFIG, Context, KubeadmError, systemctl
from rehearsal.kubeadm_etcd import Etcd, EtcdError
from rehearsal.runtime import Runtime

SPEC = CONFIG | Spec(
    values=("cert-dir", "cri-socket", "ignore-preflight-errors", "skip-phases"),
    switches=("force", "cleanup-tmp-dir", "dry-run"),
    short={"f": "force", "s": "cri-socket"},
)
CONFS = ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")
API_SECONDS = 2.0
STOP_SECONDS = 5.0
AFTER = """
The reset process does not perform cleanup of CNI plugin configuration,
network filtering rules and kubeconfig files.

For information on how to perform this cleanup manually, please see:
    https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/
"""


def run(context: Context, given: Given) -> int:
    """Run `kubeadm reset`.

    Raises:
        KubeadmError: the user did not agree.
    """
    documents = kubeadm_config.read(given.value("config")) if given.has("config") else {}
    settings: Mapping[str, Any] = documents.get("ResetConfiguration", {})
    cluster = _cluster(context)
    if not (given.switch("force") or settings.get("force")):
        files.warn(
            files.klog(
                "preflight.go:56",
                "[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm "
                "join' will be reverted.",
            )
        )
        print("[reset] Are you sure you want to proceed? [y/N]: ", end="", flush=True)
        try:
            answer = input()
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise KubeadmError("error execution phase preflight: aborted reset operation")
    files.say("[preflight] Running pre-flight checks")
    context.reached("preflight")
    _leave_etcd(context, cluster)
    context.reached("remove-etcd-member")
    files.say("[reset] Stopping the kubelet service")
    systemctl("stop", "kubelet")
    files.say('[reset] Unmounting mounted directories in "/var/lib/kubelet"')
    runtime = Runtime(layout=context.layout)
    for container in runtime.containers():
        runtime.stop(container, grace=STOP_SECONDS)
        runtime.forget(container)
    pki = cluster.get("certificatesDir", "/etc/kubernetes/pki")
    folders = ["/etc/kubernetes/manifests", "/var/lib/kubelet", pki]
    if settings.get("cleanupTmpDir") or given.switch("cleanup-tmp-dir"):
        folders.append("/etc/kubernetes/tmp")
    files.say(f"[reset] Deleting contents of directories: [{' '.join(folders)}]")
    for folder in folders:
        empty(context.layout.at(folder))
    confs = [f"/etc/kubernetes/{name}.conf" for name in CONFS]
    files.say(f"[reset] Deleting files: [{' '.join(confs)}]")
    for path in confs:
        context.layout.at(path).unlink(missing_ok=True)
    context.reached("cleanup-node")
    files.say(AFTER)
    return 0


def empty(folder: Path) -> None:
    """Delete everything in a folder, not the folder."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _cluster(context: Context) -> dict[str, Any]:
    if not context.layout.admin.exists():
        return {}
    try:
        return kubeadm_config.from_cluster(context.client(), prefix="reset", timeout=API_SECONDS)
    except (KubeadmError, ApiError, UnreachableError) as error:
        text = f"[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: {error}"
        files.warn(files.klog("reset.go:141", text))
        return {}


def _leave_etcd(context: Context, cluster: Mapping[str, Any]) -> None:
    manifest = context.layout.manifests / "etcd.yaml"
    data = (cluster.get("etcd", {}).get("local") or {}).get("dataDir", "/var/lib/etcd")
    if not cluster:
        files.warn(
            files.klog(
                "removeetcdmember.go:105",
                "[reset] No kubeadm config, using etcd pod spec to get data directory",
            )
        )
    if manifest.exists():
        try:
            _remove_member(context, cluster)
        except (KubeadmError, EtcdError, ApiError, UnreachableError) as error:
            text = (
                f"[reset] Failed to remove etcd member: {error}, please manually remove this etcd "
                "member using etcdctl"
            )
            files.warn(files.klog("removeetcdmember.go:91", text))
        manifest.unlink(missing_ok=True)
        runtime = Runtime(layout=context.layout)
        files.wait(lambda: not _etcd_runs(runtime), timeout=STOP_SECONDS)
    for container in Runtime(layout=context.layout).containers():
        if container.name == "etcd":
            Runtime(layout=context.layout).stop(container, grace=STOP_SECONDS)
    folder = context.layout.at(data)
    if folder.is_dir():
        empty(folder)
    files.say(f"[reset] Deleted contents of the etcd data directory: {data}")


def _etcd_runs(runtime: Runtime) -> bool:
    return any(c.name == "etcd" and c.running and runtime.alive(c) for c in runtime.containers())


def _remove_member(context: Context, cluster: Mapping[str, Any]) -> None:
    name = socket.gethostname().lower()
    pki = context.layout.at(cluster.get("certificatesDir", "/etc/kubernetes/pki")) / "etcd"
    urls = kubeadm_etcd.endpoints(context.client(), timeout=API_SECONDS)
    etcd = Etcd(endpoints=urls, pki=pki)
    members = etcd.members()
    if len(members) == 1:
        return
    own = next((member for member in members if member.name == name), None)
    if own is not None:
        others = [url for member in members if member.id != own.id for url in member.client_urls]
        Etcd(endpoints=others, pki=pki).remove(own.id)
