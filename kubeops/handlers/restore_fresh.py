"""Makes a control plane of a fresh host, restored data and the PKI of a backup.

The mark on that host (see `kubeops.handlers.restore`) holds, besides the snapshot, `pki.tar` and an
empty file `fresh`. From the moment anything is put where Kubernetes looks for it until kubeadm has
ended well, /var/lib/kubeops/unfinished says `restore`: so no install takes the host for one it may
begin an empty cluster on.
"""

from dataclasses import replace
from typing import Any

import yaml

from kubeops.backups.pki import SETTINGS
from kubeops.backups.upload import upload
from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate
from kubeops.errors import StepError
from kubeops.handlers.kubeadm import control_plane_gate, kubeadm_init
from kubeops.handlers.observe import always_due, host_facts, kubeadm_state, settled
from kubeops.handlers.reset import clear
from kubeops.handlers.restore import HINT, check_phase, local_pki, on_mark, phase_of
from kubeops.handlers.tools import kubectl, shell
from kubeops.model.restoring import MARKS, Phase
from kubeops.plan.install import init_cluster
from kubeops.plan.reset import has_traces
from kubeops.plan.restore_actions import (
    ForgetTokens,
    PlaceRestored,
    ReviveCluster,
    SetAside,
    StagePki,
)
from kubeops.plan.restore_targets import DATA

KUBELET_SETTINGS = "cluster/kubelet-config.yaml"

_MAKE = 'umask 077; mkdir -p "$1"'
_SAME = '[ "$(sha256sum < "$1/pki.tar")" = "$2  -" ]'
# What is unpacked keeps the mode it had; directories that are missing are made as by anybody.
_PLACE = """
shift
places
still
mkdir -p /var/lib/kubeops
if [ ! -e /var/lib/kubeops/unfinished ]; then printf restore > /var/lib/kubeops/unfinished; fi
sync -d /var/lib/kubeops/unfinished
umask 022
tar --extract --file "$mark/pki.tar" --directory / --same-owner --numeric-owner \\
  --same-permissions -- "$@"
find /etc/kubernetes/pki -name '*.key' -exec chmod 0600 {} +
find /etc/kubernetes/pki -type f -exec sync {} +
if [ -d "$new" ]; then
  if [ -d "$live" ]; then rmdir "$live"; fi
  mkdir -p "$(dirname "$live")"
  mv -T "$new" "$live"
elif [ ! -e "$data/member" ]; then
  echo "neither $new nor $data/member is there" >&2
  exit 1
fi
chmod 0700 "$data"
sync "$(dirname "$live")"
advance swapped
"""
_UNPACK = """
if tar --list --file "$1/pki.tar" | grep -qxF "$2"; then
  tar --extract --to-stdout --file "$1/pki.tar" -- "$2"
fi
"""


def _check_pki(action: StagePki, context: StepContext) -> Check:
    same = context.runner.run(shell(_SAME, f"{MARKS}/{action.attempt}", action.sha256))
    return DONE if same.ok else NEEDED


def _stage_pki(action: StagePki, context: StepContext) -> None:
    mark = f"{MARKS}/{action.attempt}"
    context.run(shell(_MAKE, mark))
    local = local_pki(context, action.bundle)
    if not local.exists():
        raise StepError(f"{local} is not there any more", hint=HINT)
    upload(context.runner, local, f"{mark}/pki.tar", progress=context.progress)


def _check_aside(action: SetAside, context: StepContext) -> Check:
    state, phase = kubeadm_state(context), phase_of(context, action.attempt)
    if state.is_node and state.pid is None:
        return DONE
    begun = phase is not None and phase.rank > Phase.RESTORED.rank
    return NEEDED if begun or state.unfinished is not None else DONE


def _set_aside(action: SetAside, context: StepContext) -> None:
    if settled(context).is_node:
        context.progress("kubeadm has ended well meanwhile")
        return
    if phase_of(context, action.attempt) is not None:
        on_mark(context, action.attempt, "advance staged")
    if has_traces(host_facts(context)):
        clear(context)


