"""Takes a host out of a cluster. Data, manifests and PKI are moved aside, never deleted.

1. Where etcd's data has to be copied to another file system, there must be room for it.
2. The static pod manifests are moved out; the kubelet stops their containers, which is waited for.
   Where no kubelet is at work they are stopped here.
3. etcd's data, PKI and kubeconfigs are moved to /var/lib/kubeops/aside/<time>/ (0700).
4. `kubeadm reset` cleans up the rest: kubelet state, mounts, the files it wrote.
5. What kubeops wrote for the network is removed, what other network plugins wrote is moved aside;
   firewall rules stay, as with kubeadm.
"""

from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import StepError
from kubeops.handlers.observe import host_facts
from kubeops.handlers.tools import shell
from kubeops.plan.actions import ResetHost
from kubeops.plan.reset import has_traces
from kubeops.transport.base import Command

STOP_TIMEOUT = 120
COPY_TIMEOUT = 3600
ASIDE = "/var/lib/kubeops/aside"
_ETCD = "/var/lib/etcd/member"
_KIB = 2**10

# Prints what etcd's data takes and what is free aside, in KiB; nothing when it is only renamed.
_ROOM = """
[ -d "$1" ] || exit 0
umask 077
mkdir -p "$2"
[ "$(stat -L -c %m "$1")" != "$(stat -L -c %m "$2")" ] || exit 0
du -sk "$1" | cut -f 1
df -k --output=avail "$2" | tail -n 1
"""

# The mark goes first: a host whose data is aside, but which was not reset, shows no other trace.
_MANIFESTS_ASIDE = """
umask 077
mkdir -p "$1/manifests"
[ -e /var/lib/kubeops/unfinished ] || printf reset > /var/lib/kubeops/unfinished
for manifest in /etc/kubernetes/manifests/*; do
  if [ -e "$manifest" ]; then mv "$manifest" "$1/manifests/"; fi
done
"""
_RUNNING = """
if command -v crictl >/dev/null && [ -S /run/containerd/containerd.sock ]; then
  crictl ps --quiet --name '^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$'
fi
"""
# A kubelet that is restarted over and over is not active either, and without manifests idle.
_STOP_ORPHANS = """
if systemctl is-active --quiet kubelet.service; then exit 0; fi
if command -v crictl >/dev/null && [ -S /run/containerd/containerd.sock ]; then
  crictl ps --quiet --name '^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$' |
    xargs -r crictl stop --timeout 30
fi
"""
_DATA_ASIDE = """
umask 077
mkdir -p "$1"
if [ -d /var/lib/etcd/member ]; then mkdir -p "$1/etcd"; mv /var/lib/etcd/member "$1/etcd/"; fi
if [ -d /etc/kubernetes/pki ]; then mv /etc/kubernetes/pki "$1/pki"; fi
for file in /etc/kubernetes/*.conf; do
  if [ -e "$file" ]; then mv "$file" "$1/"; fi
done
"""
_NETWORK = """
if [ -e /etc/systemd/system/kubeops-pod-routes.service ]; then
  systemctl disable --now --quiet kubeops-pod-routes.service
  sed -n 's/^ExecStart=ip route replace //p' /etc/systemd/system/kubeops-pod-routes.service |
    while read -r route; do ip route del $route 2>/dev/null || true; done
  rm /etc/systemd/system/kubeops-pod-routes.service
  systemctl daemon-reload
fi
rm -f /etc/cni/net.d/10-kubeops-bridge.conflist
umask 077
for file in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist /etc/cni/net.d/*.json; do
  if [ -e "$file" ]; then mkdir -p "$1/cni"; mv "$file" "$1/cni/"; fi
done
rm -f /var/lib/kubeops/unfinished
for link in cni0 flannel.1 flannel-v6.1 vxlan.calico cilium_vxlan cilium_host kube-ipvs0; do
  if [ -e "/sys/class/net/$link" ]; then ip link del "$link"; fi
done
"""


def clear(context: StepContext) -> None:
    """Take the step's host out of whatever cluster it is in; keeps its data aside.

    Raises:
        StepError: there is no room to keep etcd's data; nothing was touched.
        GateError: the control plane's containers do not stop; its data stays where it is.
    """
    aside = f"{ASIDE}/{context.clock.now():%Y%m%dT%H%M%SZ}"
    _must_have_room(context)
    context.run(shell(_MANIFESTS_ASIDE, aside))
    context.run(shell(_STOP_ORPHANS, timeout=STOP_TIMEOUT + 60))

    def look() -> Reading:
        running = context.run(shell(_RUNNING)).stdout.split()
        return Reading(ok=not running, text=f"{len(running)} containers still run")

    wait_until(
        Gate(name="the control plane's containers", look=look, timeout=STOP_TIMEOUT, successes=1),
        clock=context.clock,
        progress=context.progress,
    )
    context.run(shell(_DATA_ASIDE, aside, timeout=COPY_TIMEOUT))
    context.progress(f"kubeadm reset; the data is kept in {aside}")
    context.run(Command(argv=("kubeadm", "reset", "--force"), timeout=300))
    context.run(shell(_NETWORK, aside))


def _must_have_room(context: StepContext) -> None:
    told = context.run(shell(_ROOM, _ETCD, ASIDE)).stdout.split()
    if not told:
        return
    needed, free = (int(kibibytes) * _KIB for kibibytes in told)
    if needed > free:
        raise StepError(
            f"{context.host}: etcd's data ({needed // 2**20} MiB) is kept aside on the file system "
            f"of {ASIDE}, which has {free // 2**20} MiB free; nothing was touched",
            hint=f"On the host: free space there, or make {ASIDE} a link to a place with room.",
        )


def _check(_action: ResetHost, context: StepContext) -> Check:
    return NEEDED if has_traces(host_facts(context)) else DONE


def _reset(_action: ResetHost, context: StepContext) -> None:
    clear(context)


RESET_HOST = Handler(check=_check, apply=_reset)
