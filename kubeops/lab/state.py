"""What is remembered of labs: one JSON file each, written whole or not at all."""

import json
import os
from ipaddress import IPv4Network
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.lab.model import Lab, Node, Source
from kubeops.model.desired import Role

FILE = "lab.json"
FORMAT = 1


def save(lab: Lab) -> None:
    """Write the lab's file."""
    document = {
        "format": FORMAT,
        "name": lab.name,
        "kubernetes": lab.kubernetes,
        "source": lab.source.value,
        "subnet": str(lab.subnet),
        "cgroup": str(lab.cgroup),
        "base": str(lab.base),
        "disk_bytes": lab.disk_bytes,
        "inventory": str(lab.inventory),
        "repository": str(lab.repository),
        "nodes": [
            {"name": node.name, "role": node.role.value, "address": node.address}
            for node in lab.nodes
        ],
    }
    write(lab.directory / FILE, json.dumps(document, indent=2) + "\n")


def load(directory: Path) -> Lab | None:
    """Read the lab kept in `directory`; None when there is none, or it never got that far.

    Raises:
        UsageError: the file was written by another version of kubeops.
    """
    path = directory / FILE
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    if document.get("format") != FORMAT:
        raise UsageError(
            f"{path} was written by another version of kubeops (format {document.get('format')})",
            hint="take the lab down with that version",
        )
    return Lab(
        name=document["name"],
        kubernetes=document["kubernetes"],
        source=Source(document["source"]),
        directory=directory,
        subnet=IPv4Network(document["subnet"]),
        cgroup=Path(document["cgroup"]),
        base=Path(document["base"]),
        disk_bytes=document["disk_bytes"],
        inventory=Path(document["inventory"]),
        repository=Path(document["repository"]),
        nodes=tuple(
            Node(name=node["name"], role=Role(node["role"]), address=node["address"])
            for node in document["nodes"]
        ),
    )


def load_all(labs: Path) -> tuple[Lab, ...]:
    """Read every lab kept below `labs`, by name."""
    found = (load(path.parent) for path in sorted(labs.glob(f"*/{FILE}")))
    return tuple(lab for lab in found if lab is not None)


def write(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace `path` by `text` in one stroke, durable when this returns."""
    partial = path.with_name(f".{path.name}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    partial.rename(path)
