"""Makes ApiFacts and EtcdFacts of what one control plane answered."""

from functools import partial

from kubeops.facts import parse_etcd, parse_kube
from kubeops.facts.reader import Reader
from kubeops.model.observed import ApiFacts, ApiObjects, EtcdFacts

_API = ("version", "objects", "named")


def api_objects(read: Reader) -> ApiObjects | str:
    """Return the objects that tell whether the cluster works, or why the API could not be asked.

    Raises:
        FactsError: the answer cannot be understood.
    """
    if not read.ok("objects"):
        return _complaint(read, "objects")
    return ApiObjects(
        nodes=read.need("objects", parse_kube.parse_nodes),
        system=read.need("objects", parse_kube.parse_workloads),
    )


def api_facts(read: Reader) -> ApiFacts | str:
    """Return what the API says, or why it could not be asked, in kubectl's words.

    kubeadm-config may be absent (the cluster was just initialised, or not by kubeadm).

    Raises:
        FactsError: an answer cannot be understood.
    """
    for name in _API:
        if not read.ok(name):
            return _complaint(read, name)
    configuration = read.need("named", parse_kube.parse_cluster_configuration)
    return ApiFacts(
        asked=read.host,
        server=read.need("version", parse_kube.parse_server_version),
        uid=read.need("named", parse_kube.parse_uid),
        nodes=read.need("objects", parse_kube.parse_nodes),
        system=read.need("objects", parse_kube.parse_workloads),
        endpoint=configuration.endpoint,
        kubernetes=configuration.kubernetes,
        feature_gates=configuration.feature_gates,
        applied=read.need("named", parse_kube.parse_applied),
    )


def etcd_facts(read: Reader) -> EtcdFacts | str:
    """Return what etcd says, or why it could not be asked, in etcdctl's words.

    `endpoint health` and `endpoint status` end with status 1 when one member does not answer; that
    is not lost quorum, and what they print is used.

    Raises:
        FactsError: an answer cannot be understood.
    """
    if "members" not in read.sections:
        return f"{read.host}: it runs no etcd"
    if not read.ok("members"):
        return _complaint(read, "members")
    parse = partial(
        parse_etcd.parse_members, health=read.text("health"), status=read.text("status")
    )
    return EtcdFacts(
        asked=read.host,
        members=read.need("members", parse),
        alarms=read.maybe("alarms", parse_etcd.parse_alarms, ()),
    )


def _complaint(read: Reader, name: str) -> str:
    lines = [line for line in read.text(f"{name}.err").splitlines() if line.strip()]
    said = lines[-1].strip() if lines else "it said nothing and failed"
    return f"{read.host}: {said}"
