"""Files on hosts: written whole or not at all, with owner, mode and checksum, in one round trip."""

from kubeops.errors import CommandError
from kubeops.model.file import File
from kubeops.transport.base import Command, Result, Runner

PUT, CHECK, READ = "kubeops-put", "kubeops-check", "kubeops-read"
"""`$0` of the scripts below: how they are called in process lists, messages and tests."""

_ABSENT = 44
_TIMEOUT = 120.0

# $1 path, $2 mode, $3 owner, $4 SHA-256. A link is followed: who put it there wants the file
# behind it to be the one that counts.
_COMPARE = """\
set -eu
path=$(readlink -m -- "$1") mode=$2 owner=$3 sum="$4  -"
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
if same; then echo same; else echo differs; fi
"""

# The content is on stdin. It becomes visible by the rename, complete and on the disk; until then
# the old file stays what it is, whatever happens.
_PUT = f"""{_COMPARE}
if [ -d "$path" ]; then echo "$path is a directory" >&2; exit 1; fi
if same; then cat >/dev/null; echo same; exit 0; fi
directory=$(dirname -- "$path")
umask 022
mkdir -p -- "$directory"
umask 077
new=
trap '[ -z "$new" ] || rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM
new=$(mktemp -- "$directory/.kubeops.XXXXXXXXXX")
cat >"$new"
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
"""

_READ = f"""\
[ -e "$1" ] || exit {_ABSENT}
exec cat -- "$1"
"""


def put(runner: Runner, file: File) -> bool:
    """Make `file` so on the host, as root; return whether anything had to change.

    Parent directories that are missing are made, with mode 0755.

    Raises:
        CommandError: it could not be written (the disk is full, the owner is unknown ...); the
            file that was there is untouched.
    """
    script = _script(PUT, _PUT, file, stdin=file.content)
    return _must(runner.run(script), PUT, file.path).stdout.strip() == "changed"


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


def _script(name: str, script: str, file: File, *, stdin: bytes | None) -> Command:
    argv = ("sh", "-c", script, name, file.path, f"{file.mode:o}", file.owner, file.sha256)
    return Command(argv=argv, stdin=stdin, timeout=_TIMEOUT)


def _must(result: Result, name: str, path: str) -> Result:
    if result.ok:
        return result
    # Not the script: people want to know which file, and why not.
    raise CommandError(
        host=result.host, shown=f"{name} {path}", status=result.status, output=result.output
    )
