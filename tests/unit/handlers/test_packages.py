from dataclasses import replace

import pytest

from kubeops.engine.context import DONE, NEEDED
from kubeops.errors import CommandError, GateError
from kubeops.handlers.packages import (
    _FETCH_KEY,
    _HOLD,
    ADD_PACKAGE_SOURCE,
    INSTALL_PACKAGES,
    INSTALL_PREREQUISITES,
    installed,
)
from kubeops.lab.rehearsal.packages import MAINTAINER
from kubeops.model.event import REHEARSAL
from kubeops.model.observed import Package
from kubeops.plan.actions import AddPackageSource, InstallPackages, InstallPrerequisites
from kubeops.plan.hosts import KEYRING
from kubeops.transport.fake import writing
from tests.unit.handlers.values import Bench, put, script

URL = "https://pkgs.k8s.io/core:/stable:/v1.35/deb/"
LIST = "/etc/apt/sources.list.d/kubernetes.list"
UNREAD = "/etc/apt/kubernetes.list.unread"
APT = (
    "env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o DPkg::Lock::Timeout=300 "
    "-o Dpkg::Options::=--force-confold"
)
DPKG = ("env", "DEBIAN_FRONTEND=noninteractive", "dpkg")
PACKAGES = InstallPackages(version="1.35.4")
FINISH = "env DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a"
INSTALL = (
    f"{APT} install --allow-change-held-packages --allow-downgrades --no-install-recommends "
    "'kubeadm=1.35.4-*' 'kubectl=1.35.4-*' 'kubelet=1.35.4-*' cri-tools"
)
HOLD = "hold kubeadm kubectl kubelet cri-tools kubernetes-cni"


def test_prerequisites_come_from_a_fresh_index(bench: Bench) -> None:
    bench.runner("w1").on(("env",))
    action = InstallPrerequisites(packages=("curl", "socat"))

    INSTALL_PREREQUISITES.apply(action, bench.context("w1"))

    assert bench.done("w1") == [
        f"{APT} update",
        FINISH,
        f"{APT} install --no-install-recommends curl socat",
    ]


def test_the_source_of_a_minor_is_in_its_place_when_it_has_been_read(bench: Bench) -> None:
    """Signed by its own key, and read alone: other sources may be broken for all we care."""
    host = bench.runner("w1")
    host.on(script(_FETCH_KEY))
    host.on(writing(UNREAD), stdout="changed")
    host.on(("env",))
    host.on(("mv",))

    ADD_PACKAGE_SOURCE.apply(AddPackageSource(url=URL, minor="1.35"), bench.context("w1"))

    assert bench.done("w1") == [
        f"fetch-key {URL} {KEYRING}",
        put(UNREAD),
        (
            f"{APT} update -o APT::Update::Error-Mode=any -o Dir::Etc::sourcelist={UNREAD} "
            "-o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
        ),
        f"mv {UNREAD} {LIST}",
    ]
    assert f"deb [signed-by={KEYRING}] {URL} /\n".encode() in (host.commands[1].stdin or b"")


def test_a_key_that_cannot_be_had_says_what_to_try_on_the_host(bench: Bench) -> None:
    bench.runner("w1").on(script(_FETCH_KEY), status=22, stderr="curl: (22) error: 404")
    action = AddPackageSource(url=URL, minor="1.35")
    with pytest.raises(CommandError) as raised:
        ADD_PACKAGE_SOURCE.apply(action, bench.context("w1"))
    assert raised.value.hint == f"From the host: curl -v {URL}Release.key"


def test_packages_are_pinned_exactly_and_held_again(bench: Bench) -> None:
    """apt drops the holds without a word when it is allowed to change held packages."""
    host = bench.runner("w1")
    host.on(("env",))
    host.on(script(_HOLD))
    host.on(("dpkg-query",), stdout="Kubernetes Authors <dev@kubernetes.io>")

    INSTALL_PACKAGES.apply(PACKAGES, bench.context("w1"))

    assert bench.done("w1") == [
        FINISH,
        INSTALL,
        HOLD,
        "dpkg-query -W -f '${Maintainer}' kubeadm",
    ]
    assert bench.remembered == {}


