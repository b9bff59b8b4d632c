"""kubectl version, cluster-info, exec, certificate, config, auth and api-resources."""

import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
from typing import Any

from rehearsal import printers
from rehearsal.apierrors import UnreachableError
from rehearsal.kubectl_session import (
    Args,
    CommandError,
    Session,
    StatusOnlyError,
    resource_called,
    short_name,
)
from rehearsal.objects import stamp
from rehearsal.resources import RESOURCES, named

Obj = dict[str, Any]

_KUSTOMIZE = {"33": "v5.6.0", "34": "v5.7.1", "35": "v5.7.1"}
_KUSTOMIZE_NEWEST = "v5.8.0"
_IN_ETCD_IMAGE = ("etcdctl", "etcdutl")


def version(session: Session, args: Args) -> int:
    """Print the client's and the server's version; without a server, the client's and an error."""
    parts = session.version.split(".")
    client = {
        "major": parts[0],
        "minor": parts[1],
        "gitVersion": f"v{session.version}+rehearsal",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "cpython",
        "platform": "linux/amd64",
    }
    body: Obj = {
        "clientVersion": client,
        "kustomizeVersion": _KUSTOMIZE.get(parts[1], _KUSTOMIZE_NEWEST),
    }
    problem: UnreachableError | None = None
    if not args.on("client"):
        try:
            body["serverVersion"] = json.loads(session.client.raw("/version"))
        except UnreachableError as error:
            problem = error
    output = args.one("output")
    if output == "json":
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
    elif output == "yaml":
        sys.stdout.write(printers.to_yaml(body))
    else:
        print(f"Client Version: {client['gitVersion']}")
        print(f"Kustomize Version: {body['kustomizeVersion']}")
        if "serverVersion" in body:
            print(f"Server Version: {body['serverVersion']['gitVersion']}")
    if problem:
        raise problem
    return 0


def cluster_info(session: Session, _args: Args) -> int:
    """Print where the control plane and CoreDNS are."""
    services = session.client.list(
        "services", namespace="kube-system", labels="kubernetes.io/cluster-service=true"
    )["items"]
    server = session.access.server
    print(f"Kubernetes control plane is running at {server}")
    for service in services:
        meta = service["metadata"]
        name = (meta.get("labels") or {}).get("kubernetes.io/name", meta["name"])
        port = (service["spec"].get("ports") or [{}])[0].get("name", "")
        path = f"/api/v1/namespaces/kube-system/services/{meta['name']}:{port}/proxy"
        print(f"{name} is running at {server}{path}")
    print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.")
    return 0


def execute(session: Session, args: Args) -> int:
    """Run etcdctl or etcdutl "in" an etcd pod of this node.

    The node's own binary runs with the node's own files: the paths of a kubeadm etcd pod are host
    paths. Other programs are not in etcd's image, other nodes cannot be reached, and a file written
    to the container's own /tmp is not lost as it would be for real.
    """
    words = [*args.words[:1], *(args.dashed or args.words[1:])]
    if len(words) < 2:  # noqa: PLR2004 - a pod and a command
        raise CommandError("error: you must specify at least one command for the container")
    name, *command = words
    name = name.removeprefix("pod/")
    pod = session.client.get("pods", name, namespace=session.namespace)
    component = (pod["metadata"].get("labels") or {}).get("component")
    if component != "etcd":
        raise CommandError(f'error: rehearsal: exec is played for etcd pods only, not "{name}"')
    if pod["spec"].get("nodeName") != socket.gethostname():
        raise CommandError(
            f'error: rehearsal: pod "{name}" is on {pod["spec"].get("nodeName")}; exec is played on'
            " the pod's own node only"
        )
    if command[0] not in _IN_ETCD_IMAGE:
        identity = hashlib.sha256(os.urandom(16)).hexdigest()
        raise CommandError(
            "error: Internal error occurred: Internal error occurred: error executing command in"
            f' container: failed to exec in container: failed to start exec "{identity}": OCI'
            " runtime exec failed: exec failed: unable to start container process: exec:"
            f' "{command[0]}": executable file not found in $PATH'
        )
    sys.stdout.flush()
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.stderr.write(f"command terminated with exit code {done.returncode}\n")
        raise StatusOnlyError(done.returncode)
    return 0


