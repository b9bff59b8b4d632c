"""Runs the suite in this process and returns what it found.

pytest is shut off from everything around it: it reads no configuration file, no `PYTEST_*` variable
and no plugin of the environment, prints nothing and writes nothing.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.model.desired import Cluster
from kubeops.model.verify import Verified, VerifyReport
from kubeops.model.version import KubeVersion
from kubeops.transport.base import Transport
from kubeops.verify.api import Api, ask_api
from kubeops.verify.plugin import Collector, Progress
from kubeops.verify.questions import Questions
from kubeops.verify.suite import Suite

_FOLDER = Path(__file__).parent
_UNUSED = (
    "cacheprovider",
    "doctest",
    "faulthandler",
    "junitxml",
    "logging",
    "nose",
    "pastebin",
    "stepwise",
    "terminal",
    "threadexception",
    "unittest",
    "unraisableexception",
    "warnings",
)
"""Plugins of pytest that write files or screens, or change this process."""


def verify(
    cluster: Cluster,
    transport: Transport,
    *,
    now: Callable[[], datetime],
    limit: Sequence[str] = (),
    only: str = "",
    progress: Progress = lambda _host, _properties: None,
) -> VerifyReport:
    """Look at the hosts and hold them against the inventory. Nothing is changed on them.

    Hosts that wait to replace a worker, and workers that were replaced, are looked at only if they
    are named by `limit`.

    Args:
        cluster: the inventory.
        transport: reaches the hosts.
        now: our clock.
        limit: only these hosts; empty means all.
        only: an expression of pytest's -k, such as `kubelet and not held`; empty means everything.
        progress: called with a host and its properties when all of them were looked at.

    Raises:
        UsageError: `only` is no expression, or fits no property.
    """
    started = now()
    suite = _suite(cluster, transport, limit=limit, now=now)
    left_out = {} if limit else _absent(suite)
    suite = replace(suite, hosts=tuple(host for host in suite.hosts if host.name not in left_out))
    collector = Collector(suite, progress=progress)
    status, said = _run_pytest(collector, only=only)
    if status == pytest.ExitCode.INTERRUPTED and not collector.broken:
        raise KeyboardInterrupt
    if status == pytest.ExitCode.USAGE_ERROR and only:
        raise UsageError(
            f"--only {only}: this is no expression; {said}",
            hint="words, with and, or, not and brackets: --only 'kubelet and not held'",
        )
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(
            f"--only {only}: no property fits",
            hint="words are looked for in names such as test_held[cp1-kubelet] of test_packages.py",
        )
    if collector.broken or status == pytest.ExitCode.USAGE_ERROR:
        raise RuntimeError(f"the suite cannot be run: {collector.broken or said}")
    return VerifyReport(
        cluster=cluster.name,
        hosts=tuple(host.name for host in suite.hosts),
        properties=_in_order(collector.properties, suite),
        rehearsal=_is_rehearsal(suite),
        seconds=(now() - started).total_seconds(),
        left_out=tuple(left_out.values()),
    )


def _suite(
    cluster: Cluster, transport: Transport, *, limit: Sequence[str], now: Callable[[], datetime]
) -> Suite:
    hosts = tuple(host for host in cluster.hosts if not limit or host.name in limit)
    workers = [host.name for host in hosts if not host.is_control_plane]
    control_planes = [host.name for host in hosts if host.is_control_plane]
    asked = tuple(control_planes or (host.name for host in cluster.control_planes))
    groups = {"control planes": asked, "workers": workers}
    questions = Questions(transport, groups=groups, now=now)
    return Suite(cluster=cluster, hosts=hosts, api_hosts=asked, questions=questions)


def _absent(suite: Suite) -> Mapping[str, str]:
    """Return why hosts are not to be nodes, by name; the API is asked only if there may be any."""
    replacing = [host for host in suite.cluster.hosts if host.replaces]
    api = ask_api(suite) if replacing else Api()
    if api.error:
        return {}
    nodes = api.nodes
    said: dict[str, str] = {}
    for host in replacing:
        if host.name not in nodes:
            said[host.name] = f"{host.name}: waits to replace {host.replaces}"
        elif host.replaces not in nodes:
            said[host.replaces] = f"{host.replaces}: replaced by {host.name}"
    return said


def _run_pytest(collector: Collector, *, only: str) -> tuple[int, str]:
    """Run the suite; return pytest's exit status, and what it says when it cannot begin."""
    folder = str(_FOLDER)
    arguments = (
        *("-c", os.devnull),
        f"--rootdir={folder}",
        f"--confcutdir={folder}",
        "--import-mode=importlib",
        "--assert=plain",
        "--disable-plugin-autoload",
        "--capture=no",
        *(part for name in _UNUSED for part in ("-p", f"no:{name}")),
        *(("-k", only) if only else ()),
        folder,
    )
    said = StringIO()
    with _without_pytest_variables(), redirect_stderr(said):
        status = int(pytest.main([*arguments], plugins=[collector]))
    return status, said.getvalue().strip().removeprefix("ERROR: ")


@contextmanager
def _without_pytest_variables() -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_")}
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("PYTEST_")]:
            del os.environ[name]
        os.environ.update(kept)


def _in_order(properties: Sequence[Verified], suite: Suite) -> tuple[Verified, ...]:
    place = {host.name: index for index, host in enumerate(suite.hosts)}
    return tuple(sorted(properties, key=lambda item: place[item.host]))


def _is_rehearsal(suite: Suite) -> bool:
    """Whether any host's kubeadm is the lab's stand-in."""
    for host in suite.hosts:
        result = suite.questions.ask(host.name, "kubeadm version -o short").result
        if result is not None and result.ok and KubeVersion.parse(result.stdout).rehearsal:
            return True
    return False
