"""Wishes, what has to be asked for them, and what offers make of them."""

import pytest

from kubeops.model.upgrading import Offer
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.standing import ClusterStanding
from kubeops.plan.upgrade_path import Wish, find_path, newest_offered, sources_to_ask
from tests.unit.plan.upgrade_values import At, Seen, seen
from tests.unit.plan.values import cluster

M36 = Minor(1, 36)


def offer(host: str, *versions: str, error: str = "") -> Offer:
    return Offer(
        host=host, minor=M36, versions=tuple(map(KubeVersion.parse, versions)), error=error
    )


def standing(version: str, **hosts: At) -> ClusterStanding:
    desired = cluster()
    return ClusterStanding.of(desired, seen(desired, Seen(version=version, hosts=hosts)))


@pytest.mark.parametrize(
    ("text", "minor", "version"),
    [
        ("1.36", M36, None),
        ("v1.36", M36, None),
        ("1.36.1", M36, KubeVersion(1, 36, 1)),
        ("v1.36.1", M36, KubeVersion(1, 36, 1)),
    ],
)
def test_wishes(text: str, minor: Minor, version: KubeVersion | None) -> None:
    wish = Wish.parse(text)
    assert (wish.minor, wish.version) == (minor, version)
    assert str(wish) == text.removeprefix("v")


@pytest.mark.parametrize("text", ["", "1", "latest", "1.36.1-rc.0", "1.36.x"])
def test_no_wishes(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a version|is a pre-release"):
        Wish.parse(text)


@pytest.mark.parametrize(
    ("version", "to", "minors"),
    [
        ("1.34.7", "1.37", ["1.34", "1.35", "1.36", "1.37"]),
        ("1.36.1", "1.36", ["1.36"]),
        ("1.36.1", "1.35", []),
    ],
)
def test_sources_to_ask(version: str, to: str, minors: list[str]) -> None:
    assert list(map(str, sources_to_ask(standing(version), Wish.parse(to)))) == minors


def test_sources_are_asked_from_the_oldest_control_plane_on() -> None:
    found = standing("1.35.4", cp1=At(control_plane="1.36.1"))
    assert list(map(str, sources_to_ask(found, Wish.parse("1.36")))) == ["1.35", "1.36"]


@pytest.mark.parametrize(
    ("offers", "newest"),
    [
        ((), None),
        ((offer("a", "1.36.0", "1.36.2"), offer("b", "1.36.0", "1.36.1")), "1.36.0"),
        ((offer("a", "1.36.2"), offer("b", "1.36.1")), "1.36.2"),
        ((offer("a", "1.36.1"), offer("b", error="no route")), "1.36.1"),
        ((offer("a", error="no route"),), None),
        ((offer("a"),), None),
        ((Offer(host="a", minor=Minor(1, 35), versions=(KubeVersion(1, 35, 9),)),), None),
    ],
)
def test_the_newest_that_every_host_is_offered(
    offers: tuple[Offer, ...], newest: str | None
) -> None:
    assert newest_offered(offers, M36) == (KubeVersion.parse(newest) if newest else None)


def test_without_a_readable_control_plane_there_is_no_way() -> None:
    desired = cluster(1, 1)
    facts = seen(desired, Seen(version="1.35.4"))
    silent = ClusterStanding(
        hosts=ClusterStanding.of(desired, facts).workers, configured=None, kube_proxy=None
    )
    path = find_path(silent, (), Wish.parse("1.36"))
    assert path.hops == ()
    assert [finding.check for finding in path.findings] == ["control-plane-version"]
    assert sources_to_ask(silent, Wish.parse("1.36")) == ()


def test_an_offer_that_cannot_be_read_is_told_in_its_own_words() -> None:
    path = find_path(standing("1.35.4"), (offer("w1", error="curl: (22) 404"),), Wish.parse("1.36"))
    assert path.hops == ()
    assert "w1: curl: (22) 404" in path.findings[0].text
