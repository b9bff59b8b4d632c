"""Which etcd member a snapshot is taken from, and with what it is asked."""

from dataclasses import dataclass

from kubeops.errors import PreflightError
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, EtcdMember, StaticPod

_FLAGS = ("listen-client-urls", "trusted-ca-file", "cert-file", "key-file")
_DIRECTORIES = ("/etc/kubernetes/pki", "/etc/kubernetes/manifests", "/etc/kubernetes/patches")
_ADMIN = "/etc/kubernetes/admin.conf"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A healthy member, on the control plane `host`; `pods` are that host's static pods."""

    host: str
    member: EtcdMember
    pods: dict[str, StaticPod]

    @property
    def arguments(self) -> tuple[str, str, str, str]:
        """Endpoint, CA, certificate and key, from the member's own manifest."""
        endpoints, ca, certificate, key = (self.pods["etcd"].flags[flag] for flag in _FLAGS)
        return endpoints.split(",")[0], ca, certificate, key

    @property
    def registry_prefix(self) -> str:
        """Where the API server keeps its objects."""
        return self._api_flags().get("etcd-prefix", "/registry").rstrip("/")

    @property
    def encryption_configuration(self) -> str:
        """The file without which the API server cannot read its Secrets; empty: none is used."""
        return self._api_flags().get("encryption-provider-config", "")

    @property
    def configuration(self) -> tuple[str, ...]:
        """The directories and files that make this host a control plane; not all need be there.

        Besides kubeadm's own places these are the files that flags of the static pods point to.
        """
        named = {
            value
            for pod in self.pods.values()
            for value in pod.flags.values()
            if value.startswith("/etc/") and not value.startswith(_DIRECTORIES) and value != _ADMIN
        }
        return (*_DIRECTORIES, _ADMIN, *sorted(named))

    def _api_flags(self) -> dict[str, str]:
        pod = self.pods.get("kube-apiserver")
        return dict(pod.flags) if pod is not None else {}


def choose(desired: Cluster, facts: ClusterFacts) -> Chosen:
    """Choose a healthy member whose host was read; a follower, so that the leader is spared.

    Raises:
        PreflightError: etcd does not answer, is corrupt, or no host with a healthy member can be
            reached; a snapshot of it would be worth nothing, or cannot be had.
    """
    if facts.etcd is None:
        raise PreflightError(
            f"no snapshot can be taken: etcd does not answer: {facts.etcd_error}",
            hint="See what is wrong: invoke status",
        )
    corrupt = [alarm for alarm in facts.etcd.alarms if alarm.startswith("CORRUPT")]
    if corrupt:
        raise PreflightError(
            f"etcd says that its data is damaged ({', '.join(corrupt)}): a snapshot may be, too",
            hint="See which members agree, on a control plane: etcdctl endpoint hashkv --cluster",
        )
    lacking = []
    fit = []
    for host in desired.control_planes:
        member = facts.etcd.member_of(host)
        trouble = _trouble(facts, host.name, member)
        if trouble or member is None:
            lacking.append(f"{host.name} {trouble}")
        else:
            pods = dict(facts.hosts[host.name].static_pods)
            fit.append(Chosen(host=host.name, member=member, pods=pods))
    if not fit:
        raise PreflightError(
            f"no member of etcd can be saved: {'; '.join(lacking)}",
            hint="See what is wrong: invoke status",
        )
    return min(fit, key=lambda chosen: chosen.member.leader)


def _trouble(facts: ClusterFacts, name: str, member: EtcdMember | None) -> str:
    """Say why the member of host `name` cannot be saved; empty when it can."""
    if name not in facts.hosts:
        unreachable = facts.unreachable.get(name)
        return f"was not reached ({unreachable.reason if unreachable else 'not asked'})"
    if member is None or member.learner:
        return "is no member" if member is None else "is a learner still"
    if not member.healthy:
        return "is not healthy"
    pod = facts.hosts[name].static_pods.get("etcd")
    if pod is None:
        return "has no static pod of etcd"
    missing = [flag for flag in _FLAGS if flag not in pod.flags]
    return f"has an etcd manifest without {', '.join(missing)}" if missing else ""
