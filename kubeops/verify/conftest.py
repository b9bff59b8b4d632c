"""Fixtures of the properties: the host that is looked at, and what the inventory wants of it."""

import pytest
from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster, Host
from kubeops.verify.api import Api, ask_api
from kubeops.verify.backend import testinfra_host
from kubeops.verify.suite import SUITE, Suite


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every property for each host it is one of."""
    suite = metafunc.config.stash[SUITE]
    mark = metafunc.definition.get_closest_marker("says")
    if mark is None:
        raise LookupError(f"{metafunc.definition.nodeid} does not say what it looks at")
    hosts = [host for host in suite.hosts if mark.args[1](host, suite.cluster)]
    metafunc.parametrize("wanted", hosts, ids=[host.name for host in hosts], scope="session")


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config) -> Suite:
    return pytestconfig.stash[SUITE]


@pytest.fixture(scope="session")
def cluster(suite: Suite) -> Cluster:
    return suite.cluster


@pytest.fixture(scope="session")
def host(wanted: Host, suite: Suite) -> Remote:
    return testinfra_host(wanted.name, suite.questions)


@pytest.fixture(scope="session")
def api(suite: Suite) -> Api:
    return ask_api(suite)
