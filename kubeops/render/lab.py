"""A lab on this machine: its nodes and how they are."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.render.errors import whole


def lab(
    *,
    name: str,
    about: Sequence[tuple[str, str]],
    nodes: Sequence[tuple[str, str, str, str]],
    following: Sequence[str] = (),
) -> RenderableType:
    """Return a lab: what is to know `about` it, its nodes, and what to type next.

    `nodes` are name, role, address and condition.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("NODE", "ROLE", "ADDRESS", "STATE"):
        table.add_column(column, overflow="fold")
    for node in nodes:
        table.add_row(*node)
    return Group(
        Text(f"lab {name}", style="bold"),
        *(whole(f"{label:<15}", text) for label, text in about),
        Text(),
        table,
        *(whole(f"{'next' if not i else '':<15}", text) for i, text in enumerate(following)),
    )
