"""`kubeadm upgrade apply` and `kubeadm upgrade node`.

The phases of `apply`: preflight, control-plane, upload-config, kubeconfig, kubelet-config,
bootstrap-token, addon, post-upgrade; of `node`: preflight, control-plane, kubeconfig,
kubelet-config, addon, post-upgrade. The health check looks at nodes and manifests; the job that the
real kubeadm runs as a trial is not made. `--dry-run` changes nothing and leaves its folder below
/etc/kubernetes/tmp behind, as the real one does.
"""

import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal import files, kubeadm_addons, kubeadm_config, kubeadm_kubelet
from rehearsal import kubeadm_preflight as preflight
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import CONFIG, Context
from rehearsal.kubeadm_staticpods import Replacement
from rehearsal.version import Version

COMMON = CONFIG | Spec(
    values=("ignore-preflight-errors", "patches", "skip-phases", "feature-gates"),
    switches=("dry-run", "etcd-upgrade", "certificate-renewal"),
    defaults=("etcd-upgrade", "certificate-renewal"),
)
APPLY = COMMON | Spec(
    switches=(
        "yes",
        "force",
        "print-config",
        "allow-experimental-upgrades",
        "allow-release-candidate-upgrades",
    ),
    short={"y": "yes", "f": "force"},
)
NODE = COMMON
PHASES = (
    "preflight",
    "control-plane",
    "upload-config",
    "kubeconfig",
    "kubelet-config",
    "bootstrap-token",
    "addon",
    "post-upgrade",
)
ENV_BACKUP_UNTIL = 36
NO_RULES = "kubeadm-kubelet-env"


