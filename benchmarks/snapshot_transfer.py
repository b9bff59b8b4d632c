"""The snapshot of a large etcd on its way to this machine: `invoke backup` against `ssh host cat`.

    python -m benchmarks.snapshot_transfer [--size-mib N] [--rounds N] [--content KIND] [--keep]

A lab with one control plane is booted and installed, which is not counted, and its etcd filled by
etcdctl, below a prefix that is none of Kubernetes'. Each round then reads etcd's database by `ssh
host sudo cat`, once into /dev/null and once into a file of this machine's disk, and takes three
backups: plain, encrypted to a public key, and encrypted with a passphrase.

The speed of a backup is the size of the snapshot by the time from its first byte to its last, as
the backup's own proof records it (rung `received`); of `ssh`, by the time of the process, less that
of an `ssh host true` next to it. All of it runs on this machine's processors, and meanwhile the
node asks its API for an object, over and over. `cat` begins after a pause about as long as etcd
takes to save: a virtual machine gives memory that was freed back to its host meanwhile, and a file
that is then written into fresh memory takes up to twice as long as one a moment earlier.

The memory is the largest a process had at once, as the kernel says at its end. It cannot be less
than that of this program when it started it.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import pyrage
import yaml
from rich.table import Table

from benchmarks import harness
from kubeops.lab.model import Lab

GOAL, GOAL_MEMORY = 0.8, 150
CAT, CAT_FILE = "ssh cat >/dev/null", "ssh cat >FILE"
PLAIN, PUBLIC_KEY, PASSPHRASE = "plain", "to a public key", "with a passphrase"
_HOST = "cp1"
_PAUSE = 6
_DATABASE = "/var/lib/etcd/member/snap/db"
_SAVING = "etcd's member to the host's disk"
_RECEIVING = "on its way here"
_PROVING = "restored into a scratch etcd, on the host"
_PHASES = (
    ("starting, observing, choosing", ""),
    (_PROVING, ": saving a snapshot"),
    ("its own SHA-256, here", ": saved in"),
    ("PKI and configuration", ": reading PKI"),
    ("compressing, encrypting, storing, reading back", " storing in "),
)
"""What a line of progress begins; of saving, receiving and proving the times are told apart."""

_TOLD = re.compile(r": saved in ([0-9.]+) s, received in ([0-9.]+) s")

# $1 MiB, $2 kind of content. One value is 1 MiB; objects of Kubernetes compress to about a sixth.
_FILL = r"""
set -eu
pki=/etc/kubernetes/pki/etcd
ctl() {
    etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt --cert $pki/server.crt \
        --key $pki/server.key "$@"
}
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

    def cat(self, target: Path) -> float:
        """Return the seconds in which the database arrives in `target`, without the login's."""
        with self.polling():
            self.on_host(f"sleep {_PAUSE}")
            login = self._timed("true", Path(os.devnull))
            return self._timed(f"sudo -n cat {_DATABASE}", target) - login

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
            (*self.ssh, f"sudo -n python3 -c {_quoted(_POLL)}"),
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