def _check_placed(action: PlaceRestored, context: StepContext) -> Check:
    return check_phase(context, action.attempt, Phase.SWAPPED)


def _place(action: PlaceRestored, context: StepContext) -> None:
    on_mark(context, action.attempt, _PLACE, *action.files)


def _revive(action: ReviveCluster, context: StepContext) -> None:
    if settled(context).is_node:
        return
    kept = [_kept(context, action.attempt, name) for name in (SETTINGS, KUBELET_SETTINGS)]
    init = init_cluster(context.desired, context.desired.host(context.host))
    kubeadm_init(
        replace(init, version=action.version),
        context,
        mark="restore",
        settings=lambda config: with_settings(config, *kept, addons=action.addons),
    )


def _kept(context: StepContext, attempt: str, name: str) -> str:
    return context.run(shell(_UNPACK, f"{MARKS}/{attempt}", name)).stdout


def with_settings(config: str, cluster: str, kubelet: str, *, addons: bool) -> str:
    """Return kubeadm's configuration for a cluster that is there already.

    Args:
        config: the configuration of an install, three documents.
        cluster: the ConfigMap kubeadm-config of before, as YAML; empty when it is not known. What
            the cluster had stays; names, addresses, registry and version are those of `config`,
            and the data is where kubeops puts it.
        kubelet: the ConfigMap kubelet-config of before, likewise.
        addons: whether CoreDNS and kube-proxy are applied anew.
    """
    documents: dict[str, Any] = {each["kind"]: each for each in yaml.safe_load_all(config)}
    init = documents["InitConfiguration"]
    init["nodeRegistration"]["ignorePreflightErrors"] = [
        f"DirAvailable-{DATA.replace('/', '-')}",
    ]
    if not addons:
        init["skipPhases"] = ["addon"]
    wanted = documents["ClusterConfiguration"]
    kept = _document(cluster, "ClusterConfiguration")
    server = kept.get("apiServer") or {}
    names = (*wanted["apiServer"]["certSANs"], *(server.get("certSANs") or ()))
    local = (kept.get("etcd") or {}).get("local") or {}
    documents["ClusterConfiguration"] = {
        **kept,
        **wanted,
        "clusterName": kept.get("clusterName") or wanted["clusterName"],
        "apiServer": {**server, "certSANs": list(dict.fromkeys(names))},
        "etcd": {"local": {**local, "dataDir": DATA}},
    }
    documents["KubeletConfiguration"] |= _document(kubelet, "kubelet")
    return yaml.safe_dump_all(documents.values(), sort_keys=False)


def _document(config_map: str, key: str) -> dict[str, Any]:
    if not config_map:
        return {}
    found: dict[str, Any] = yaml.safe_load(yaml.safe_load(config_map)["data"][key])
    return found


def _revived(_action: ReviveCluster, context: StepContext) -> Gate:
    return control_plane_gate(context, context.host)


def _check_forgotten(action: ForgetTokens, context: StepContext) -> Check:
    return check_phase(context, action.attempt, Phase.CONTROLLERS)


def _forget(action: ForgetTokens, context: StepContext) -> None:
    secrets = ("-n", "kube-system", "delete", "secret")
    tokens = ("--field-selector", "type=bootstrap.kubernetes.io/token")
    context.run(kubectl(*secrets, *tokens, "--ignore-not-found"), hint=HINT)
    context.run(kubectl(*secrets, "kubeadm-certs", "--ignore-not-found"), hint=HINT)
    on_mark(context, action.attempt, "advance controllers")


STAGE_PKI = Handler(check=_check_pki, apply=_stage_pki)
SET_ASIDE = Handler(check=_check_aside, apply=_set_aside)
PLACE_RESTORED = Handler(check=_check_placed, apply=_place)
REVIVE_CLUSTER = Handler(check=always_due, apply=_revive, gate=_revived)
FORGET_TOKENS = Handler(check=_check_forgotten, apply=_forget)