@dataclass(kw_only=True)
class Upgrade:
    """One run on one node.

    Args:
        context: the surroundings.
        given: the command line.
        settings: the part of UpgradeConfiguration for this verb.
        document: the whole UpgradeConfiguration, for its timeouts.
        client: an administrator's client on a control plane, the kubelet's on a worker.
        cluster: the complete ClusterConfiguration as kept in the cluster.
        target: the release to go to.
    """

    context: Context
    given: Given
    settings: Mapping[str, Any]
    document: Mapping[str, Any]
    client: Client
    cluster: dict[str, Any]
    target: Version
    control_plane: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def ignored(self) -> tuple[str, ...]:
        """The checks that must not stop us."""
        return (
            *self.given.values("ignore-preflight-errors"),
            *(self.settings.get("ignorePreflightErrors") or ()),
        )

    @property
    def skipped(self) -> set[str]:
        """The phases that are left out."""
        return {*self.given.values("skip-phases"), *(self.settings.get("skipPhases") or ())}

    @property
    def dry(self) -> bool:
        """Whether nothing is to change."""
        return self.given.switch("dry-run") or bool(self.settings.get("dryRun"))

    def on(self, flag: str, name: str) -> bool:
        """Whether something that is on by default is left on, by flag and by configuration."""
        return self.given.switch(flag) and self.settings.get(name) is not False

    def check_machine(self) -> None:
        """Check that we are able to upgrade anything here."""
        name = socket.gethostname().lower()
        checks = preflight.Checks(context=self.context, name=name, target=str(self.target))
        preflight.run([checks.runtime, checks.system, checks.runtime_version], ignore=self.ignored)

    def pull(self) -> None:
        """Fetch the new images."""
        files.say("[upgrade/preflight] Pulling images required for setting up a Kubernetes cluster")
        files.say(
            "[upgrade/preflight] This might take a minute or two, depending on the speed of "
            "your internet connection"
        )
        files.say(
            "[upgrade/preflight] You can also perform this action beforehand using 'kubeadm "
            "config images pull'"
        )
        checks = preflight.Checks(context=self.context, name="", target=str(self.target))
        local = self.cluster["etcd"].get("local", {})
        pulled = checks.pulled(
            repository=self.cluster["imageRepository"], etcd_tag=local.get("imageTag", "")
        )
        preflight.run([pulled], ignore=self.ignored)

    def replace(self) -> None:
        """Replace the static pods."""
        Replacement(
            context=self.context,
            cluster=self.cluster | {"kubernetesVersion": str(self.target)},
            target=self.target,
            renew=self.on("certificate-renewal", "certificateRenewal"),
            etcd=self.on("etcd-upgrade", "etcdUpgrade"),
            timeout=kubeadm_config.timeouts(self.document)["upgradeManifests"],
        ).run()
        files.say(
            "[upgrade/control-plane] The control plane instance for this node was "
            "successfully upgraded!"
        )

    def kubelet_config(self) -> None:
        """Write the kubelet's configuration anew, keeping the old one."""
        found = self.client.get("configmaps", "kubelet-config", namespace="kube-system")
        folder = (
            self.context.layout.temporary
            / f"kubeadm-kubelet-config-{files.now():%Y-%m-%d-%H-%M-%S}"
        )
        files.warn(
            files.klog(
                "postupgrade.go:105",
                f"Using temporary directory {folder} for kubelet config. To override it set "
                "the environment variable KUBEADM_UPGRADE_DRYRUN_DIR",
            )
        )
        folder.mkdir(parents=True, exist_ok=True)
        present = self.context.layout.kubelet / "config.yaml"
        files.say(f"[upgrade] Backing up kubelet config file to {folder}/config.yaml")
        if present.exists():
            shutil.copy2(present, folder / "config.yaml")
        first = not (self.context.layout.kubelet / "instance-config.yaml").exists()
        kubeadm_kubelet.write_config(
            self.context, kubeadm_kubelet.from_cluster(found), instance=first
        )
        files.say(
            "[upgrade/kubelet-config] The kubelet configuration for this node was "
            "successfully upgraded!"
        )

    def addons(self) -> None:
        """Upgrade the addons, if this was the last control plane."""
        behind = self.behind()
        if behind:
            for _ in range(2):
                files.say(
                    "[upgrade/addon] Skipping upgrade of addons because control plane instances "
                    f"[{' '.join(behind)}] have not been upgraded"
                )
            return
        kubeadm_addons.apply(self.client, self.cluster, self.target, {})

    def behind(self) -> list[str]:
        """Return the control planes whose API server does not run the target."""
        found = self.client.list("pods", namespace="kube-system", labels="component=kube-apiserver")
        return sorted(
            pod["spec"]["nodeName"]
            for pod in found["items"]
            if not pod["spec"]["containers"][0]["image"].endswith(f":{self.target}")
        )

    def post(self) -> None:
        """Keep the kubelet's flags file, which older kubeadms rewrite here."""
        if self.context.version.minor >= ENV_BACKUP_UNTIL:
            return
        folder = (
            self.context.layout.temporary / f"kubeadm-kubelet-env{10**9 + secrets.randbelow(10**9)}"
        )
        files.warn(
            files.klog(
                "postupgrade.go:203",
                f"Using temporary directory {folder} for kubelet env file. To override it "
                "set the environment variable KUBEADM_UPGRADE_DRYRUN_DIR",
            )
        )
        folder.mkdir(parents=True, exist_ok=True)
        files.say(f"[upgrade] Backing up kubelet env file to {folder}/kubeadm-flags.env")
        present = self.context.layout.kubelet / "kubeadm-flags.env"
        if present.exists():
            shutil.copy2(present, folder / "kubeadm-flags.env")

    def finish_dry(self, verb: str) -> int:
        """End a dry run."""
        folder = (
            self.context.layout.temporary
            / f"kubeadm-upgrade-{verb}-dryrun{10**9 + secrets.randbelow(10**9)}"
        )
        files.warn(
            files.klog(
                "constants.go:626",
                f"Using dry-run directory {folder}. To override it, set the environment "
                "variable KUBEADM_UPGRADE_DRYRUN_DIR",
            )
        )
        folder.mkdir(parents=True, exist_ok=True)
        files.say("[upgrade/successful] Finished dryrunning successfully!")
        return 0