def test_stand_ins_are_remembered(bench: Bench) -> None:
    host = bench.runner("w1")
    host.on(("env",))
    host.on(script(_HOLD))
    host.on(("dpkg-query",), stdout=MAINTAINER)
    INSTALL_PACKAGES.apply(PACKAGES, bench.context("w1"))
    assert bench.remembered == {REHEARSAL: "1.35.4"}


def test_a_version_the_source_lacks_says_how_to_see_what_it_has(bench: Bench) -> None:
    host = bench.runner("w1")
    host.on(DPKG)
    host.on(("env",), status=100, stderr="E: Version '1.35.4-*' for 'kubeadm' was not found")
    with pytest.raises(CommandError) as raised:
        INSTALL_PACKAGES.apply(PACKAGES, bench.context("w1"))
    assert "apt-cache madison kubeadm" in raised.value.hint
    assert "was not found" in raised.value.output


def test_a_source_that_has_changed_since_it_was_read_is_read_again(bench: Bench) -> None:
    """Without that a host whose index is days old could never be finished by the same command."""
    host = bench.runner("w1")
    host.on(DPKG)
    host.on(("env",), status=100, stderr="E: Failed to fetch x.deb  Hash Sum mismatch", times=1)
    host.on(("env",))
    host.on(script(_HOLD))
    host.on(("dpkg-query",), stdout="Kubernetes Authors <dev@kubernetes.io>")

    INSTALL_PACKAGES.apply(PACKAGES, bench.context("w1"))

    first, second, read, *again = bench.done("w1")[:-2]
    assert [first, second] == again == [FINISH, INSTALL]
    assert f"-o Dir::Etc::sourcelist={LIST}" in read


@pytest.mark.parametrize(
    "words",
    [
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 612 (apt-get)",
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)",
        "dpkg: error: dpkg frontend lock was locked by another process with pid 4711",
    ],
)
def test_another_apt_is_waited_for(bench: Bench, words: str) -> None:
    facts = bench.prepared("w1")
    busy = replace(facts, apt_locked=True)
    bench.hosts["w1"] = [busy, busy, facts]
    host = bench.runner("w1")
    host.on(("env",), status=100, stderr=words, times=1)
    host.on(("env",))

    INSTALL_PREREQUISITES.apply(InstallPrerequisites(packages=("curl",)), bench.context("w1"))

    assert bench.done("w1")[:2] == [f"{APT} update"] * 2
    assert "waiting for another apt or dpkg: it is still at work" in bench.said


def test_another_apt_is_not_waited_for_forever(bench: Bench) -> None:
    bench.hosts["w1"] = [replace(bench.prepared("w1"), apt_locked=True)]
    bench.runner("w1").on(("env",), status=100, stderr="E: Could not get lock")
    with pytest.raises(GateError, match="another apt or dpkg: not within 300 s"):
        INSTALL_PREREQUISITES.apply(InstallPrerequisites(packages=("curl",)), bench.context("w1"))


def test_a_package_that_is_not_held_is_not_done(bench: Bench) -> None:
    facts = bench.prepared("w1")
    bench.hosts["w1"] = [facts]
    assert INSTALL_PACKAGES.check(PACKAGES, bench.context("w1")) == DONE
    loose = replace(facts.packages["kubelet"], held=False)
    bench.hosts["w1"] = [replace(facts, packages={**facts.packages, "kubelet": loose})]
    assert INSTALL_PACKAGES.check(PACKAGES, bench.context("w1")) == NEEDED


def test_dpkg_is_asked_what_is_installed(bench: Bench) -> None:
    answer = "kubelet\t1.35.4-1.1\thold\tinstalled\nkubeadm\t1.35.4-1.1\tinstall\tunpacked\n"
    bench.runner("w1").on(("dpkg-query", "-W"), stdout=answer, status=1)
    found = installed(("kubelet", "kubeadm", "kubectl"), bench.context("w1"))
    assert found == {"kubelet": Package(name="kubelet", version="1.35.4-1.1", held=True)}
    assert bench.runner("w1").commands[0].argv[-3:] == ("kubelet", "kubeadm", "kubectl")


def test_a_dpkg_that_fails_is_no_answer(bench: Bench) -> None:
    bench.runner("w1").on(("dpkg-query", "-W"), status=2, stderr="database is locked")
    with pytest.raises(CommandError):
        installed(("kubelet",), bench.context("w1"))
