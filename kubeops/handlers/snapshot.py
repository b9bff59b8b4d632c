"""The snapshot before a change: a backup like any other, proven before the change begins.

A run that goes on where another stopped within the hour counts that one's snapshot.
"""

from datetime import datetime, timedelta

from kubeops.backups.save import take
from kubeops.backups.stores import open_store
from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.state import state_directory
from kubeops.handlers.observe import control_plane_facts
from kubeops.plan.actions import SaveSnapshot

FRESH = timedelta(hours=1)
TAKEN = "snapshot"


def _check(action: SaveSnapshot, context: StepContext) -> Check:
    taken = context.recall(TAKEN)
    if not isinstance(taken, dict) or taken.get("store") != action.store:
        return NEEDED
    age = context.clock.now() - datetime.fromisoformat(str(taken["at"]))
    if age > FRESH:
        return NEEDED
    context.progress(f"{taken['name']} was taken and proven {age.seconds // 60} minutes ago")
    return DONE


def _save(action: SaveSnapshot, context: StepContext) -> None:
    bundle = take(
        context.desired,
        control_plane_facts(context, via=context.host),
        transport=context.transport,
        store=open_store(context.desired.backup),
        state=state_directory(),
        now=context.clock.now,
        progress=context.progress,
    )
    at = context.clock.now().isoformat()
    context.remember(TAKEN, {"name": bundle.name, "store": action.store, "at": at})
    context.progress(f"{bundle.name} is proven and stored in {action.store}")


SAVE_SNAPSHOT = Handler(check=_check, apply=_save)
