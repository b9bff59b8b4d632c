"""The crictl stand-in: the runtime's images and containers in the shapes and words of the real one.

Knows ps, pods, images, pull, rmi, inspect, inspecti, inspectp, info, logs, stop, rm, stopp, rmp and
version. Not: exec, attach, port-forward, stats, run, create.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rehearsal import cobra, containerd, faults, files
from rehearsal import crictl_shapes as shapes
from rehearsal.cobra import Given, Spec
from rehearsal.kubelet_node import network_ready
from rehearsal.layout import Layout
from rehearsal.runtime import Container, Image, Runtime, RuntimeFailureError, tagged

ENDPOINTS = "[unix:///run/containerd/containerd.sock unix:///run/crio/crio.sock unix:///var/run/cri-dockerd.sock]"
COMMON = Spec(
    values=("runtime-endpoint", "image-endpoint", "timeout", "config"),
    switches=("debug",),
    short={
        "r": "runtime-endpoint",
        "i": "image-endpoint",
        "t": "timeout",
        "c": "config",
        "D": "debug",
    },
)
LIST = Spec(
    values=("output", "name", "state", "pod", "label", "image", "namespace", "last"),
    switches=("all", "quiet", "no-trunc", "latest", "verbose"),
    short={"o": "output", "a": "all", "q": "quiet", "s": "state", "p": "pod", "l": "latest"},
)
SHORT_ID = 13


class CrictlError(Exception):
    """The command failed; the text is the one after `FATA[0000] `."""


def main(argv: Sequence[str], version: str, *, layout: Layout | None = None) -> int:  # noqa: PLR0911 - one per way to end
    """Run `crictl` with `argv`; `version` is that of cri-tools. Returns the exit status."""
    layout = layout or Layout()
    try:
        given = cobra.parse(
            argv,
            COMMON
            | LIST
            | Spec(switches=("version", "force", "prune"), short={"v": "version", "f": "force"}),
        )
    except cobra.FlagError as error:
        name = str(error).rpartition(" ")[2].lstrip("-")
        files.warn(f"FATA[0000] flag provided but not defined: -{name}")
        return 1
    if given.switch("version"):
        files.say(f"crictl version v{version}")
        return 0
    if not given.words:
        files.warn("FATA[0000] the rehearsal shows no help; name a command")
        return 1
    command, *names = given.words
    if command not in COMMANDS:
        files.warn(f'FATA[0000] No help topic for "{command}"')
        return 1
    _endpoint(given, layout, images=command in {"images", "image", "pull", "rmi", "inspecti"})
    runtime = Runtime(layout=layout)
    try:
        runtime.check()
    except RuntimeFailureError as error:
        files.warn(
            "FATA[0000] validate service connection: validate CRI v1 runtime API for endpoint "
            f'"unix://{runtime.socket}": {error}'
        )
        return 1
    try:
        COMMANDS[command](runtime, given, names)
    except (CrictlError, RuntimeFailureError) as error:
        files.warn(f"FATA[0000] {error}")
        return 1
    return 0


def run(argv: Sequence[str], version: str) -> int:
    """Run crictl under the orders for faults; the launcher's entry."""
    return faults.call("crictl", argv, lambda _: main(argv, version))


def _endpoint(given: Given, layout: Layout, *, images: bool) -> None:
    if given.has("runtime-endpoint") or layout.at("/etc/crictl.yaml").exists():
        return
    moment = files.stamp()
    kind = "Image" if images else "runtime"
    files.warn(
        f'time="{moment}" level=warning msg="Config \\"/etc/crictl.yaml\\" does not exist, '
        "trying next: "
        '\\"/usr/bin/crictl.yaml\\""'
    )
    files.warn(
        f'time="{moment}" level=warning msg="{kind} connect using default endpoints: '
        f"{ENDPOINTS}. As the default "
        'settings are now deprecated, you should set the endpoint instead."'
    )


