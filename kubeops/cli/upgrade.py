"""Upgrades: one or many minor releases, hop by hop, from wherever the cluster is."""

from dataclasses import replace
from typing import TYPE_CHECKING

from kubeops.cli._app import Invocation, Report, command
from kubeops.cli._options import CHANGES, Option, one_of

if TYPE_CHECKING:
    from kubeops.model.event import Sink
    from kubeops.model.run import Outcome
    from kubeops.plan.upgrade_path import Wish


def _wish(text: str) -> "Wish":
    from kubeops.plan.upgrade_path import Wish

    return Wish.parse(text)


TO = Option(
    name="to",
    value="VERSION",
    help="The release to go to: 1.36 (its newest patch) or 1.36.1.",
    required=True,
    parse=_wish,
)
STRATEGY = Option(
    name="strategy",
    value="rolling|all-at-once|replace",
    help="How workers are upgraded: a few at a time, all together, which costs downtime, or by new "
    "hosts that say replaces: in the inventory.",
    default="rolling",
    parse=one_of("rolling", "all-at-once", "replace"),
)


@command("upgrade", TO, STRATEGY, *CHANGES)
def upgrade(call: Invocation, *, to: "Wish", strategy: str) -> Report | None:
    """Upgrade the cluster; a proven backup first, then control planes one by one, then workers.

    Several minor releases away, every hop is planned and checked before the first change. Typed
    again after a failure, it goes on from what the hosts say.
    """
    from kubeops.cli._carry_out import carry_out
    from kubeops.ops import upgrade as ops
    from kubeops.ops.session import open_session
    from kubeops.plan.upgrade import Choices, Strategy

    cluster = call.cluster()
    choices = Choices(
        strategy=Strategy(strategy),
        accepted=call.options.accept,
        limit=call.options.hosts(cluster) if call.options.limit else (),
    )
    with open_session(cluster) as session:
        planned = ops.plan(session, wish=to, choices=choices)
        arguments = {"verb": call.verb, "options": call.repeated(inventory=str(cluster.source))}
        reports = []

        def run(sink: "Sink") -> "Outcome":
            reports.append(ops.run(planned, session, arguments=arguments, sink=sink))
            return reports[-1].outcome

        report = carry_out(planned, call, run=run)
    if report is None or not reports:
        return report
    from rich.console import Group

    from kubeops.render.upgrade import upgrade as render

    return replace(report, data=reports[-1], text=Group(report.text, render(reports[-1])))
