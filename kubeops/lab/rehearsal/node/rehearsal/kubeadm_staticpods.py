"""Replacing the static pods of a control plane, one at a time, with a way back.

For etcd, then kube-apiserver, kube-controller-manager and kube-scheduler: renew the component's
certificates, move its manifest to a dated folder below /etc/kubernetes/tmp, put the new one in its
place, and wait until its mirror pod carries another hash and runs. etcd's data is copied first.
When a component does not come back, every manifest that was replaced is put back (etcd's data too),
and the error says so. Nothing below /etc/kubernetes/tmp is ever deleted.
"""

import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import files, kubeadm_certs, manifests
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.kubeadm_common import Context, KubeadmError
from rehearsal.kubeadm_etcd import Etcd
from rehearsal.kubeadm_pki import Certificates
from rehearsal.kubelet_static import answers
from rehearsal.runtime import Runtime
from rehearsal.version import Version

RENEWED = {
    "etcd": ("etcd-server", "etcd-peer", "etcd-healthcheck-client"),
    "kube-apiserver": (
        "apiserver",
        "apiserver-kubelet-client",
        "front-proxy-client",
        "apiserver-etcd-client",
    ),
    "kube-controller-manager": ("controller-manager.conf",),
    "kube-scheduler": ("scheduler.conf",),
}
HASH = "kubernetes.io/config.hash"
SAY = "[upgrade/staticpods]"
POLL_TIMEOUT = 2.0
STOP_SECONDS = 10.0


