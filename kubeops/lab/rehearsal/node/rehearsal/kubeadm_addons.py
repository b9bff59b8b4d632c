"""CoreDNS and kube-proxy as kubeadm applies them.

Their pods do nothing in a rehearsal; their images tell the version.
"""

from collections.abc import Mapping
from typing import Any

from rehearsal import files
from rehearsal.client import Client
from rehearsal.kubeadm_kubelet import dns_address
from rehearsal.kubeadm_objects import SYSTEM, config_map, put
from rehearsal.version import REPOSITORY, Version, companions

Obj = dict[str, Any]
COREFILE = """\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""
ZERO = "0s"


def apply(
    client: Client, cluster: Mapping[str, Any], version: Version, proxy: Mapping[str, Any]
) -> None:
    """Apply both addons unless the configuration switches them off."""
    apply_dns(client, cluster, version)
    apply_proxy(client, cluster, version, proxy)


def apply_dns(client: Client, cluster: Mapping[str, Any], version: Version) -> None:
    """Apply CoreDNS; a Corefile that is there is kept."""
    dns = cluster.get("dns") or {}
    if dns.get("disabled"):
        return
    repository = dns.get("imageRepository") or cluster["imageRepository"]
    name = "coredns/coredns" if repository == REPOSITORY else "coredns"
    image = f"{repository}/{name}:{dns.get('imageTag') or companions(version).coredns}"
    if client.find("configmaps", "coredns", namespace=SYSTEM) is None:
        corefile = COREFILE.format(domain=cluster["networking"]["dnsDomain"])
        put(client, "configmaps", config_map("coredns", {"Corefile": corefile}))
    _account(client, "coredns")
    put(client, "deployments", _dns_deployment(image))
    put(client, "services", _dns_service(dns_address(cluster["networking"]["serviceSubnet"])))
    files.say("[addons] Applied essential addon: CoreDNS")


def apply_proxy(
    client: Client, cluster: Mapping[str, Any], version: Version, proxy: Mapping[str, Any]
) -> None:
    """Apply kube-proxy."""
    if (cluster.get("proxy") or {}).get("disabled"):
        return
    present = client.find("configmaps", "kube-proxy", namespace=SYSTEM)
    if present is None:
        server = client.access.server
        endpoint = cluster.get("controlPlaneEndpoint")
        data = {
            "config.conf": files.dump_yaml(_proxy_configuration(cluster, proxy)),
            "kubeconfig.conf": _PROXY_CONF.format(
                server=f"https://{endpoint}" if endpoint else server
            ),
        }
        body = config_map("kube-proxy", data, hashed="config.conf")
        body["metadata"]["labels"] = {"app": "kube-proxy"}
        put(client, "configmaps", body)
    _account(client, "kube-proxy")
    put(
        client, "daemonsets", _proxy_daemonset(f"{cluster['imageRepository']}/kube-proxy:{version}")
    )
    files.say("[addons] Applied essential addon: kube-proxy")


def _account(client: Client, name: str) -> None:
    meta = {"name": name, "namespace": SYSTEM}
    if client.find("serviceaccounts", name, namespace=SYSTEM) is None:
        put(
            client,
            "serviceaccounts",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        )


def _dns_deployment(image: str) -> Obj:
    labels = {"k8s-app": "kube-dns"}
    probe = {"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "failureThreshold": 5}
    container = {
        "args": ["-conf", "/etc/coredns/Corefile"],
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "livenessProbe": probe,
        "name": "coredns",
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
        ],
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "volumeMounts": [{"mountPath": "/etc/coredns", "name": "config-volume", "readOnly": True}],
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"},
        ],
        "volumes": [{"configMap": {"name": "coredns"}, "name": "config-volume"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": SYSTEM, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 1}, "type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _dns_service(address: str) -> Obj:
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": SYSTEM, "labels": labels},
        "spec": {
            "clusterIP": address,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
            ],
            "selector": {"k8s-app": "kube-dns"},
        },
    }


def _proxy_daemonset(image: str) -> Obj:
    labels = {"k8s-app": "kube-proxy"}
    container = {
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "name": "kube-proxy",
        "resources": {},
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"mountPath": "/var/lib/kube-proxy", "name": "kube-proxy"},
            {"mountPath": "/run/xtables.lock", "name": "xtables-lock"},
            {"mountPath": "/lib/modules", "name": "lib-modules", "readOnly": True},
        ],
    }
    spec = {
        "containers": [container],
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "tolerations": [{"operator": "Exists"}],
        "volumes": [
            {"configMap": {"name": "kube-proxy"}, "name": "kube-proxy"},
            {
                "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"},
                "name": "xtables-lock",
            },
            {"hostPath": {"path": "/lib/modules"}, "name": "lib-modules"},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": SYSTEM, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            "updateStrategy": {"type": "RollingUpdate"},
        },
    }


def _proxy_configuration(cluster: Mapping[str, Any], given: Mapping[str, Any]) -> Obj:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "bindAddress": "0.0.0.0",  # noqa: S104 - kubeadm's default
        "bindAddressHardFail": False,
        "clientConnection": {
            "acceptContentTypes": "",
            "burst": 0,
            "contentType": "",
            "kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf",
            "qps": 0,
        },
        "clusterCIDR": cluster["networking"].get("podSubnet", ""),
        "configSyncPeriod": ZERO,
        "detectLocal": {"bridgeInterface": "", "interfaceNamePrefix": ""},
        "detectLocalMode": "",
        "enableProfiling": False,
        "healthzBindAddress": "",
        "hostnameOverride": "",
        "kind": "KubeProxyConfiguration",
        "metricsBindAddress": "",
        "mode": "",
        "nodePortAddresses": None,
        "oomScoreAdj": None,
        "portRange": "",
        "showHiddenMetricsForVersion": "",
    } | dict(given)


_PROXY_CONF = """\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
"""
