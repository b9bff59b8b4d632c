"""Containers and images in the shapes that crictl prints: JSON objects and tables."""

import json
import time
from collections.abc import Sequence
from typing import Any

from rehearsal import files
from rehearsal.runtime import Container, Image, Runtime

NARROWEST = 20
Row = Sequence[str]


def is_running(runtime: Runtime, container: Container) -> bool:
    """Whether a container runs."""
    return container.running and runtime.alive(container)


def state_of(runtime: Runtime, container: Container) -> str:
    """Return a container's state as crictl shows it."""
    return "Running" if is_running(runtime, container) else "Exited"


def pod_state(runtime: Runtime, container: Container) -> str:
    """Return the state of a container's sandbox."""
    return "Ready" if is_running(runtime, container) else "NotReady"


def labels_of(container: Container) -> dict[str, str]:
    """Return the labels the kubelet gives a container."""
    return {
        "io.kubernetes.container.name": container.name,
        "io.kubernetes.pod.name": container.pod,
        "io.kubernetes.pod.namespace": container.namespace,
        "io.kubernetes.pod.uid": container.uid,
    }


def container_object(runtime: Runtime, container: Container) -> dict[str, Any]:
    """Return a container as the CRI describes it."""
    image = Image(name=container.image)
    return {
        "id": container.id,
        "podSandboxId": container.pod_id,
        "metadata": {"name": container.name, "attempt": container.attempt},
        "image": {
            "image": f"sha256:{image.id}",
            "annotations": {},
            "userSpecifiedImage": container.image,
            "runtimeHandler": "",
            "imageRef": "",
        },
        "imageRef": f"sha256:{image.id}",
        "state": f"CONTAINER_{state_of(runtime, container).upper()}",
        "createdAt": str(container.created),
        "labels": labels_of(container),
        "annotations": {
            "io.kubernetes.container.hash": container.fingerprint[:8],
            "io.kubernetes.container.restartCount": str(container.attempt),
            "io.kubernetes.pod.terminationGracePeriod": str(int(container.grace)),
        },
        "imageId": "",
    }


def image_object(image: Image) -> dict[str, Any]:
    """Return an image as the CRI describes it."""
    return {
        "id": f"sha256:{image.id}",
        "repoTags": [image.name],
        "repoDigests": [f"{image.repository}@sha256:{image.digest}"],
        "size": str(image.size),
        "uid": None,
        "username": "",
        "pinned": image.repository.endswith("/pause"),
    }


def ago(nanoseconds: int) -> str:
    """Return an age the way crictl writes it."""
    seconds = int(time.time() - nanoseconds / 1e9)
    steps = (
        (1, "Less than a second"),
        (2, "1 second"),
        (60, f"{seconds} seconds"),
        (120, "About a minute"),
        (3600, f"{seconds // 60} minutes"),
        (7200, "About an hour"),
        (172800, f"{seconds // 3600} hours"),
    )
    text = next((text for limit, text in steps if seconds < limit), f"{seconds // 86400} days")
    return f"{text} ago"


def human_size(count: int) -> str:
    """Return a number of bytes as crictl writes it."""
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:  # noqa: PLR2004 - decimal units
        value, units = value / 1000, units[1:]
    return f"{value:.3g}{units[0]}"


def print_table(head: Row, rows: Sequence[Row]) -> None:
    """Print rows in columns as wide as crictl makes them."""
    widths = [
        max(NARROWEST, 3 + max(len(row[i]) for row in [head, *rows])) for i in range(len(head) - 1)
    ]
    for row in [head, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        files.say("".join(cells) + row[-1])


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    files.say(json.dumps(value, indent=2))