def certificate(session: Session, args: Args) -> int:
    """Approve or deny certificate requests."""
    if not args.words or args.words[0] not in ("approve", "deny"):
        raise CommandError("error: must specify approve or deny")
    action, *names = args.words
    requests = named("certificatesigningrequests")
    for name in names:
        request = session.client.get(requests.qualified, name.rpartition("/")[2])
        state = request.setdefault("status", {})
        verdict = {"approve": "Approved", "deny": "Denied"}[action]
        now = stamp()
        state["conditions"] = [
            *(item for item in state.get("conditions") or [] if item["type"] != verdict),
            {
                "type": verdict,
                "status": "True",
                "reason": f"Kubectl{action.capitalize()}",
                "message": f"This CSR was {verdict.lower()} by kubectl certificate {action}.",
                "lastUpdateTime": now,
                "lastTransitionTime": now,
            },
        ]
        session.client.replace(requests.qualified, request, subresource="approval")
        word = "approved" if action == "approve" else "denied"
        print(f"{short_name(requests, request['metadata']['name'])} {word}")
    return 0


def config(session: Session, args: Args) -> int:
    """Show the kubeconfig file: view, current-context, get-contexts."""
    import yaml  # noqa: PLC0415 - slow to load

    action = args.words[0] if args.words else ""
    try:
        with open(session.kubeconfig, encoding="utf-8") as file:
            document: Obj = yaml.safe_load(file) or {}
    except OSError:
        document = {}
    current = args.one("context") or document.get("current-context", "")
    if action == "current-context":
        if not current:
            raise CommandError("error: current-context is not set")
        print(current)
        return 0
    if action == "get-contexts":
        for item in document.get("contexts") or []:
            print(item["name"])
        return 0
    if action != "view":
        raise CommandError(f'error: rehearsal: "kubectl config {action}" is not played')
    document = {"apiVersion": "v1", "kind": "Config", **document}
    if args.on("minify"):
        _minify(document, current)
    if not args.on("raw"):
        _hide(document)
    as_json = args.one("output") == "json"
    sys.stdout.write(printers.to_json(document) if as_json else printers.to_yaml(document))
    return 0


def _minify(document: Obj, current: str) -> None:
    contexts = [item for item in document.get("contexts") or [] if item["name"] == current]
    context = contexts[0]["context"] if contexts else {}
    for section, wanted in (("clusters", "cluster"), ("users", "user")):
        document[section] = [
            item for item in document.get(section) or [] if item["name"] == context.get(wanted)
        ]
    document["contexts"], document["current-context"] = contexts, current


def _hide(document: Obj) -> None:
    for item in document.get("clusters") or []:
        if "certificate-authority-data" in item["cluster"]:
            item["cluster"]["certificate-authority-data"] = "DATA+OMITTED"
    for item in document.get("users") or []:
        for field in ("client-certificate-data", "client-key-data"):
            if field in item["user"]:
                item["user"][field] = "DATA+OMITTED"
        if "token" in item["user"]:
            item["user"]["token"] = "REDACTED"  # noqa: S105 - hides one


def auth(session: Session, args: Args) -> int:
    """Answer `auth can-i VERB RESOURCE [NAME]` and `auth whoami`."""
    action, *words = [*args.words, ""]
    if action == "whoami":
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = json.loads(session.client.request("POST", path, body={}))
        user = answer["status"]["userInfo"]
        rows = [["ATTRIBUTE", "VALUE"], ["Username", user["username"]]]
        rows.append(["Groups", f"[{' '.join(user['groups'])}]"])
        sys.stdout.write(printers.table(rows))
        return 0
    if action != "can-i" or len(words) < 3:  # noqa: PLR2004 - verb, resource, and our own blank
        raise CommandError(
            "error: you must specify two or three arguments: verb, resource, and optional"
            " resourceName"
        )
    verb, what = words[0], words[1]
    kind, _, name = what.partition("/")
    resource = None if kind == "*" else resource_called(kind)
    attributes = {
        "verb": verb,
        "group": resource.group if resource else "",
        "resource": resource.plural if resource else "*",
        "subresource": args.one("subresource"),
        "name": name or words[2],
        "namespace": "" if args.on("all-namespaces") else session.namespace,
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    body = {"spec": {"resourceAttributes": attributes}}
    answer = json.loads(session.client.request("POST", path, body=body))
    permitted = answer["status"]["allowed"]
    if not args.on("quiet"):
        print("yes" if permitted else "no")
    return 0 if permitted else 1


def api_resources(_session: Session, args: Args) -> int:
    """Print the resource types there are."""
    if args.one("output") == "name":
        print("\n".join(item.qualified for item in RESOURCES))
        return 0
    rows = [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    rows += [
        [
            item.plural,
            ",".join(item.short),
            item.api_version,
            str(item.namespaced).lower(),
            item.kind,
        ]
        for item in RESOURCES
    ]
    sys.stdout.write(printers.table(rows[1:] if args.on("no-headers") else rows))
    return 0


def api_versions(_session: Session, _args: Args) -> int:
    """Print the API versions there are."""
    print("\n".join(sorted({item.api_version for item in RESOURCES})))
    return 0
