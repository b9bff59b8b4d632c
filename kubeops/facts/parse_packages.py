"""Parsers of package states and program versions. Each raises ValueError on what it cannot read."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping

from kubeops.model.observed import Package
from kubeops.model.version import KubeVersion

_UPSTREAM = re.compile(r"(?:\d+:)?v?(\d+\.\d+\.\d+)")
_ABSENT = frozenset({"not-installed", "config-files"})
_WHOLE = frozenset({"installed", "triggers-awaited", "triggers-pending"})


def parse_packages(text: str) -> Mapping[str, Package]:
    """Read the installed packages of `dpkg-query -W`: name, version, what is wanted, what is."""
    return {
        name: Package(name=name, version=version, held=want == "hold")
        for name, version, want, state in _rows(text)
        if state in _WHOLE
    }


def parse_half_installed(text: str) -> frozenset[str]:
    """Read the packages of `dpkg-query -W` that are neither installed nor gone."""
    return frozenset(name for name, *_, state in _rows(text) if state not in _WHOLE | _ABSENT)


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        row = line.split("\t")
        if len(row) != len(("name", "version", "want", "state")):
            raise ValueError(f"{line!r} is not four columns")
        yield row


def parse_release(text: str) -> KubeVersion:
    """Read `v1.35.4` or `Kubernetes v1.35.4`."""
    return KubeVersion.parse(text.strip().removeprefix("Kubernetes "))


def parse_kubectl(text: str) -> KubeVersion | None:
    """Read `kubectl version --client -o json`; None for another vendor's build."""
    found = json.loads(text)["clientVersion"]["gitVersion"]
    try:
        return KubeVersion.parse(found)
    except ValueError:
        return None


def parse_containerd(text: str) -> str:
    """Read `containerd --version`: program, source, version, commit."""
    program, _source, version, *_commit = text.split()
    if program != "containerd":
        raise ValueError(f"{text!r} is not containerd's version")
    return upstream(version)


def containerd_package(packages: Mapping[str, Package]) -> Package | None:
    """Return the package that containerd came with: Debian's, or Docker's; None for neither."""
    return packages.get("containerd") or packages.get("containerd.io")


def packaged_release(package: Package | None) -> KubeVersion | None:
    """Return the release a package holds; None for no package and for another vendor's."""
    if package is None:
        return None
    try:
        return KubeVersion.from_package(package.version)
    except ValueError:
        return None


def upstream(version: str) -> str:
    """Return the upstream part of a version: `1.6.20` of `1:1.6.20~ds1-1+deb12u1`."""
    match = _UPSTREAM.match(version)
    if match is None:
        raise ValueError(f"{version!r} is not a version such as 2.1.9")
    return match[1]


def parse_sandbox_image(text: str) -> str | None:
    """Read the sandbox image of containerd's config.toml, of containerd 1 (v2) and 2 (v3).

    None when the file leaves it to containerd's default.
    """
    plugins = tomllib.loads(text).get("plugins", {})
    images = plugins.get("io.containerd.cri.v1.images", {})
    cri = plugins.get("io.containerd.grpc.v1.cri", {})
    image = images.get("pinned_images", {}).get("sandbox") or cri.get("sandbox_image")
    if image is not None and not isinstance(image, str):
        raise ValueError(f"the sandbox image is {image!r}")
    return image
