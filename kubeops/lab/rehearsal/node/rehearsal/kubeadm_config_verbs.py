"""`kubeadm config images|print|validate|migrate`."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_kubelet
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import CONFIG, SOCKET, Context, KubeadmError
from rehearsal.kubeadm_config import CURRENT, GROUP, TIMEOUTS, TOKEN_GROUP
from rehearsal.runtime import Runtime, RuntimeFailureError
from rehearsal.version import REPOSITORY, images

IMAGES = CONFIG | Spec(
    values=("feature-gates", "image-repository", "kubernetes-version", "cri-socket", "output"),
    switches=("allow-missing-template-keys", "show-managed-fields"),
    short={"o": "output"},
)
PRINT = Spec(values=("component-configs",))
CHECK = Spec(values=("config",), switches=("allow-deprecated-api", "allow-experimental-api"))
MIGRATE = Spec(values=("old-config", "new-config"), switches=("allow-experimental-api",))
Obj = dict[str, Any]


def list_images(context: Context, given: Given) -> int:
    """Print the images of a release."""
    names = _images(context, given)
    kind = given.value("output", "text")
    if kind == "text":
        for name in names:
            files.say(name)
        return 0
    found = {
        "kind": "Images",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "images": list(names),
    }
    if kind == "json":
        files.say(json.dumps(found, indent=4))
    elif kind == "yaml":
        files.say(files.dump_yaml(found))
    else:
        raise KubeadmError(
            "could not construct output printer: unable to match a printer suitable for the "
            f"output format {kind}"
        )
    return 0


def pull_images(context: Context, given: Given) -> int:
    """Pull the images of a release.

    Raises:
        KubeadmError: one of them cannot be pulled.
    """
    runtime = Runtime(layout=context.layout)
    for name in _images(context, given):
        try:
            if not runtime.has_image(name):
                runtime.pull(name)
            else:
                runtime.check()
        except RuntimeFailureError as error:
            raise KubeadmError(f'failed to pull image "{name}": {error}') from error
        files.say(f"[config/images] Pulled {name}")
        context.reached("image")
    return 0


def _images(context: Context, given: Given) -> tuple[str, ...]:
    cluster: Obj = {}
    if given.has("config"):
        documents = kubeadm_config.read(given.value("config"))
        kubeadm_config.check_documents(documents, "InitConfiguration", "ClusterConfiguration")
        cluster = dict(documents.get("ClusterConfiguration", {}))
    if given.has("kubernetes-version"):
        cluster["kubernetesVersion"] = given.value("kubernetes-version")
    target = kubeadm_config.wanted_version(cluster, context.version)
    repository = given.value("image-repository") or cluster.get("imageRepository") or REPOSITORY
    tag = ((cluster.get("etcd") or {}).get("local") or {}).get("imageTag", "")
    try:
        return images(
            target,
            repository=repository,
            etcd_tag=tag,
            dns=cluster.get("dns"),
            proxy=cluster.get("proxy"),
        )
    except ValueError as error:
        raise KubeadmError(str(error)) from error


def print_init(context: Context, given: Given) -> int:
    """Print the default InitConfiguration and ClusterConfiguration."""
    first = {
        "apiVersion": f"{GROUP}/{CURRENT}",
        "bootstrapTokens": [
            {
                "groups": [TOKEN_GROUP],
                "token": "abcdef.0123456789abcdef",
                "ttl": "24h0m0s",
                "usages": ["signing", "authentication"],
            }
        ],
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": "1.2.3.4", "bindPort": 6443},
        "nodeRegistration": _registration("node"),
        "timeouts": TIMEOUTS,
    }
    cluster = kubeadm_config.cluster({}, version=context.version)
    cluster["kubernetesVersion"] = f"{context.version.series}.0"
    _print(first, cluster, *_components(given, cluster))
    return 0


def print_join(context: Context, given: Given) -> int:
    """Print the default JoinConfiguration."""
    del context, given
    _print(
        {
            "apiVersion": f"{GROUP}/{CURRENT}",
            "caCertPath": "/etc/kubernetes/pki/ca.crt",
            "discovery": {
                "bootstrapToken": {
                    "apiServerEndpoint": "kube-apiserver:6443",
                    "token": "abcdef.0123456789abcdef",
                    "unsafeSkipCAVerification": True,
                },
                "tlsBootstrapToken": "abcdef.0123456789abcdef",
            },
            "kind": "JoinConfiguration",
            "nodeRegistration": _registration(_hostname()),
            "timeouts": TIMEOUTS,
        }
    )
    return 0


def print_reset(context: Context, given: Given) -> int:
    """Print the default ResetConfiguration."""
    del context, given
    _print(
        {
            "apiVersion": f"{GROUP}/{CURRENT}",
            "certificatesDir": "/etc/kubernetes/pki",
            "criSocket": SOCKET,
            "kind": "ResetConfiguration",
            "timeouts": TIMEOUTS,
        }
    )
    return 0


def print_upgrade(context: Context, given: Given) -> int:
    """Print the default UpgradeConfiguration."""
    del context, given
    usual = {
        "certificateRenewal": True,
        "etcdUpgrade": True,
        "imagePullPolicy": "IfNotPresent",
        "imagePullSerial": True,
    }
    _print(
        {
            "apiVersion": f"{GROUP}/{CURRENT}",
            "apply": usual,
            "diff": {},
            "kind": "UpgradeConfiguration",
            "node": usual,
            "plan": {"etcdUpgrade": True},
            "timeouts": TIMEOUTS,
        }
    )
    return 0


def validate(context: Context, given: Given) -> int:
    """Say whether a configuration file is right.

    Raises:
        KubeadmError: it is not.
    """
    del context
    if not given.has("config"):
        raise KubeadmError("the --config flag is mandatory")
    kubeadm_config.read(given.value("config"))
    files.say("ok")
    return 0


def migrate(context: Context, given: Given) -> int:
    """Print a configuration file in the present API version.

    Raises:
        KubeadmError: it cannot be read.
    """
    del context
    if not given.has("old-config"):
        raise KubeadmError("the --old-config flag is mandatory")
    documents = kubeadm_config.read(given.value("old-config"))
    text = "---\n".join(files.dump_yaml(document) for document in documents.values())
    if given.has("new-config"):
        with open(given.value("new-config"), "w") as target:
            target.write(text)
    else:
        files.say(text)
    return 0


def _registration(name: str) -> Obj:
    return {
        "criSocket": SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "imagePullSerial": True,
        "name": name,
        "taints": None,
    }


def _hostname() -> str:
    import socket  # noqa: PLC0415 - one use

    return socket.gethostname()


def _components(given: Given, cluster: Mapping[str, Any]) -> list[Obj]:
    known: dict[str, Callable[[], Obj]] = {
        "KubeletConfiguration": lambda: kubeadm_kubelet.configuration(cluster, {}),
    }
    wanted = given.values("component-configs")
    for name in wanted:
        if name not in known:
            raise KubeadmError(
                f'--component-configs needs to contain a list of known kinds, "{name}" is none'
            )
    return [known[name]() for name in wanted]


def _print(*documents: Mapping[str, Any]) -> None:
    print(
        "---\n".join(files.dump_yaml(dict(document)) for document in documents), end="", flush=True
    )


VERBS: Mapping[str, tuple[Callable[[Context, Given], int], Spec]] = {
    "config images list": (list_images, IMAGES),
    "config images pull": (pull_images, IMAGES),
    "config print init-defaults": (print_init, PRINT),
    "config print join-defaults": (print_join, PRINT),
    "config print reset-defaults": (print_reset, PRINT),
    "config print upgrade-defaults": (print_upgrade, PRINT),
    "config validate": (validate, CHECK),
    "config migrate": (migrate, MIGRATE),
}
