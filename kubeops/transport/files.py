"""Files on hosts: written whole or not at all, with owner, mode and checksum, in one round trip."""

from collections.abc import Sequence
from itertools import chain

from kubeops.errors import CommandError
from kubeops.model.file import File
from kubeops.transport.base import Command, Result, Runner

PUT, CHECK, READ = "kubeops-put", "kubeops-check", "kubeops-read"
"""`$0` of the scripts below: how they are called in process lists, messages and tests."""

_ABSENT = 44
_WORDS = 5
"""How many words tell a script of a file."""
_TIMEOUT = 120.0

# $1 path, $2 mode, $3 owner, $4 SHA-256, $5 bytes. A link is followed: who put it there wants the
# file behind it to be the one that counts.
_COMPARE = """\
set -eu
take() {
    path=$(readlink -m -- "$1") mode=$2 owner=$3 sum="$4  -" size=$5
}
same() {
    [ -f "$path" ] || return 1
    [ "$(sha256sum <"$path")" = "$sum" ] || return 1
    case "$(stat -c '%a %U:%G|%a %u:%g' -- "$path")" in
    "$mode $owner|"*|*"|$mode $owner") return 0 ;;
    esac
    return 1
}
"""

_CHECK = f"""{_COMPARE}
take "$@"
if same; then echo same; else echo differs; fi
"""

# The contents are on stdin, one after the other. Each becomes visible by the rename, complete and
# on the disk; until then the old file stays what it is, whatever happens.
_PUT = f"""{_COMPARE}
content() {{ # the last one with all that is left: more than was announced is no more the same
    if [ "$left" -gt 1 ]; then head -c "$size"; else cat; fi
}}
write() {{
    if [ -d "$path" ]; then echo "$path is a directory" >&2; exit 1; fi
    if same; then content >/dev/null; echo same; return; fi
    directory=$(dirname -- "$path")
    umask 022
    mkdir -p -- "$directory"
    umask 077
    new=$(mktemp -- "$directory/.kubeops.XXXXXXXXXX")
    content >"$new"
    if [ "$(sha256sum <"$new")" != "$sum" ]; then
        echo "what arrived for $path is not what was sent" >&2
        exit 1
    fi
    chown -- "$owner" "$new"
    chmod -- "$mode" "$new"
    sync -- "$new"
    mv -fT -- "$new" "$path"
    new=
    sync -- "$directory"
    echo changed
}}
new=
trap '[ -z "$new" ] || rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM
left=$(($# / {_WORDS}))
while [ "$left" -gt 0 ]; do
    take "$@"
    write
    shift {_WORDS}
    left=$((left - 1))
done
"""

_READ = f"""\
[ -e "$1" ] || exit {_ABSENT}
exec cat -- "$1"
"""


def put(runner: Runner, *files: File) -> bool:
    """Make `files` so on the host, as root, in this order; return whether anything had to change.

    Parent directories that are missing are made, with mode 0755.

    Raises:
        CommandError: one could not be written (the disk is full, the owner is unknown ...); what
            was there in its place is untouched, and so are those that come after it.
    """
    content = b"".join(file.content for file in files)
    result = runner.run(_script(PUT, _PUT, *files, stdin=content))
    written = " ".join(file.path for file in files)
    return "changed" in _must(result, PUT, written).stdout.split()


def check(runner: Runner, file: File) -> bool:
    """Whether `file` is on the host as it has to be: content, mode and owner. Changes nothing."""
    script = _script(CHECK, _CHECK, file, stdin=None)
    return _must(runner.run(script), CHECK, file.path).stdout.strip() == "same"


def read(runner: Runner, path: str) -> bytes | None:
    """Return the content of the file at `path`, or None when there is none.

    The content is in no Result and so in no message and no log.

    Raises:
        CommandError: it is there, and cannot be read.
    """
    content = bytearray()
    command = Command(argv=("sh", "-c", _READ, READ, path), timeout=_TIMEOUT)
    result = runner.stream(command, content.extend)
    if result.status == _ABSENT:
        return None
    _must(result, READ, path)
    return bytes(content)


def paths(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of the files that a command of this module is about."""
    return tuple(argv[4::_WORDS])


def _script(name: str, script: str, *files: File, stdin: bytes | None) -> Command:
    told = (
        (file.path, f"{file.mode:o}", file.owner, file.sha256, str(len(file.content)))
        for file in files
    )
    argv = ("sh", "-c", script, name, *chain.from_iterable(told))
    return Command(argv=argv, stdin=stdin, timeout=_TIMEOUT)


def _must(result: Result, name: str, path: str) -> Result:
    if result.ok:
        return result
    # Not the script: people want to know which file, and why not.
    raise CommandError(
        host=result.host, shown=f"{name} {path}", status=result.status, output=result.output
    )
