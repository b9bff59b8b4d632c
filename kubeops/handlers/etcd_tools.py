"""etcdutl and etcdctl of a control plane, as programs that can be given files of the host.

The image of etcd has no shell and sees nothing of the host but its data directory (`crictl exec`
cannot hand it a file elsewhere). Its programs are static, so they are run on the host: from the
PATH, else straight out of the running container's root, else out of the image, mounted for as long
as it takes.
"""

import shlex

from kubeops.engine.context import StepContext
from kubeops.errors import CommandError
from kubeops.handlers.tools import shell
from kubeops.transport.base import Result

TIMEOUT = 1800

_RUN = """
name=$1
shift
if command -v "$name" >/dev/null; then exec "$name" "$@"; fi
for process in /proc/[0-9]*; do
  [ "$(cat "$process/comm" 2>/dev/null || true)" = etcd ] || continue
  program=$process/root/usr/local/bin/$name
  if [ -x "$program" ]; then exec "$program" "$@"; fi
done
if ! command -v ctr >/dev/null; then
  echo "$name is not on the PATH, no etcd container runs, and there is no ctr" >&2
  exit 127
fi
image=$(ctr --namespace k8s.io images list --quiet | grep '/etcd:' | tail -n 1)
root=$(mktemp -d)
trap 'ctr --namespace k8s.io images unmount --rm "$root" >/dev/null; rmdir "$root"' EXIT
ctr --namespace k8s.io images mount "$image" "$root" >/dev/null
"$root/usr/local/bin/$name" "$@"
"""

_SAVE = """
file=$1
flag() { sed -n "s/^ *- --$1=//p" /etc/kubernetes/manifests/etcd.yaml | head -n 1; }
set -- etcdctl --endpoints "$(flag listen-client-urls | cut -d , -f 1)" \\
  --cacert "$(flag trusted-ca-file)" --cert "$(flag cert-file)" --key "$(flag key-file)" \\
  snapshot save "$file.part"
rm -f "$file.part"
umask 077
"""
_KEEP = """
sync "$1.part"
mv -T "$1.part" "$1"
"""


def etcdutl(context: StepContext, *arguments: str, hint: str = "") -> Result:
    """Run etcdutl on the step's host, as root; CommandError with `hint` when it fails."""
    told = context.runner.run(shell(_RUN, "etcdutl", *arguments, timeout=TIMEOUT))
    return must(told, shlex.join(("etcdutl", *arguments)), hint=hint)


def must(result: Result, shown: str, *, hint: str = "") -> Result:
    """Return `result` if it is good; else raise CommandError, with `shown` in place of a script."""
    if result.ok:
        return result
    raise CommandError(
        host=result.host, shown=shown, status=result.status, output=result.output, hint=hint
    )


def save_snapshot(context: StepContext, file: str) -> Result:
    """Save a snapshot of the host's own member to `file` there, 0600; its status is not judged.

    Endpoint and certificates are those of the member's manifest.
    """
    script = f"{_SAVE}\n( {_RUN}\n)\n"
    saved = context.runner.run(shell(script, file, timeout=TIMEOUT))
    return context.runner.run(shell(_KEEP, file)) if saved.ok else saved
