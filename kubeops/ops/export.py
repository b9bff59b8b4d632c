"""`backup.export`: the API's objects as YAML files, one each, fit for a repository."""

from collections.abc import Callable
from pathlib import Path

from kubeops.backups import objects, tree
from kubeops.backups.crypto import Keys
from kubeops.backups.tree import Tree, Written
from kubeops.errors import CommandError, StepError, TransportError
from kubeops.facts.objects import Object, each_object, resource_types
from kubeops.ops.session import Session
from kubeops.transport.base import Runner

Progress = Callable[[str], None]


def export(session: Session, directory: Path, *, secrets: bool, progress: Progress) -> Written:
    """Write the cluster's objects into `directory`; Secrets, if asked for, encrypted.

    Nothing is removed from it before all types were read to their end.

    Raises:
        UsageError: the directory holds something else, or nothing encrypts Secrets.
        StepError, CommandError: no control plane answers, or the API refused a type.
        FactsError: an answer cannot be understood.
        StoreError: the directory cannot be written.
    """
    desired = session.desired
    keys = Keys.of(desired.backup) if secrets else None
    made = tree.open_tree(directory, cluster=desired.name, keys=keys)
    runner, types = _ask(session)
    for name in objects.wanted(types, secrets=secrets):
        progress(f"{runner.host}: reading {name}")
        each_object(runner, name, lambda found: _put(made, found))
    return made.finish()


def _put(made: Tree, found: Object) -> None:
    kept = objects.exported(found)
    if kept is None:
        return
    path, content = objects.place(kept), objects.to_yaml(kept)
    if found["kind"] == "Secret" and found["apiVersion"] == "v1":
        metadata = found["metadata"]
        made.seal(path, content, version=f"{metadata['uid']}/{metadata['resourceVersion']}")
    else:
        made.put(path, content)


def _ask(session: Session) -> tuple[Runner, tuple[str, ...]]:
    """Return the first control plane whose API answers, and the types it has."""
    tried: list[CommandError | TransportError] = []
    for host in session.desired.control_planes:
        runner = session.transport.runner(host.name)
        try:
            return runner, resource_types(runner)
        except (CommandError, TransportError) as error:
            tried.append(error)
    said = "; ".join(error.message for error in tried)
    raise StepError(f"the API does not answer: {said}", hint=tried[-1].hint)
