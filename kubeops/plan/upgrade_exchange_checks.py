"""What must be true before an upgrade replaces workers: of the new hosts, and of what was typed."""

from collections.abc import Iterator
from dataclasses import replace

from kubeops.model.version import KubeVersion
from kubeops.plan.actions import InstallPackages
from kubeops.plan.findings import blocking, warning
from kubeops.plan.model import Finding
from kubeops.plan.preflight import preflight
from kubeops.plan.replacing import Stage, replacements
from kubeops.plan.standing import node_of
from kubeops.plan.upgrade_situation import Situation


def exchange_checks(situation: Situation) -> Iterator[Finding]:
    """Yield what is found; new hosts are looked at as an install of the new version would."""
    yield from _marked(situation)
    yield from _halves(situation)
    yield from _new_hosts(situation)
    yield from _packages(situation)


def _marked(situation: Situation) -> Iterator[Finding]:
    """The inventory and the strategy want the same."""
    exchange = situation.exchange
    pairs = replacements(exchange.desired, exchange.facts)
    if situation.replaces and not pairs:
        yield blocking(
            "replacements",
            "no host of the inventory replaces a worker, so --strategy replace has nothing to do",
            "Write replaces: OLD at each new host, or type --strategy rolling",
        )
    for one in pairs if not situation.replaces else ():
        if one.stage is Stage.WAITING:
            text = f"{one.new.name}, which is to replace {one.old.name}, goes on waiting"
        elif one.stage is Stage.JOINED:
            text = f"{one.old.name} stays, though {one.new.name} has joined to replace it"
        elif one.stage is Stage.LEAVING:
            text = f"{one.old.name} was replaced by {one.new.name}, but not reset yet"
        else:
            continue
        yield warning(
            "replacements",
            text,
            "With --strategy replace, this upgrade would see to it.",
        )


def _halves(situation: Situation) -> Iterator[Finding]:
    """A limit names both hosts of a replacement, or none."""
    exchange = situation.exchange
    for one in replacements(exchange.desired, exchange.facts) if situation.replaces else ():
        named = [host.name for host in (one.new, one.old) if situation.within(host.name)]
        if len(named) == 1 and one.stage is not Stage.REPLACED:
            both = dict.fromkeys((*situation.limit, one.old.name, one.new.name))
            yield blocking(
                "limit",
                f"{one.new.name} replaces {one.old.name}, and --limit names {named[0]} only",
                f"Name both: --limit {','.join(both)}",
            )


def _new_hosts(situation: Situation) -> Iterator[Finding]:
    """The preflight of an install, at the version and in the cluster that they will join."""
    exchange, facts = situation.exchange, situation.facts
    joining = tuple(one.new.name for one in exchange.pairs if one.stage is Stage.WAITING)
    if not joining or not situation.hops or facts.api is None:
        return
    version = situation.hops[-1].version
    upgraded = replace(facts, api=replace(facts.api, kubernetes=version, server=version))
    yield from preflight(
        replace(exchange.desired, kubernetes=version),
        upgraded,
        reach=situation.more.reach,
        limit=joining,
    )


def _packages(situation: Situation) -> Iterator[Finding]:
    """Whether new hosts are offered the version; without curl none can tell (`package-source`)."""
    offers = {(offer.host, offer.minor): offer for offer in situation.more.offers}
    for step in situation.steps:
        if not isinstance(step.action, InstallPackages):
            continue
        wanted = KubeVersion.parse(step.action.version)
        offer = offers.get((step.host, wanted.minor))
        if offer is not None and wanted in offer.versions:
            continue
        if "curl" not in situation.facts.hosts[step.host].programs:
            continue
        reason = "was not asked" if offer is None else offer.error or f"does not offer {wanted}"
        url = situation.desired.package_repository.format(minor=wanted.minor)
        yield blocking(
            "packages-missing",
            f"{url} {reason}",
            f"From the host: curl -v {url}Packages; a mirror goes under packages.repository.",
            host=step.host,
        )


def is_lost(name: str, situation: Situation) -> bool:
    """Whether a worker that is replaced is gone already: not reached, and no node any more."""
    facts = situation.facts
    return (
        name in situation.exchange.leaving
        and name in facts.unreachable
        and facts.api is not None
        and node_of(name, facts) is None
    )
