"""What `verify` found: a table of the hosts, then every property that does not hold."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.verify import Verdict, Verified, VerifyReport
from kubeops.render.errors import whole
from kubeops.render.plan import REHEARSAL
from kubeops.render.units import duration

_COLOURS = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "yellow"}


def verify(report: VerifyReport, *, verbose: bool = False) -> RenderableType:
    """Return the report; with `verbose` the properties that hold are listed, too."""
    parts: list[RenderableType] = [_heading(report)]
    if report.rehearsal:
        parts.append(Text(REHEARSAL, style="bold yellow"))
    parts += [Text(), _hosts(report)]
    for failure in report.failures:
        parts += [Text(), *_failure(failure)]
    skipped = [item for item in report.properties if item.verdict is Verdict.SKIPPED]
    parts += _section("could not be told", _lines(skipped))
    if verbose:
        passed = [item for item in report.properties if item.verdict is Verdict.PASSED]
        parts += _section("holds", _lines(passed))
    parts += _section("left out", report.left_out)
    return Group(*parts, Text(), _ending(report))


def host_line(host: str, properties: Sequence[Verified]) -> Text:
    """Return the line that says that `host` has been looked at, with what was found."""
    counts = {verdict: sum(item.verdict is verdict for item in properties) for verdict in Verdict}
    shown = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    colour = _COLOURS[Verdict.FAILED if counts[Verdict.FAILED] else Verdict.PASSED]
    return Text.assemble(f"{host:<9} ", (", ".join(shown), colour))


def _heading(report: VerifyReport) -> Text:
    hosts = "1 host" if len(report.hosts) == 1 else f"{len(report.hosts)} hosts"
    count = len(report.properties)
    return Text.assemble(
        (report.cluster, "bold"),
        f"   {hosts}, {count} properties, {duration(report.seconds)}",
    )


def _hosts(report: VerifyReport) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("HOST", no_wrap=True)
    for verdict in Verdict:
        table.add_column(verdict.upper(), justify="right")
    for host in report.hosts:
        table.add_row(host, *(_count(report, verdict, host) for verdict in Verdict))
    return table


def _count(report: VerifyReport, verdict: Verdict, host: str) -> Text:
    count = report.count(verdict, host=host)
    return Text(str(count), style=_COLOURS[verdict] if count else "dim")


def _failure(failure: Verified) -> Iterator[RenderableType]:
    yield Text.assemble((f"{failure.host}: ", "bold red"), (failure.text, "bold"))
    for label, text in (
        ("expected", failure.expected),
        ("found", failure.found),
        ("next", failure.cure),
    ):
        if text:
            yield whole(f"  {label:<8}  ", "\n            ".join(text.splitlines()))


def _lines(properties: Sequence[Verified]) -> list[str]:
    return [
        f"{item.host}: {item.text}" + (f" ({item.found})" if item.found else "")
        for item in properties
    ]


def _section(title: str, lines: Sequence[str]) -> list[RenderableType]:
    if not lines:
        return []
    return [Text(), Text(title, style="bold"), *(whole(f"  {line}") for line in lines)]


def _ending(report: VerifyReport) -> Text:
    failed = len(report.failures)
    if failed:
        verb = "property does" if failed == 1 else "properties do"
        return Text(f"{failed} {verb} not hold; nothing was changed", style="bold red")
    skipped = report.count(Verdict.SKIPPED)
    if skipped:
        return Text(f"what could be told holds; {skipped} could not", style="yellow")
    return Text("every property holds", style="green")