def main() -> None:
    """Boot, fill, measure, print, and take the lab down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--content",
        choices=("random", "objects"),
        default="random",
        help="random does not compress at all; objects do as those of Kubernetes do",
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is")
    parser.add_argument("--lab", default="snapshottransfer", help="the lab's name")
    given = parser.parse_args()
    with (
        harness.booted(given.lab, 1, 0, keep=given.keep) as lab,
        # On a disk, as the store and the scratch files of a workstation are; /tmp may be memory.
        tempfile.TemporaryDirectory(dir=harness.CACHE) as directory,
    ):
        bench = Bench(lab=lab, directory=Path(directory))
        _install(bench)
        harness.say(f"filling etcd with {given.size_mib} MiB")
        harness.say(bench.on_host(_FILL, str(given.size_mib), given.content))
        cats, backups, idle = _measure(bench, rounds=given.rounds)
    _report(cats, backups, idle, title=f"{given.size_mib} MiB, {given.content}")


def _install(bench: Bench) -> None:
    argv = harness.kubeops("install", "--inventory", str(bench.lab.inventory), "--yes")
    harness.say("installing")
    subprocess.run(
        argv, cwd=harness.CHECKOUT, env=bench.environment, stdout=subprocess.DEVNULL, check=True
    )


def _measure(
    bench: Bench, *, rounds: int
) -> tuple[Mapping[str, Sequence[float]], Mapping[str, Sequence[Backup]], Answers]:
    """Return seconds of `cat`, and backups, by name and round; and answers while nothing is done.

    The first round, which warms caches, is not counted.
    """
    passphrase = bench.directory / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    public = str(pyrage.x25519.Identity.generate().to_public())
    encryption: Mapping[str, Mapping[str, object]] = {
        PLAIN: {},
        PUBLIC_KEY: {"recipients": [public]},
        PASSPHRASE: {"passphrase_file": str(passphrase)},
    }
    targets = {CAT: Path(os.devnull), CAT_FILE: bench.directory / "db"}
    cats: dict[str, list[float]] = {name: [] for name in targets}
    backups: dict[str, list[Backup]] = {name: [] for name in encryption}
    for number in range(rounds + 1):
        for name, target in targets.items():
            cats[name].append(bench.cat(target))
            harness.say(f"round {number}: {name} {cats[name][-1]:.2f} s")
        (bench.directory / "db").unlink()
        for name, encrypt in encryption.items():
            backups[name].append(bench.backup(encrypt))
            one = backups[name][-1]
            harness.say(
                f"round {number}: backup {name} {one.wall:.2f} s, transfer {one.transfer:.2f} s"
            )
    with bench.polling() as answers:
        bench.on_host("sleep 5")
    return (
        {name: tuple(found[1:]) for name, found in cats.items()},
        {name: tuple(found[1:]) for name, found in backups.items()},
        answers[0],
    )


def _report(
    cats: Mapping[str, Sequence[float]],
    backups: Mapping[str, Sequence[Backup]],
    idle: Answers,
    *,
    title: str,
) -> None:
    size = backups[PLAIN][0].size / (1 << 20)
    table = _table(f"the snapshot on its way: {title}", "median", "MiB/s", "of null", "of FILE")
    for name, seconds in cats.items():
        table.add_row(name, f"{median(seconds):.2f} s", f"{size / median(seconds):.0f}")
    for name, found in backups.items():
        took = [one.transfer for one in found]
        table.add_row(
            f"backup {name}",
            f"{median(took):.2f} s",
            f"{size / median(took):.0f}",
            *(f"{_ratio(cats[cat], took):.2f}" for cat in (CAT, CAT_FILE)),
        )
    harness.show(table)
    print(f"goal: >= {GOAL} of what ssh cat reaches\n")
    table = _table("whole backups", *(f"backup {name}" for name in backups))
    first, *others = (phase for phase, _words in _PHASES)
    for phase in (first, _SAVING, _RECEIVING, *others):
        row = (median(one.phases[phase] for one in found) for found in backups.values())
        table.add_row(phase, *(f"{seconds:.2f} s" for seconds in row))
    rows = {
        "in all": [f"{median(one.wall for one in found):.2f} s" for found in backups.values()],
        "processor here": [
            f"{median(one.processor for one in found):.2f} s" for found in backups.values()
        ],
        "stored": [f"{found[0].stored >> 20} MiB" for found in backups.values()],
        f"memory (goal: < {GOAL_MEMORY} MB)": [
            f"{max(one.memory for one in found) * (1 << 20) / 1e6:.0f} MB"
            for found in backups.values()
        ],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    harness.show(table)
    table = _table("the API meanwhile", "answers", "failed", "p50", "p95", "p99", "longest gap")
    table.add_row("nothing is done", *_answered([idle]))
    for name, found in backups.items():
        table.add_row(f"backup {name}", *_answered([one.answers for one in found]))
    harness.show(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _answered(rounds: Sequence[Answers]) -> Iterator[str]:
    took = [seconds for one in rounds for seconds in one.took]
    cuts = quantiles(took, n=100)
    yield str(len(took))
    yield str(sum(one.failed for one in rounds))
    for cut in (50, 95, 99):
        yield f"{cuts[cut - 1] * 1000:.0f} ms"
    yield f"{max(one.gap for one in rounds) * 1000:.0f} ms"


def _phases(lines: Sequence[tuple[float, str]], wall: float) -> Mapping[str, float]:
    """Return how long each phase took: each begins with its line and ends with the next one's."""
    starts = [
        (at, phase) for at, line in lines for phase, words in _PHASES[1:] if words in line.rstrip()
    ]
    ends = [at for at, _phase in starts[1:]] + [wall]
    phases = {phase: end - at for (at, phase), end in zip(starts, ends, strict=True)}
    phases[_PHASES[0][0]] = starts[0][0]
    told = next(filter(None, (_TOLD.search(line) for _at, line in lines)), None)
    if told is None:
        raise ValueError("backup did not say how long it saved and received")
    saving, receiving = float(told[1]), float(told[2])
    return {
        **phases,
        _SAVING: saving,
        _RECEIVING: receiving,
        _PROVING: phases[_PROVING] - saving - receiving,
    }


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return median(their / our for their, our in zip(theirs, ours, strict=True))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    main()
