"""kube-controller-manager's stand-in: its flags, and which controllers run.

One process leads by lease; in it every controller is a step that looks at the whole cluster
whenever something changes. There are controllers for nodes, pods, Deployments, ReplicaSets,
DaemonSets, Jobs, disruption budgets, certificate requests, bootstrap tokens, namespaces, garbage
and events; there are none for StatefulSets, CronJobs, endpoints, volumes, quotas, service accounts
or autoscaling.
"""

import sys
from datetime import timedelta

from rehearsal.controller_daemons import daemon_sets
from rehearsal.controller_nodes import (
    NodeLifecycle,
    PodGarbage,
    PodNetworks,
    evict_from_tainted,
)
from rehearsal.controller_tokens import (
    Signer,
    approve_kubelets,
    clean_tokens,
    sign_cluster_info,
)
from rehearsal.controller_upkeep import (
    RootCertificates,
    collect_garbage,
    disruption_budgets,
    drop_old_events,
    finish_namespaces,
)
from rehearsal.controller_workloads import deployments, jobs, replica_sets
from rehearsal.flags import FlagError, parse
from rehearsal.leader import Step, serve
from rehearsal.objects import duration

_NAME = "kube-controller-manager"
_PORT = "10257"
_GRACE = "40s"
_YEAR = "8760h0m0s"
_WATCHED = (
    "nodes",
    "pods",
    "deployments",
    "replicasets",
    "daemonsets",
    "jobs",
    "poddisruptionbudgets",
    "certificatesigningrequests",
    "namespaces",
    "events",
    "secrets@kube-system",
    "configmaps@kube-public",
    "leases@kube-node-lease",
)
_FLAGS = (
    "allocate-node-cidrs",
    "authentication-kubeconfig",
    "authorization-kubeconfig",
    "bind-address",
    "client-ca-file",
    "cloud-provider",
    "cluster-cidr",
    "cluster-name",
    "cluster-signing-cert-file",
    "cluster-signing-duration",
    "cluster-signing-key-file",
    "concurrent-deployment-syncs",
    "configure-cloud-routes",
    "controllers",
    "flex-volume-plugin-dir",
    "kube-api-burst",
    "kube-api-qps",
    "kubeconfig",
    "leader-elect",
    "leader-elect-lease-duration",
    "leader-elect-renew-deadline",
    "leader-elect-retry-period",
    "node-cidr-mask-size",
    "node-cidr-mask-size-ipv4",
    "node-monitor-grace-period",
    "node-monitor-period",
    "pod-eviction-timeout",
    "profiling",
    "requestheader-client-ca-file",
    "root-ca-file",
    "secure-port",
    "service-account-private-key-file",
    "service-cluster-ip-range",
    "terminated-pod-gc-threshold",
    "tls-cert-file",
    "tls-cipher-suites",
    "tls-min-version",
    "tls-private-key-file",
    "use-service-account-credentials",
)


def steps(flags: dict[str, str]) -> list[Step]:
    """Return the controllers that these flags ask for.

    Raises:
        OSError: a file named by a flag cannot be read.
        ValueError: a duration or number cannot be read.
    """
    named = flags.get("controllers", "*").split(",")
    network = flags.get("cluster-cidr", "") if flags.get("allocate-node-cidrs") == "true" else ""
    size = flags.get("node-cidr-mask-size-ipv4", flags.get("node-cidr-mask-size", "24"))
    chosen: list[Step] = [
        approve_kubelets,
        NodeLifecycle(grace=duration(flags.get("node-monitor-grace-period", _GRACE))),
        PodNetworks(network, int(size)),
        deployments,
        replica_sets,
        daemon_sets,
        jobs,
        disruption_budgets,
        evict_from_tainted,
        collect_garbage,
        PodGarbage(),
        finish_namespaces,
        RootCertificates(flags.get("root-ca-file", "")),
        drop_old_events,
    ]
    if flags.get("cluster-signing-cert-file"):
        seconds = duration(flags.get("cluster-signing-duration", _YEAR))
        chosen.append(
            Signer(
                certfile=flags["cluster-signing-cert-file"],
                keyfile=flags.get("cluster-signing-key-file", ""),
                validity=timedelta(seconds=seconds),
            )
        )
    if "tokencleaner" in named:
        chosen.append(clean_tokens)
    if "bootstrapsigner" in named:
        chosen.append(sign_cluster_info)
    return chosen


def main(argv: list[str]) -> int:
    """Run until SIGTERM or until the lease is lost; return the exit status."""
    try:
        flags = parse(argv, _FLAGS)
        chosen = steps(flags)
    except (FlagError, OSError, ValueError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return serve(
        name=_NAME,
        kubeconfig=flags.get("kubeconfig", ""),
        port=int(flags.get("secure-port", _PORT)),
        elect=flags.get("leader-elect", "true") == "true",
        resources=_WATCHED,
        steps=chosen,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
