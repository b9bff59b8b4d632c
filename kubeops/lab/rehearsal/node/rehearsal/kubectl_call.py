"""The entry of /usr/bin/kubectl: kubectl under the orders for faults, in the log of calls."""

from collections.abc import Sequence

from rehearsal import faults


def run(argv: Sequence[str], version: str) -> int:
    """Run kubectl with `argv`; its module is loaded here, where it is needed."""
    from rehearsal import kubectl  # noqa: PLC0415 - see above

    return faults.call("kubectl", argv, lambda _: kubectl.main(list(argv), version))
