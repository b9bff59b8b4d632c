"""A lab node with a large etcd: its backups, and what they are compared with."""

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import harness
from kubeops.lab.model import Lab

_HOST = "cp1"
_SNAPSHOT = "/var/lib/kubeops-benchmark.db"
SAVING = "etcd's member to the host's disk"
RECEIVING = "on its way here"
_PROVING = "restored into a scratch etcd, on the host"
PHASES = (
    ("starting, observing, choosing", ""),
    (_PROVING, ": saving a snapshot"),
    ("its own SHA-256, here", ": saved in"),
    ("PKI and configuration", ": reading PKI"),
    ("compressing, encrypting, storing, reading back", " storing in "),
)
"""What a line of progress begins; of saving, receiving and proving the times are told apart."""

_TOLD = re.compile(r": saved in ([0-9.]+) s, received in ([0-9.]+) s")

_CTL = r"""
set -eu
pki=/etc/kubernetes/pki/etcd
ctl() {
    etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt --cert $pki/server.crt \
        --key $pki/server.key "$@"
}
"""
# $1 where to.
_SAVE = f"""{_CTL}
ctl snapshot save "$1" >/dev/null 2>&1
"""
# $1 MiB, $2 kind of content. One value is 1 MiB; objects of Kubernetes compress to about a sixth.
_FILL = (
    _CTL
    + r"""
make() {
    if [ "$2" = random ]; then
        head -c 1048576 /dev/urandom
    else
        python3 -c 'import os
for number in range(2048):
    line = "{\"name\": \"web-%s\", \"uid\": \"%s\", \"phase\": \"Running\", \"restarts\": 0, " % (
        os.urandom(5).hex(), os.urandom(16).hex())
    print((line + "\"conditions\": [\"Initialized\", \"Ready\", \"ContainersReady\", " * 12)[:511])'
    fi
}
number=0
while [ "$number" -lt "$1" ]; do
    make "$@" | ctl put "/kubeops-benchmark/$number" >/dev/null
    number=$((number + 1))
done
ctl endpoint status -w json
"""
)