@dataclass(kw_only=True)
class Replacement:
    """One control plane's upgrade to `target`.

    Args:
        context: the surroundings.
        cluster: the complete ClusterConfiguration, of the new release.
        target: the release.
        renew: whether certificates are renewed.
        etcd: whether etcd is touched.
        timeout: seconds a component may take to come back.
    """

    context: Context
    cluster: Mapping[str, Any]
    target: Version
    renew: bool
    etcd: bool
    timeout: float
    stamp: str = field(default_factory=lambda: f"{files.now():%Y-%m-%d-%H-%M-%S}")
    moved: list[str] = field(default_factory=list)

    @property
    def maker(self) -> Certificates:
        """What makes this node's certificates."""
        return kubeadm_certs.certificates(self.context, self.cluster)

    @property
    def folder(self) -> Path:
        """The folder of static pods."""
        return self.context.layout.manifests

    @property
    def backup(self) -> Path:
        """Where the old manifests go."""
        return self.context.layout.temporary / f"kubeadm-backup-manifests-{self.stamp}"

    @property
    def data(self) -> Path:
        """Etcd's data."""
        return self.context.layout.at(self.cluster["etcd"]["local"]["dataDir"])

    @property
    def data_backup(self) -> Path:
        """Where the copy of etcd's data goes."""
        return self.context.layout.temporary / f"kubeadm-backup-etcd-{self.stamp}"

    def run(self) -> None:
        """Replace what differs.

        Raises:
            KubeadmError: a component did not come back; what was there before is back.
        """
        new = self.manifests()
        same = {name: text == self._present(name) for name, text in new.items()}
        written = (
            self.context.layout.temporary
            / f"kubeadm-upgraded-manifests{10**9 + secrets.randbelow(10**9)}"
        )
        files.say(f'{SAY} Writing new Static Pod manifests to "{written}"')
        for name, text in new.items():
            files.write(written / f"{name}.yaml", text, mode=0o600)
        try:
            for name, text in new.items():
                files.say(f'{SAY} Preparing for "{name}" upgrade')
                if same[name] and (name != "etcd" or same["kube-apiserver"]):
                    files.say(
                        f"{SAY} Current and new manifests of {name} are equal, skipping upgrade"
                    )
                    continue
                self._replace(name, text, same=same[name])
                self.context.reached(name)
        except KubeadmError as error:
            self._undo()
            raise KubeadmError(
                "error execution phase control-plane: couldn't upgrade control plane. "
                "kubeadm has tried to recover "
                f"everything into the earlier state. Errors faced: {error}"
            ) from error
        finally:
            shutil.rmtree(written, ignore_errors=True)
        if self.renew:
            for name in ("admin.conf", "super-admin.conf"):
                kubeadm_certs.renew_one(self.maker, name)

    def manifests(self) -> dict[str, str]:
        """Return the new manifests by component, in the order they are put in place.

        A joined control plane's etcd loses the other members from `--initial-cluster`, as with the
        real kubeadm.
        """
        node = self.maker.node
        found: dict[str, str] = {}
        if self.etcd and (self.folder / "etcd.yaml").exists():
            found["etcd"] = manifests.etcd(version=self.target, cluster=self.cluster, node=node)
        return found | manifests.control_plane(version=self.target, cluster=self.cluster, node=node)

    def _present(self, name: str) -> str:
        path = self.folder / f"{name}.yaml"
        return path.read_text() if path.exists() else ""

    def _replace(self, name: str, text: str, *, same: bool) -> None:
        client = self.context.client(timeout=POLL_TIMEOUT)
        if name == "etcd":
            self._copy_data()
        before = self._hash(client, name)
        if self.renew:
            for certificate in RENEWED[name]:
                files.say(f"{SAY} Renewing {certificate} certificate")
                kubeadm_certs.renew_one(self.maker, certificate)
        path, kept = self.folder / f"{name}.yaml", self.backup / f"{name}.yaml"
        if same:
            files.say(
                f'{SAY} Restarting the {name} static pod and backing up its manifest to "{kept}"'
            )
        else:
            files.say(
                f'{SAY} Moving new manifest to "{path}" and backing up old manifest to "{kept}"'
            )
        self.backup.mkdir(parents=True, exist_ok=True)
        shutil.move(path, kept)
        self.moved.append(name)
        if same:
            self._wait(lambda: not self._runs(name))
        files.write(path, text, mode=0o600)
        files.say(f"{SAY} Waiting for the kubelet to restart the component")
        files.say(f"{SAY} This can take up to {files.go_duration(self.timeout)}")
        if not same:
            self._wait(lambda: self._changed(client, name, before))
        self._wait(lambda: self._pods(client, name))
        files.say(f'{SAY} Component "{name}" upgraded successfully!')
        if name == "etcd":
            files.say("[upgrade/etcd] Waiting for etcd to become available")
            self._wait(self._etcd_answers)
        if name in {"etcd", "kube-apiserver"}:
            node = self.maker.node
            self._wait(lambda: answers(f"https://{node.address}:{node.port}/readyz"))

    def _wait(self, predicate: Callable[[], bool]) -> None:
        if not files.wait(predicate, timeout=self.timeout, interval=0.1):
            raise KubeadmError("[timed out waiting for the condition]")

    def _runs(self, name: str) -> bool:
        runtime = Runtime(layout=self.context.layout)
        return any(c.name == name and c.running and runtime.alive(c) for c in runtime.containers())

    def _hash(self, client: Client, name: str) -> str:
        with suppress(ApiError, UnreachableError):
            pod = client.get("pods", f"{name}-{self.maker.node.name}", namespace="kube-system")
            return str(pod["metadata"].get("annotations", {}).get(HASH, ""))
        return ""

    def _changed(self, client: Client, name: str, before: str) -> bool:
        present = self._hash(client, name)
        return present not in {"", before}

    def _pods(self, client: Client, name: str) -> bool:
        try:
            found = client.list("pods", namespace="kube-system", labels=f"component={name}")[
                "items"
            ]
        except (ApiError, UnreachableError):
            return False
        own = [p for p in found if p["spec"].get("nodeName") == self.maker.node.name]
        if not own or own[0].get("status", {}).get("phase") != "Running":
            return False
        files.say(f"[apiclient] Found {len(found)} Pods for label selector component={name}")
        return True

    def _etcd_answers(self) -> bool:
        pki = self.context.layout.at(self.cluster["certificatesDir"]) / "etcd"
        local = "https://127.0.0.1:2379"
        return self._runs("etcd") and Etcd(endpoints=[local], pki=pki).healthy(local)

    def _copy_data(self) -> None:
        self.data_backup.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ("cp", "-r", "--sparse=auto", str(self.data), str(self.data_backup / "etcd")),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise KubeadmError(
                f"failed to back up etcd data: {done.stderr.strip()}: exit status {done.returncode}"
            )

    def _undo(self) -> None:
        for name in self.moved:
            kept = self.backup / f"{name}.yaml"
            if name == "etcd":
                self._undo_data()
            with suppress(OSError):
                shutil.copy2(kept, self.folder / f"{name}.yaml")

    def _undo_data(self) -> None:
        """Put the copy of etcd's data back, unless the old etcd never stopped and still uses it."""
        (self.folder / "etcd.yaml").unlink(missing_ok=True)
        stopped = files.wait(lambda: not self._runs("etcd"), timeout=STOP_SECONDS)
        if not stopped or not (self.data_backup / "etcd").is_dir():
            return
        shutil.move(self.data, self.data_backup / "failed")
        shutil.copytree(self.data_backup / "etcd", self.data)
        self.data.chmod(0o700)
