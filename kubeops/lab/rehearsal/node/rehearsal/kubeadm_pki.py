"""The certificates and kubeconfig files of a control plane, their signers and contents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from rehearsal import files, pki
from rehearsal.layout import Layout
from rehearsal.manifests import Node
from rehearsal.pki import Key, Pair, Request

ADMIN_GROUP = "kubeadm:cluster-admins"
AUTHORITIES = {"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"}
SIGNERS = {
    "apiserver": "ca",
    "apiserver-kubelet-client": "ca",
    "front-proxy-client": "front-proxy-ca",
    "etcd/server": "etcd/ca",
    "etcd/peer": "etcd/ca",
    "etcd/healthcheck-client": "etcd/ca",
    "apiserver-etcd-client": "etcd/ca",
}
USERS = {
    "admin": ("kubernetes-admin", (ADMIN_GROUP,)),
    "super-admin": ("kubernetes-super-admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
}


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Makes the certificates of one node of one cluster.

    Args:
        layout: where the node's files lie.
        cluster: a complete ClusterConfiguration.
        node: the machine.
    """

    layout: Layout
    cluster: Mapping[str, Any]
    node: Node

    @property
    def folder(self) -> Path:
        """The folder of certificates."""
        return self.layout.at(self.cluster["certificatesDir"])

    @property
    def validity(self) -> timedelta:
        """How long leaf certificates last."""
        return timedelta(seconds=files.duration(self.cluster["certificateValidityPeriod"]))

    @property
    def endpoint(self) -> str:
        """`https://...` of the endpoint everybody uses: the load balancer's, or this node's."""
        return f"https://{self.cluster.get('controlPlaneEndpoint') or self.local}"

    @property
    def local(self) -> str:
        """`address:port` of this node's API server."""
        return f"{self.node.address}:{self.node.port}"

    def new_key(self) -> Key:
        """Make a key of the cluster's algorithm."""
        return pki.new_key(self.cluster["encryptionAlgorithm"])

    def authority(self, name: str) -> Pair:
        """Read an authority."""
        return pki.read_pair(self.folder / name)

    def make_authority(self, name: str) -> Pair:
        """Make an authority unless there is one, and return it."""
        stem = self.folder / name
        if stem.with_name(stem.name + ".crt").exists():
            files.say(f"[certs] Using existing {name} certificate authority")
            return self.authority(name)
        files.say(f'[certs] Generating "{name}" certificate and key')
        validity = timedelta(seconds=files.duration(self.cluster["caCertificateValidityPeriod"]))
        made = pki.authority(
            AUTHORITIES[name], algorithm=self.cluster["encryptionAlgorithm"], validity=validity
        )
        made.write(stem)
        return made

    def make(self, name: str, *, key: Key | None = None) -> Pair:
        """Make and write one leaf certificate, telling what it serves."""
        request = self.request(name)
        pair = pki.issue(
            self.authority(SIGNERS[name]), request, key=key or self.new_key(), algorithm=""
        )
        pair.write(self.folder / name)
        return pair

    def announce(self, name: str) -> None:
        """Say that `name` is generated, and for which names where it serves."""
        files.say(f'[certs] Generating "{name}" certificate and key')
        request = self.request(name)
        if request.server:
            files.say(
                f"[certs] {name} serving cert is signed for DNS names "
                f"[{' '.join(request.dns)}] and IPs "
                f"[{' '.join(request.addresses)}]"
            )

    def request(self, name: str) -> Request:
        """Return what leaf `name` says."""
        if name == "apiserver":
            return self._apiserver()
        if name in {"etcd/server", "etcd/peer"}:
            local = self.cluster["etcd"].get("local", {})
            extra = local.get("serverCertSANs" if name == "etcd/server" else "peerCertSANs") or []
            dns, addresses = _split(extra)
            return Request(
                name=self.node.name,
                dns=_unique(("localhost", self.node.name, *dns)),
                addresses=_unique((self.node.address, "127.0.0.1", "::1", *addresses)),
                server=True,
                client=True,
                validity=self.validity,
            )
        names = {
            "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", (ADMIN_GROUP,)),
            "front-proxy-client": ("front-proxy-client", ()),
            "etcd/healthcheck-client": ("kube-etcd-healthcheck-client", ()),
            "apiserver-etcd-client": ("kube-apiserver-etcd-client", ()),
        }
        common, organizations = names[name]
        return Request(
            name=common, organizations=organizations, client=True, validity=self.validity
        )

    def _apiserver(self) -> Request:
        networking = self.cluster["networking"]
        service = next(ip_network(networking["serviceSubnet"].split(",")[0]).hosts())
        extra = list((self.cluster.get("apiServer") or {}).get("certSANs") or [])
        endpoint = self.cluster.get("controlPlaneEndpoint") or ""
        if endpoint:
            extra.append(endpoint.rpartition(":")[0] if ":" in endpoint else endpoint)
        dns, addresses = _split(extra)
        own = (
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{networking['dnsDomain']}",
            self.node.name,
        )
        return Request(
            name="kube-apiserver",
            dns=_unique((*own, *dns)),
            addresses=_unique((str(service), self.node.address, *addresses)),
            server=True,
            validity=self.validity,
        )

    def make_sa(self) -> None:
        """Make the key pair that signs service account tokens, unless there is one."""
        if (self.folder / "sa.key").exists():
            files.say('[certs] Using the existing "sa" key')
            return
        files.say('[certs] Generating "sa" key and public key')
        key = self.new_key()
        files.write(self.folder / "sa.key", pki.key_pem(key), mode=0o600)
        files.write(self.folder / "sa.pub", pki.public_pem(key), mode=0o600)

    def conf(self, name: str, *, pair: Pair | None = None) -> str:
        """Return the kubeconfig `name` for this node; a new certificate unless `pair` is given."""
        user, organizations = USERS.get(name) or (
            f"system:node:{self.node.name}",
            ("system:nodes",),
        )
        ca = self.authority("ca")
        request = Request(
            name=user, organizations=organizations, client=True, validity=self.validity
        )
        pair = pair or pki.issue(ca, request, key=self.new_key())
        local = name in {"controller-manager", "scheduler", "kubelet"}
        return kubeconfig(
            server=f"https://{self.local}" if local else self.endpoint,
            ca=ca.certificate_pem,
            cluster=self.cluster["clusterName"],
            user=user,
            credentials={
                "client-certificate-data": pki.b64(pair.certificate_pem),
                "client-key-data": pki.b64(pair.key_pem),
            },
        )

    def write_conf(self, name: str) -> None:
        """Write /etc/kubernetes/`name`.conf, telling so."""
        files.say(f'[kubeconfig] Writing "{name}.conf" kubeconfig file')
        files.write(self.layout.conf(name), self.conf(name), mode=0o600)


def kubeconfig(
    *, server: str, ca: bytes, cluster: str, user: str, credentials: Mapping[str, str]
) -> str:
    """Return a kubeconfig file with one context."""
    context = f"{user}@{cluster}"
    return files.dump_yaml(
        {
            "apiVersion": "v1",
            "clusters": [
                {
                    "cluster": {"certificate-authority-data": pki.b64(ca), "server": server},
                    "name": cluster,
                }
            ],
            "contexts": [{"context": {"cluster": cluster, "user": user}, "name": context}],
            "current-context": context,
            "kind": "Config",
            "users": [{"name": user, "user": dict(credentials)}],
        }
    )


def _split(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dns, addresses = [], []
    for name in names:
        try:
            addresses.append(str(ip_network(name).network_address))
        except ValueError:
            dns.append(name)
    return tuple(dns), tuple(addresses)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
