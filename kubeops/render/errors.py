"""How an error reads: what, where and why; the last lines of output; what to type; its code."""

from rich.console import Group, RenderableType
from rich.text import Text

from kubeops.errors import CommandError, InventoryError, KubeopsError

LAST_LINES = 15


def error(problem: KubeopsError) -> RenderableType:
    """Return what an operator sees when a verb ends in `problem`."""
    parts = [Text.assemble(("error: ", "bold red"), problem.message)]
    if isinstance(problem, InventoryError):
        parts += [whole(f"  {line}") for line in problem.problems]
    if isinstance(problem, CommandError):
        parts += last_lines(problem.output)
    if problem.hint:
        parts.append(whole("next:  ", problem.hint))
    parts.append(Text(f"code:  {problem.code} (exit status {problem.exit_status})", style="dim"))
    return Group(*parts)


def defect(summary: str, *, log: str) -> RenderableType:
    """Return what an operator sees when kubeops itself is wrong; `log` is empty when unwritten."""
    where = f"the details are in {log}" if log else "no log file could be written"
    return Group(
        Text.assemble(("error: ", "bold red"), f"kubeops failed unexpectedly: {summary}"),
        whole("next:  ", f"{where}; --verbose prints them here"),
        Text("code:  KO-00 (exit status 1)", style="dim"),
    )


def last_lines(output: str, *, limit: int = LAST_LINES) -> list[Text]:
    """Return the last lines of a command's output, marked as such."""
    lines = output.rstrip().splitlines()
    cut = [Text(f"  | ({len(lines) - limit} lines before)", style="dim")] if lines[limit:] else []
    return cut + [whole(f"  | {line}") for line in lines[-limit:]]


def whole(text: str, following: str = "") -> Text:
    """Return a line that is never broken or cut: a command must survive being copied.

    With `following`, `text` is its label.
    """
    line = Text.assemble((text, "bold"), following) if following else Text(text)
    line.no_wrap = True
    line.overflow = "ignore"
    return line
