"""The cluster as a whole: built, looked at, taken down."""

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from kubeops.cli._app import Invocation, Later, Report, command
from kubeops.cli._options import ANY, CHANGES, INVENTORY, JSON, VERBOSE, Option
from kubeops.errors import TransportError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kubeops.model.desired import Cluster
    from kubeops.model.observed import ClusterFacts
    from kubeops.plan.model import Plan

CONFIRM = Option(
    name="confirm",
    value="NAME",
    help="The cluster's name, typed out; asked for when the whole cluster is taken down.",
)
OUTPUT = Option(
    name="output",
    value="FILE",
    help="The kubeconfig to merge into. Default: the first of KUBECONFIG, or ~/.kube/config.",
)


@command("install", *CHANGES)
def install(call: Invocation) -> Report | None:
    """Build the cluster, or finish one; typed again, it goes on from what the hosts say."""
    from kubeops.ops.install import plan

    return _change(call, call.cluster(), plan)


@command("reset", *CHANGES, CONFIRM)
def reset(call: Invocation, *, confirm: str | None) -> Report | None:
    """Take hosts out of the cluster (--limit), or take it down; their data is moved aside."""
    from kubeops.cli import approval
    from kubeops.ops.reset import plan

    cluster = call.cluster()
    everything = len(call.options.hosts(cluster)) == len(cluster.hosts)
    if everything and not call.options.plan:
        approval.confirm(
            cluster.name,
            confirm,
            call,
            act="taking the whole cluster down",
            hint=f"{call.command_line('--confirm', cluster.name)}, or --limit HOST for one host",
        )
    return _change(call, cluster, plan)


@command("status", INVENTORY, *ANY)
def status(call: Invocation) -> Report:
    """Show nodes, versions, etcd members, certificates and drift on one screen.

    What cannot be reached is shown as such; status 3 when no host was reached at all.
    """
    from kubeops.ops.freshness import glance
    from kubeops.ops.session import open_session

    cluster = call.cluster()
    with open_session(cluster) as session:
        facts = session.observe()
        backup = glance(cluster, state=session.state, now=facts.at)
    error = _nobody(facts, cluster)

    def text() -> "RenderableType":
        from rich.console import Group

        from kubeops.render.errors import error as explain
        from kubeops.render.status import status as render

        shown = render(facts, cluster, backup=backup)
        return shown if error is None else Group(shown, "", explain(error))

    data = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return Report(data={**data, "backup": backup}, text=Later(text), error=error)


@command("kubeconfig", INVENTORY, OUTPUT, JSON, VERBOSE)
def kubeconfig(call: Invocation, *, output: str | None) -> Report:
    """Fetch the administrator's kubeconfig, merge it and make it the current context."""
    from kubeops.ops.kubeconfig import fetch, write
    from kubeops.ops.session import open_session

    cluster = call.cluster()
    listed = filter(None, os.environ.get("KUBECONFIG", "").split(os.pathsep))
    path = Path(output or next(listed, "~/.kube/config")).expanduser()
    with open_session(cluster) as session:
        write(fetch(session), path)
    return Report(
        data={"path": path, "context": cluster.name},
        text=f"context {cluster.name} is in {path}, and is its current context now",
    )


def _nobody(facts: "ClusterFacts", cluster: "Cluster") -> TransportError | None:
    if facts.hosts:
        return None
    names = ", ".join(facts.unreachable)
    return TransportError(
        f"no host of {cluster.name} was reached: {names}",
        host=names,
        hint="look at this machine's own network (VPN, jump host), then at the reason of each host",
    )


def _change(
    call: Invocation,
    cluster: "Cluster",
    plan: "Callable[..., Plan]",
) -> Report | None:
    """Plan, approve and run a verb that changes the cluster."""
    from kubeops.cli._carry_out import carry_out
    from kubeops.ops.run import run
    from kubeops.ops.session import open_session

    call.options.hosts(cluster)
    with open_session(cluster) as session:
        planned = plan(session, accepted=call.options.accept, limit=call.options.limit)
        arguments = {"verb": call.verb, "options": call.repeated(inventory=str(cluster.source))}
        return carry_out(
            planned,
            call,
            run=lambda sink: run(planned, session, arguments=arguments, sink=sink),
        )
