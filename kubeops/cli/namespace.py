"""All verbs as one Invoke namespace: `install` at the top, `runs.list` below its noun."""

from types import ModuleType

from invoke.collection import Collection

from kubeops.cli import (
    backup,
    cluster,
    demo,
    dev,
    inventory,
    lab,
    lock,
    restore,
    runs,
    upgrade,
    verify,
)
from kubeops.cli._app import Verb

NOUNS = (cluster, upgrade, backup, restore, verify, inventory, runs, lock, lab, demo, dev)
"""Modules that declare verbs. Top-level verbs may live in any of them."""


def namespace(*, development: bool = False) -> Collection:
    """Return the namespace; `development` adds the verbs for working on kubeops itself."""
    top = Collection("kubeops")
    shown = [
        (verb, module)
        for module in NOUNS
        for verb in verbs(module)
        if development or not verb.development
    ]
    nouns = {noun for verb, _ in shown if (noun := verb.path.rpartition(".")[0])}
    for verb, module in shown:
        _add(top, verb, module, noun=verb.path if verb.path in nouns else None)
    return top


def verbs(module: ModuleType) -> list[Verb]:
    """Return the verbs a module declares, in the order of the file."""
    return [value for value in vars(module).values() if isinstance(value, Verb)]


def _add(top: Collection, verb: Verb, module: ModuleType, *, noun: str | None) -> None:
    """Add a verb; one that is itself the noun of others becomes what that noun does by default."""
    inside = noun or verb.path.rpartition(".")[0]
    if not inside:
        top.add_task(verb)
        return
    if inside not in top.collections:
        collection = Collection(inside)
        collection.__doc__ = module.__doc__
        top.add_collection(collection)
    if noun:
        # Invoke takes no name for both; `backup` is found as the default of the collection.
        top.collections[inside].add_task(verb, name="take", default=True)
    else:
        top.collections[inside].add_task(verb)
