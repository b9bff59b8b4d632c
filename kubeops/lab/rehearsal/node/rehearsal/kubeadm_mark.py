"""What makes a node a control plane in the eyes of the cluster: labels and a taint."""

from collections.abc import Mapping, Sequence
from typing import Any

from rehearsal import files, kubeadm_config
from rehearsal.client import Client
from rehearsal.kubeadm_common import (
    retry,
)

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def mark_control_plane(
    client: Client, name: str, taints: Sequence[Mapping[str, Any]] | None, *, timeout: float
) -> None:
    """Label node `name` as a control plane and taint it; `taints` None means the usual one."""
    wanted = [kubeadm_config.TAINT] if taints is None else list(taints)
    files.say(
        f"[mark-control-plane] Marking the node {name} as control-plane by adding the "
        f"labels: [{CONTROL_PLANE} {EXCLUDE}]"
    )
    if wanted:
        shown = " ".join(f"{t['key']}:{t['effect']}" for t in wanted)
        files.say(
            f"[mark-control-plane] Marking the node {name} as control-plane by adding the "
            f"taints [{shown}]"
        )

    def mark() -> None:
        node = client.get("nodes", name)
        present = node["spec"].get("taints") or []
        keys = {(taint["key"], taint["effect"]) for taint in wanted}
        kept = [t for t in present if (t["key"], t["effect"]) not in keys]
        patch: dict[str, Any] = {"metadata": {"labels": {CONTROL_PLANE: "", EXCLUDE: ""}}}
        if wanted:
            patch["spec"] = {"taints": [*wanted, *kept]}
        client.patch("nodes", name, patch)

    retry(mark, timeout=timeout, what="error applying control-plane label and taints")
