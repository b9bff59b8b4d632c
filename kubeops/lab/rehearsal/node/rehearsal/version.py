"""Versions: which releases there are, what belongs to each, and how they compare.

`releases.json` beside this file is the only list; the package repository is built from it too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILD = "+rehearsal"
REPOSITORY = "registry.k8s.io"


@dataclass(frozen=True, order=True)
class Version:
    """A Kubernetes release. `str()` gives `v1.35.4`."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.bare}"

    @property
    def bare(self) -> str:
        """The version without its leading v."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def series(self) -> str:
        """Major and minor, as package repositories are named."""
        return f"{self.major}.{self.minor}"

    @property
    def full(self) -> str:
        """What the stand-ins say they are: the version with its build metadata."""
        return f"{self}{BUILD}"


def parse(text: str) -> Version:
    """Read `1.35.4`, `v1.35.4` or `v1.35.4+rehearsal`.

    Raises:
        ValueError: it is none of these.
    """
    bare = text.strip().removeprefix("v").split("+")[0].split("-")[0]
    parts = bare.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):  # noqa: PLR2004 - major.minor.patch
        raise ValueError(f'could not parse "{text}" as version')
    return Version(*(int(part) for part in parts))


@dataclass(frozen=True, kw_only=True)
class Release:
    """What ships with a minor: its patch releases and the companions' versions."""

    patches: tuple[str, ...]
    etcd: str
    coredns: str
    pause: str
    cri_tools: str
    cni: str


def releases() -> dict[str, Release]:
    """Return every minor the rehearsal knows, oldest first."""
    text = Path(__file__).with_name("releases.json").read_text()
    return {
        series: Release(
            patches=tuple(entry["patches"]),
            etcd=entry["etcd"],
            coredns=entry["coredns"],
            pause=entry["pause"],
            cri_tools=entry["cri-tools"],
            cni=entry["kubernetes-cni"],
        )
        for series, entry in json.loads(text).items()
    }


def companions(version: Version) -> Release:
    """Return what ships with `version`'s minor.

    Raises:
        ValueError: the rehearsal has no such minor.
    """
    known = releases()
    if version.series not in known:
        raise ValueError(f"this rehearsal knows no Kubernetes {version.series}")
    return known[version.series]


def images(
    version: Version,
    *,
    repository: str = REPOSITORY,
    etcd_tag: str = "",
    dns: Mapping[str, Any] | None = None,
    proxy: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Return the images kubeadm lists for `version`, in its order.

    `dns` and `proxy` are the sections of a ClusterConfiguration.
    """
    release = companions(version)
    own, addons = dns or {}, []
    if not (proxy or {}).get("disabled"):
        addons.append(f"{repository}/kube-proxy:{version}")
    if not own.get("disabled"):
        place = own.get("imageRepository") or repository
        name = "coredns/coredns" if place == REPOSITORY else "coredns"
        addons.append(f"{place}/{name}:{own.get('imageTag') or release.coredns}")
    return (
        f"{repository}/kube-apiserver:{version}",
        f"{repository}/kube-controller-manager:{version}",
        f"{repository}/kube-scheduler:{version}",
        *addons,
        f"{repository}/pause:{release.pause}",
        f"{repository}/etcd:{etcd_tag or release.etcd}",
    )


def pullable(image: str) -> bool:
    """Whether a registry would have `image`: Kubernetes images exist for known releases only."""
    name, _, tag = image.rpartition(":")
    if not name.rpartition("/")[2].startswith("kube-"):
        return True
    try:
        version = parse(tag)
    except ValueError:
        return not name.startswith(REPOSITORY)
    known = releases().get(version.series)
    return known is not None and version.bare in known.patches


def client_version(version: Version) -> dict[str, str]:
    """Return the `clientVersion` object that kubeadm and kubectl print."""
    return {
        "major": str(version.major),
        "minor": str(version.minor),
        "gitVersion": version.full,
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2026-08-20T00:00:00Z",
        "goVersion": "go1.25.5",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
