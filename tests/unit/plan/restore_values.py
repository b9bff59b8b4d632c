"""Control planes as a restore finds them: with etcd's manifest, or with marks of an attempt."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, EtcdMember, HostFacts, StaticPod
from kubeops.model.restoring import Disk, Mark, Phase, RestoreFacts, RestoreHost, attempt_id
from tests.bundles import UID, bundle
from tests.unit.plan.values import GIB, joined, observed

BUNDLE = bundle()
ATTEMPT = attempt_id(1, BUNDLE.name)
BEGINS = BUNDLE.revision + 10**9
PRESENT = 6000


def plane(desired: Cluster, name: str, *, etcd: bool = True) -> HostFacts:
    """A control plane; without `etcd` its manifests are moved out."""
    host = desired.host(name)
    flags = {
        "name": name,
        "data-dir": "/var/lib/etcd",
        "initial-advertise-peer-urls": f"https://{host.address}:2380",
        # What kubeadm's upgrade leaves of it: never to be believed.
        "initial-cluster": f"{name}=https://{host.address}:2380",
    }
    pod = StaticPod(name="etcd", image="registry.k8s.io/etcd:3.6.6-0", flags=flags)
    return replace(joined(host, desired, None), static_pods={"etcd": pod} if etcd else {})


def whole(desired: Cluster, **changed: HostFacts) -> ClusterFacts:
    """The cluster the bundle is of, whole, at revision 6000; some hosts `changed`."""
    planes = {host.name: plane(desired, host.name) for host in desired.control_planes}
    facts = observed(
        desired, members=[host.name for host in desired.hosts], changed={**planes, **changed}
    )
    assert facts.api is not None
    assert facts.etcd is not None
    members = tuple(
        replace(member, revision=PRESENT, version="3.6.6") for member in facts.etcd.members
    )
    return replace(
        facts, api=replace(facts.api, uid=UID), etcd=replace(facts.etcd, members=members)
    )


def with_member(facts: ClusterFacts, member: EtcdMember) -> ClusterFacts:
    assert facts.etcd is not None
    return replace(facts, etcd=replace(facts.etcd, members=(*facts.etcd.members, member)))


def mark(phase: Phase, *, attempt: str = ATTEMPT, revision: int = BEGINS) -> Mark:
    return Mark(
        id=attempt,
        phase=phase,
        began="20261121T023000Z",
        revision=revision,
        data="/var/lib/etcd",
    )


def restore_host(name: str, *marks: Mark, **changed: object) -> RestoreHost:
    disk = Disk(device="/dev/vda1", free=50 * GIB)
    made = RestoreHost(host=name, marks=marks, etcdutl="3.6.6", state=disk, data=disk, serving=True)
    return replace(made, **changed)  # type: ignore[arg-type]  # attributes by name


def more(
    desired: Cluster,
    phases: Mapping[str, Phase | None] | None = None,
    *,
    changed: Iterable[RestoreHost] = (),
) -> RestoreFacts:
    """What a restore asks: how far each control plane is (not at all unless told)."""
    found = phases or {}
    hosts = {}
    for host in desired.control_planes:
        phase = found.get(host.name)
        hosts[host.name] = restore_host(host.name, *((mark(phase),) if phase else ()))
    return RestoreFacts(hosts={**hosts, **{one.host: one for one in changed}})
