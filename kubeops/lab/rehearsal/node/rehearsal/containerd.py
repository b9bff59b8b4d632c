"""The containerd stand-in: a daemon that listens, reads its configuration and stops.

It refuses a configuration that is no TOML, and answers no gRPC: kubelet, kubeadm and crictl
stand-ins only check that somebody listens. Restarting it leaves containers alone, as a real
containerd does.
"""

import os
import signal
import socket
import sys
import threading
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rehearsal import faults, files
from rehearsal.layout import Layout

CONFIG = "/etc/containerd/config.toml"
CRI_2 = "io.containerd.cri.v1"
CRI_1 = "io.containerd.grpc.v1.cri"
SECOND = "2"


def default_config(version: str) -> str:
    """Return the parts that matter of what `containerd config default` prints in `version`."""
    if version.startswith(SECOND):
        return _DEFAULT_2
    return _DEFAULT_1


def read_config(layout: Layout) -> dict[str, Any]:
    """Return the configuration file as a dictionary; empty when there is none.

    Raises:
        tomllib.TOMLDecodeError: it is broken.
    """
    path = layout.at(CONFIG)
    return tomllib.loads(path.read_text()) if path.exists() else {}


def sandbox_image(config: dict[str, Any]) -> str:
    """Return the image pods' sandboxes are made of."""
    plugins = config.get("plugins", {})
    new = plugins.get(f"{CRI_2}.images", {}).get("pinned_images", {}).get("sandbox")
    old = plugins.get(CRI_1, {}).get("sandbox_image")
    return str(new or old or "registry.k8s.io/pause:3.10")


def systemd_cgroup(config: dict[str, Any]) -> bool:
    """Whether runc is told to use the systemd cgroup driver."""
    plugins = config.get("plugins", {})
    for section in (plugins.get(f"{CRI_2}.runtime", {}), plugins.get(CRI_1, {})):
        runc = section.get("containerd", {}).get("runtimes", {}).get("runc", {})
        if runc.get("options", {}).get("SystemdCgroup"):
            return True
    return False


def cri_disabled(config: dict[str, Any]) -> bool:
    """Whether the CRI plugin is switched off, as Docker's packages leave it."""
    return "cri" in config.get("disabled_plugins", [])


def serve(layout: Layout) -> int:
    """Listen until SIGTERM. Returns the exit status."""
    try:
        config = read_config(layout)
    except tomllib.TOMLDecodeError as error:
        files.warn(f"containerd: failed to load TOML: {layout.at(CONFIG)}: {error}")
        return 1
    path = layout.at("/run/containerd/containerd.sock")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if cri_disabled(config):
        files.warn("containerd: CRI plugin is disabled by disabled_plugins")
        ended.wait()
        return 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chmod(path, 0o660)
        listener.listen(64)
        threading.Thread(target=_answer, args=(listener,), daemon=True).start()
        _notify("READY=1")
        files.warn(f"level=info msg=serving... address={path}")
        ended.wait()
    path.unlink(missing_ok=True)
    return 0


def main(argv: Sequence[str], version: str) -> int:
    """Run `containerd` with `argv`."""
    match list(argv):
        case []:
            return serve(Layout())
        case ["--version"] | ["-v"]:
            repository = "github.com/containerd/containerd"
            path = f"{repository}/v2" if version.startswith(SECOND) else repository
            files.say(f"containerd {path} {version}+rehearsal ")
            return 0
        case ["config", "default"]:
            files.say(default_config(version))
            return 0
        case ["config", "dump"]:
            path_ = Path(CONFIG)
            files.say(path_.read_text() if path_.exists() else default_config(version))
            return 0
        case [word, *_] if word.startswith("-"):
            files.warn(f"containerd: flag provided but not defined: {word}")
            return 1
        case _:
            files.warn(f"containerd: the rehearsal does not know `containerd {' '.join(argv)}`")
            return 1


def run(argv: Sequence[str], version: str) -> int:
    """Run `containerd` under the orders for faults; the launcher's entry."""
    return faults.call("containerd", argv, lambda _: main(argv, version))


def _answer(listener: socket.socket) -> None:
    while True:
        with suppress(OSError):
            connection, _ = listener.accept()
            connection.close()
            continue
        return


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier, suppress(OSError):
        notifier.sendto(state.encode(), target)


_DEFAULT_2 = """\
version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
temp = ''
disabled_plugins = []
required_plugins = []
oom_score = 0
imports = []

[grpc]
  address = '/run/containerd/containerd.sock'
  uid = 0
  gid = 0

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'
    disable_snapshot_annotations = true

    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10'

    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = ''

  [plugins.'io.containerd.cri.v1.runtime']
    enable_selinux = false
    max_container_log_line_size = 16384
    enable_cdi = true

    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'

      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'
          snapshotter = ''
          sandboxer = 'podsandbox'

          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
            IoGid = 0
            IoUid = 0
            NoNewKeyring = false
            Root = ''
            ShimCgroup = ''
            SystemdCgroup = false

    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['/opt/cni/bin']
      conf_dir = '/etc/cni/net.d'
      max_conf_num = 1

[timeouts]
  'io.containerd.timeout.shim.load' = '5s'
"""

_DEFAULT_1 = """\
disabled_plugins = []
imports = []
oom_score = 0
required_plugins = []
root = "/var/lib/containerd"
state = "/run/containerd"
temp = ""
version = 2

[grpc]
  address = "/run/containerd/containerd.sock"
  gid = 0
  uid = 0

[plugins]

  [plugins."io.containerd.grpc.v1.cri"]
    enable_selinux = false
    sandbox_image = "registry.k8s.io/pause:3.10"

    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/opt/cni/bin"
      conf_dir = "/etc/cni/net.d"
      max_conf_num = 1

    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "runc"
      snapshotter = "overlayfs"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]

        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          runtime_type = "io.containerd.runc.v2"

          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            BinaryName = ""
            NoNewKeyring = false
            Root = ""
            SystemdCgroup = false

    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = ""

[timeouts]
  "io.containerd.timeout.shim.load" = "5s"
"""

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "2.1.9"))
