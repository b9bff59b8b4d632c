"""Inventories: the files that say what is wanted."""

from kubeops.cli._app import Invocation, Report, command
from kubeops.cli._options import ANY, INVENTORY


@command("inventory.check", INVENTORY, *ANY)
def check(call: Invocation) -> Report:
    """Validate an inventory and say what it describes; every mistake is listed at once."""
    from kubeops.render.inventory import inventory

    cluster = call.cluster(warn=False)
    return Report(data=cluster, text=inventory(cluster))