# Asks for an object, which the API server reads from etcd, every 20 ms until its stdin is closed.
_POLL = r"""
import base64, http.client, json, re, select, ssl, sys, tempfile, time, urllib.parse
text = open("/etc/kubernetes/admin.conf").read()
found = dict(re.findall(r"(\S+-data|server):\s*(\S+)", text))
context = ssl.create_default_context(
    cadata=base64.b64decode(found["certificate-authority-data"]).decode())
with tempfile.NamedTemporaryFile() as pair:
    for name in ("client-certificate-data", "client-key-data"):
        pair.write(base64.b64decode(found[name]))
    pair.flush()
    context.load_cert_chain(pair.name)
address = urllib.parse.urlsplit(found["server"]).netloc
connection, answers, failures = None, [], 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    try:
        if connection is None:
            connection = http.client.HTTPSConnection(address, context=context, timeout=30)
        connection.request("GET", "/api/v1/namespaces/kube-system")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(answer.status)
        answers.append((time.monotonic(), time.monotonic() - began))
    except (OSError, http.client.HTTPException):
        failures, connection = failures + 1, None
gaps = [later[0] - earlier[0] for earlier, later in zip(answers, answers[1:])]
print(json.dumps({"took": [took for _, took in answers], "gap": max(gaps), "failed": failures}))
"""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How an API answered: seconds of each answer, the longest time without one, and failures."""

    took: tuple[float, ...]
    gap: float
    failed: int


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup: sizes in bytes, times in seconds, memory in MiB."""

    size: int
    stored: int
    transfer: float
    wall: float
    processor: float
    phases: Mapping[str, float]
    memory: float
    answers: Answers


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The lab, the files beside it, and the ssh with which all hosts are reached."""

    lab: Lab
    directory: Path

    @property
    def ssh(self) -> tuple[str, ...]:
        """The argv before a command of the host."""
        return (*harness.ssh(self.lab), self.lab.node(_HOST).address)

    @property
    def environment(self) -> dict[str, str]:
        """Ours, with a place of its own for what kubeops remembers."""
        return {**os.environ, "XDG_STATE_HOME": str(self.directory / "state")}

    def on_host(self, script: str, *arguments: str) -> str:
        """Run a script as root; return what it printed. CalledProcessError when it fails."""
        argv = (*self.ssh, "sudo -n sh -s --", *arguments)
        return subprocess.run(
            argv, input=script, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def install(self) -> None:
        """Make the node a cluster of one."""
        argv = harness.kubeops("install", "--inventory", str(self.lab.inventory), "--yes")
        subprocess.run(
            argv, cwd=harness.CHECKOUT, env=self.environment, stdout=subprocess.DEVNULL, check=True
        )

    def fill(self, size: int, content: str) -> str:
        """Put `size` MiB of `content` into its etcd; return what etcd says of itself then."""
        return self.on_host(_FILL, str(size), content)

    def cat(self, target: Path) -> float:
        """Have etcd save a snapshot, and bring it into `target`.

        Returns: the seconds from there to here, without the login's.
        """
        with self.polling():
            self.on_host(_SAVE, _SNAPSHOT)
            login = self._timed("true", Path(os.devnull))
            took = self._timed(f"sudo -n cat {_SNAPSHOT}", target) - login
            self.on_host('rm -- "$1"', _SNAPSHOT)
        return took

    def _timed(self, command: str, target: Path) -> float:
        with target.open("wb") as file:
            started = time.perf_counter()
            subprocess.run((*self.ssh, command), stdout=file, check=True)
            return time.perf_counter() - started

    @contextmanager
    def polling(self) -> Iterator[list[Answers]]:
        """Ask the API from the node while the block runs; what came of it is in the list then."""
        found: list[Answers] = []
        with subprocess.Popen(
            (*self.ssh, f"sudo -n python3 -c {shlex.quote(_POLL)}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise ValueError("the node does not ask its API")
            try:
                yield found
            finally:
                said, _ = process.communicate()
        told = json.loads(said)
        answers = Answers(took=tuple(told["took"]), gap=told["gap"], failed=told["failed"])
        found.append(answers)

    def backup(self, encrypt: Mapping[str, object]) -> Backup:
        """Take a backup with the verb, as a process of its own."""
        inventory = yaml.safe_load(self.lab.inventory.read_text())
        store = self.directory / "store"
        inventory["cluster"]["backup"] = {
            "store": f"file://{store}",
            "keep": {"last": 1},
            **({"encrypt": encrypt} if encrypt else {}),
        }
        file = self.directory / "inventory.yaml"
        file.write_text(yaml.safe_dump(inventory))
        argv = harness.kubeops("backup", "--inventory", str(file), "--json")
        with self.polling() as answers:
            ended = self._watched(argv)
        bundle = json.loads(ended.stdout)["data"]["backup"]
        (received,) = (rung for rung in bundle["proof"]["rungs"] if rung["name"] == "received")
        return Backup(
            size=bundle["snapshot"]["plain_size"],
            stored=bundle["snapshot"]["size"],
            transfer=received["seconds"],
            wall=ended.wall,
            processor=ended.processor,
            phases=_phases(ended.lines, ended.wall),
            memory=ended.memory,
            answers=answers[0],
        )

    def _watched(self, argv: Sequence[str]) -> "_Ended":
        """Run `argv` to its end."""
        lines: list[tuple[float, str]] = []
        with tempfile.TemporaryFile("w+") as stdout:
            started = time.perf_counter()
            with subprocess.Popen(
                argv,
                cwd=harness.CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                lines.extend((time.perf_counter() - started, line) for line in process.stderr or ())
                _pid, status, usage = os.wait4(process.pid, 0)
                wall = time.perf_counter() - started
                process.returncode = os.waitstatus_to_exitcode(status)
            stdout.seek(0)
            if process.returncode:
                raise ValueError(f"backup ended with status {status}:\n{stdout.read()}")
            return _Ended(
                stdout=stdout.read(),
                lines=tuple(lines),
                wall=wall,
                processor=usage.ru_utime + usage.ru_stime,
                memory=usage.ru_maxrss / 1024,
            )


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """How a process ended well: what it said, and when which line of stderr came."""

    stdout: str
    lines: tuple[tuple[float, str], ...]
    wall: float
    processor: float
    memory: float


def _phases(lines: Sequence[tuple[float, str]], wall: float) -> Mapping[str, float]:
    """Return how long each phase took: each begins with its line and ends with the next one's."""
    starts = [
        (at, phase) for at, line in lines for phase, words in PHASES[1:] if words in line.rstrip()
    ]
    ends = [at for at, _phase in starts[1:]] + [wall]
    phases = {phase: end - at for (at, phase), end in zip(starts, ends, strict=True)}
    phases[PHASES[0][0]] = starts[0][0]
    told = next(filter(None, (_TOLD.search(line) for _at, line in lines)), None)
    if told is None:
        raise ValueError("backup did not say how long it saved and received")
    saving, receiving = float(told[1]), float(told[2])
    return {
        **phases,
        SAVING: saving,
        RECEIVING: receiving,
        _PROVING: phases[_PROVING] - saving - receiving,
    }