def _ps(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del names
    pattern, state = given.value("name"), given.value("state").lower()
    found = [
        container
        for container in runtime.containers()
        if (given.switch("all") or state or shapes.is_running(runtime, container))
        and (not state or state == shapes.state_of(runtime, container).lower())
        and (not pattern or re.search(pattern, container.name))
        and (not given.value("pod") or container.pod_id.startswith(given.value("pod")))
    ]
    if given.switch("quiet"):
        for container in found:
            files.say(container.id)
        return
    if given.value("output") == "json":
        shapes.print_json(
            {"containers": [shapes.container_object(runtime, container) for container in found]}
        )
        return
    head = (
        "CONTAINER",
        "IMAGE",
        "CREATED",
        "STATE",
        "NAME",
        "ATTEMPT",
        "POD ID",
        "POD",
        "NAMESPACE",
    )
    rows = [
        (
            c.id[:SHORT_ID],
            Image(name=c.image).id[:SHORT_ID],
            shapes.ago(c.created),
            shapes.state_of(runtime, c),
            c.name,
            str(c.attempt),
            c.pod_id[:SHORT_ID],
            c.pod,
            c.namespace,
        )
        for c in found
    ]
    shapes.print_table(head, rows)


def _pods(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del names
    newest = {container.pod_id: container for container in reversed(runtime.containers())}
    found = [
        container
        for container in sorted(newest.values(), key=lambda c: -c.created)
        if (not given.value("name") or re.search(given.value("name"), container.pod))
        and (
            not given.value("state")
            or given.value("state").lower() == shapes.pod_state(runtime, container).lower()
        )
        and given.value("namespace") in {"", container.namespace}
    ]
    if given.switch("quiet"):
        for container in found:
            files.say(container.pod_id)
        return
    if given.value("output") == "json":
        items = [
            {
                "id": c.pod_id,
                "metadata": {"attempt": 0, "name": c.pod, "namespace": c.namespace, "uid": c.uid},
                "state": f"SANDBOX_{shapes.pod_state(runtime, c).upper()}",
                "createdAt": str(c.created),
                "labels": shapes.labels_of(c),
                "annotations": {},
                "runtimeHandler": "",
            }
            for c in found
        ]
        shapes.print_json({"items": items})
        return
    head = ("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME")
    rows = [
        (
            c.pod_id[:SHORT_ID],
            shapes.ago(c.created),
            shapes.pod_state(runtime, c),
            c.pod,
            c.namespace,
            "0",
            "(default)",
        )
        for c in found
    ]
    shapes.print_table(head, rows)


def _images(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    found = [i for i in runtime.images() if not names or i.repository in names or i.name in names]
    if given.switch("quiet"):
        for image in found:
            files.say(f"sha256:{image.id}")
    elif given.value("output") == "json":
        shapes.print_json({"images": [shapes.image_object(image) for image in found]})
    else:
        rows = [(i.repository, i.tag, i.id[:SHORT_ID], shapes.human_size(i.size)) for i in found]
        shapes.print_table(("IMAGE", "TAG", "IMAGE ID", "SIZE"), rows)


def _pull(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    if len(names) != 1:
        raise CrictlError("ID cannot be empty")
    try:
        image = runtime.pull(names[0])
    except RuntimeFailureError as error:
        raise CrictlError(f"pulling image: {error}") from error
    files.say(f"Image is up to date for sha256:{image.id}")


def _rmi(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    used = {tagged(c.image) for c in runtime.containers()}
    if given.switch("prune") or given.switch("all"):
        names = [i.name for i in runtime.images() if given.switch("all") or i.name not in used]
    for name in names:
        if not runtime.remove_image(name if len(name) >= SHORT_ID else tagged(name)):
            raise CrictlError(f'no such image "{name}"')
        files.say(f"Deleted: {name}")


def _inspecti(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    for name in names:
        for image in runtime.images():
            if name in {image.name, image.id, f"sha256:{image.id}"} or image.id.startswith(name):
                shapes.print_json({"status": shapes.image_object(image), "info": {}})
                break
        else:
            raise CrictlError(f'no such image "{name}" present')


def _inspect(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    for name in names:
        container = _find(runtime, name)
        image = Image(name=container.image)
        info = {
            "pid": container.pid,
            "config": {
                "command": list(container.command),
                "image": {"image": f"sha256:{image.id}", "user_specified_image": container.image},
                "labels": shapes.labels_of(container),
                "metadata": {"name": container.name},
            },
        }
        status = shapes.container_object(runtime, container) | {
            "exitCode": container.exit_code,
            "finishedAt": str(container.finished),
            "logPath": container.log,
        }
        shapes.print_json({"info": info, "status": status})


def _inspectp(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    for name in names:
        container = next((c for c in runtime.containers() if c.pod_id.startswith(name)), None)
        if container is None:
            raise CrictlError(f'getting sandbox status of pod "{name}": not found')
        shapes.print_json(
            {"status": {"id": container.pod_id, "labels": shapes.labels_of(container)}, "info": {}}
        )


def _info(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given, names
    config = containerd.read_config(runtime.layout)
    ready = network_ready(runtime.layout)
    reason = (
        {}
        if ready
        else {
            "message": "Network plugin returns error: cni plugin not initialized",
            "reason": "NetworkPluginNotReady",
        }
    )
    shapes.print_json(
        {
            "cniconfig": {
                "PluginConfDir": "/etc/cni/net.d",
                "PluginDirs": ["/opt/cni/bin"],
                "Prefix": "eth",
            },
            "config": {
                "containerd": {
                    "defaultRuntimeName": "runc",
                    "runtimes": {
                        "runc": {
                            "options": {"SystemdCgroup": containerd.systemd_cgroup(config)},
                            "runtimeType": "io.containerd.runc.v2",
                        }
                    },
                },
                "pinnedImages": {"sandbox": containerd.sandbox_image(config)},
                "sandboxImage": containerd.sandbox_image(config),
            },
            "status": {
                "conditions": [
                    {"message": "", "reason": "", "status": True, "type": "RuntimeReady"},
                    {"message": "", "reason": "", "status": ready, "type": "NetworkReady"} | reason,
                ]
            },
        }
    )


def _logs(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    for name in names:
        log = _find(runtime, name).log
        path = runtime.layout.at(log) if log else None
        if path is not None and path.exists():
            print(path.read_text(errors="replace"), end="")


def _stop(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    grace = float(given.value("timeout")) if given.has("timeout") else 0.0
    for name in names:
        runtime.stop(_find(runtime, name), grace=grace)
        files.say(name)


def _rm(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    for name in names:
        container = _find(runtime, name)
        if shapes.is_running(runtime, container) and not given.switch("force"):
            raise CrictlError(f'removing the container "{name}": container is still running')
        runtime.stop(container, grace=0)
        runtime.forget(container)
        files.say(name)


def _pod_end(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given
    for name in names:
        for container in runtime.containers():
            if container.pod_id.startswith(name):
                runtime.stop(container, grace=2)
                runtime.forget(container)
        files.say(f"Stopped sandbox {name}")


def _version(runtime: Runtime, given: Given, names: Sequence[str]) -> None:
    del given, names
    path = Path("/usr/lib/kubeops-rehearsal/containerd/VERSION")
    own = path.read_text().strip() if path.exists() else "2.1.9"
    files.say("Version:  0.1.0")
    files.say("RuntimeName:  containerd")
    files.say(f"RuntimeVersion:  {own}+rehearsal")
    files.say("RuntimeApiVersion:  v1")
    del runtime


COMMANDS: Mapping[str, Callable[[Runtime, Given, Sequence[str]], None]] = {
    "ps": _ps,
    "pods": _pods,
    "images": _images,
    "image": _images,
    "pull": _pull,
    "rmi": _rmi,
    "inspect": _inspect,
    "inspecti": _inspecti,
    "inspectp": _inspectp,
    "info": _info,
    "logs": _logs,
    "stop": _stop,
    "rm": _rm,
    "stopp": _pod_end,
    "rmp": _pod_end,
    "version": _version,
}


def _find(runtime: Runtime, name: str) -> Container:
    for container in runtime.containers():
        if container.id.startswith(name):
            return container
    raise CrictlError(
        "rpc error: code = NotFound desc = an error occurred when try to find container "
        f'"{name}": not found'
    )
