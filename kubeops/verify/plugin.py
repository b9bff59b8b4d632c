"""Collects what the properties come to; the only thing of pytest that says anything here."""

from collections.abc import Callable

import pytest

from kubeops.errors import KubeopsError, TransportError
from kubeops.model.desired import Host
from kubeops.model.verify import Verdict, Verified
from kubeops.verify.expect import MismatchError
from kubeops.verify.suite import SUITE, Suite

Progress = Callable[[str, tuple[Verified, ...]], None]
_DEFECT = "this was not foreseen: look at the host, and report it as a defect of kubeops"


class Collector:
    """A pytest plugin: hands the suite to the tests, and keeps what they come to.

    Args:
        suite: what the tests are told.
        progress: called with a host and its properties when all of them were looked at.

    Attributes:
        properties: what was looked at so far.
        broken: why the suite itself could not be run; empty when it could.
    """

    def __init__(self, suite: Suite, *, progress: Progress) -> None:
        self.properties: list[Verified] = []
        self.broken = ""
        self._suite = suite
        self._progress = progress
        self._left: dict[str, int] = {}
        self._away: set[str] = set()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand over the suite."""
        config.stash[SUITE] = self._suite
        config.addinivalue_line("markers", "says(text, of): the property in words, and whose it is")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Look at one host after the other; whether it answers comes first."""
        order = {host.name: place for place, host in enumerate(self._suite.hosts)}
        items[:] = [item for item in items if _is_about_a_host(item)]
        items.sort(key=lambda item: (order[_host(item)], item.path.name, item.location[1] or 0))
        for item in items:
            self._left[_host(item)] = self._left.get(_host(item), 0) + 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> pytest.TestReport:
        """Keep what a test came to; a fixture that fails counts as its test.

        pytest's own report would cost more than the test: it words the traceback, for nobody.
        """
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            self._keep(item, call)
        assert call.when != "collect"  # that is another hook
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="passed" if call.excinfo is None else "failed",
            longrepr=None,
            when=call.when,
            duration=call.duration,
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that a module of the suite cannot be loaded."""
        if report.failed:
            self.broken = f"{report.nodeid}: {report.longrepr}"

    def pytest_internalerror(self, excrepr: object) -> bool:
        """Note that pytest failed; it then prints nothing itself."""
        self.broken = str(excrepr)
        return True

    def _keep(self, item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
        host = _host(item)
        error = None if call.excinfo is None else call.excinfo.value
        found = self._verified(host, _text(item), error, call.duration)
        self.properties.append(found)
        self._left[host] -= 1
        if not self._left[host]:
            self._progress(host, tuple(each for each in self.properties if each.host == host))

    def _verified(
        self, host: str, text: str, error: BaseException | None, seconds: float
    ) -> Verified:
        verdict, expected, found, cure = Verdict.FAILED, "", "", ""
        match error:
            case None:
                verdict = Verdict.PASSED
            case pytest.skip.Exception():
                verdict, found = Verdict.SKIPPED, str(error)
            case TransportError() if host in self._away:
                verdict, found = Verdict.SKIPPED, "the host was not reached"
            case MismatchError():
                expected, found, cure = error.expected, error.found, error.cure
            case KubeopsError():
                if isinstance(error, TransportError):
                    self._away.add(host)
                expected, found, cure = "an answer", error.message, error.hint
            case AssertionError():
                expected, found, cure = "an answer", str(error), "run the command on the host"
            case _:
                expected, found, cure = text, f"{type(error).__name__}: {error}", _DEFECT
        return Verified(
            host=host,
            text=text,
            verdict=verdict,
            expected=expected,
            found=found,
            cure=cure,
            seconds=seconds,
        )


def _parameters(item: pytest.Item) -> dict[str, object]:
    if not isinstance(item, pytest.Function):
        raise TypeError(f"{item.nodeid} is not a test function")
    return dict(item.callspec.params)


def _is_about_a_host(item: pytest.Item) -> bool:
    """Whether it is a test of a host; a property that no host has leaves one without."""
    return isinstance(_parameters(item)["wanted"], Host)


def _host(item: pytest.Item) -> str:
    host = _parameters(item)["wanted"]
    if not isinstance(host, Host):
        raise TypeError(f"{item.nodeid} is not about a host of the inventory")
    return host.name


def _text(item: pytest.Item) -> str:
    mark = item.get_closest_marker("says")
    return str(mark.args[0]).format(**_parameters(item)) if mark else item.name
