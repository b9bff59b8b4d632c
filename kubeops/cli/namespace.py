"""All verbs as one Invoke namespace: `install` at the top, `runs.list` below its noun."""

from types import ModuleType

from invoke.collection import Collection

from kubeops.cli import cluster, demo, dev, inventory, lab, lock, restore, runs, upgrade, verify
from kubeops.cli._app import Verb

NOUNS = (cluster, upgrade, restore, verify, inventory, runs, lock, lab, demo, dev)
"""Modules that declare verbs. Top-level verbs may live in any of them."""


def namespace(*, development: bool = False) -> Collection:
    """Return the namespace; `development` adds the verbs for working on kubeops itself."""
    top = Collection("kubeops")
    for module in NOUNS:
        for verb in verbs(module):
            if development or not verb.development:
                _add(top, verb, module)
    return top


def verbs(module: ModuleType) -> list[Verb]:
    """Return the verbs a module declares, in the order of the file."""
    return [value for value in vars(module).values() if isinstance(value, Verb)]


def _add(top: Collection, verb: Verb, module: ModuleType) -> None:
    noun = verb.path.rpartition(".")[0]
    if not noun:
        top.add_task(verb)
        return
    if noun not in top.collections:
        collection = Collection(noun)
        collection.__doc__ = module.__doc__
        top.add_collection(collection)
    top.collections[noun].add_task(verb)
