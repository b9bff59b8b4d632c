"""Brings a large file to a host, in pieces: commands take what they read from memory."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from kubeops.errors import CommandError
from kubeops.transport.base import Command, Result, Runner

PIECE = 8 << 20
_TIMEOUT = 300.0
NAME = "kubeops-upload"
"""`$0` of the scripts below: how they are called in process lists, messages and tests."""

# $1 target, $2 bytes
_BEGIN = """\
set -eu
umask 077
available=$(df -Pk -- "$(dirname -- "$1")" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')
if [ "$available" -lt "$2" ]; then
    echo "there is room for $available bytes, and $2 are needed" >&2
    exit 1
fi
: >"$1.part"
"""

# $1 target, $2 bytes that are there. What a piece that was cut off left is taken back first, so
# that it can be sent again.
_APPEND = """\
set -eu
truncate --size "$2" -- "$1.part"
cat >>"$1.part"
"""

# $1 target, $2 SHA-256
_END = """\
set -eu
if [ "$(sha256sum <"$1.part")" != "$2  -" ]; then
    echo "what arrived is not what was sent" >&2
    exit 1
fi
sync -- "$1.part"
mv -T -- "$1.part" "$1"
"""


def upload(runner: Runner, source: Path, target: str, *, progress: Callable[[str], None]) -> None:
    """Copy the file `source` of this machine to the new file `target` on the host, mode 0600.

    Its directory must be there. The SHA-256 is compared on the host; until it fits, the file is
    called `TARGET.part`. Free space there is checked first. The caller removes what is left by a
    failure.

    Raises:
        CommandError: the disk is full, or what arrived is not what was sent.
    """
    size = source.stat().st_size
    _run(runner, _BEGIN, target, str(size))
    digest = hashlib.sha256()
    sent = 0
    with source.open("rb") as file:
        while piece := file.read(PIECE):
            _run(runner, _APPEND, target, str(sent), stdin=piece)
            digest.update(piece)
            sent += len(piece)
            progress(f"{runner.host}: {sent >> 20} of {size >> 20} MiB sent")
    _run(runner, _END, target, digest.hexdigest())


def _run(
    runner: Runner, script: str, target: str, argument: str, *, stdin: bytes | None = None
) -> Result:
    argv = ("sh", "-c", script, NAME, target, argument)
    result = runner.run(Command(argv=argv, stdin=stdin, timeout=_TIMEOUT))
    if result.ok:
        return result
    raise CommandError(
        host=result.host,
        shown=f"{NAME} {target}",
        status=result.status,
        output=result.output,
        hint=f"See the disk there: df -h {Path(target).parent}",
    )
