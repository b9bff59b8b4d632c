"""What the cluster's API tells of its nodes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeops.errors import KubeopsError
from kubeops.verify.suite import Suite

NODES = "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o json"


@dataclass(frozen=True, kw_only=True)
class Api:
    """The Node objects by name; `error` says why there are none."""

    nodes: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def ask_api(suite: Suite) -> Api:
    """Return the cluster's nodes, told by the first control plane that can."""
    errors = []
    for name in suite.api_hosts:
        try:
            result = suite.questions.ask(name, NODES).get()
        except KubeopsError as error:
            errors.append(error.message)
            continue
        if result.ok:
            items = json.loads(result.stdout)["items"]
            return Api(nodes={item["metadata"]["name"]: item for item in items})
        errors.append(f"{name}: {result.output.strip()}")
    return Api(error="; ".join(errors))
