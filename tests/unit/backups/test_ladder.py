"""What etcd's programs say is judged rung by rung."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from kubeops.backups.ladder import Expected, check_file, find_place, judged
from kubeops.backups.scripts import Answer, answers, remark
from kubeops.errors import PreflightError
from kubeops.model.bundle import Rung
from tests.bundles import UID

EXPECTED = Expected(etcd="3.6.6", least_revision=836, uid=UID)
GROUND = (Rung(name="sha256", ok=True, detail="fits"),)
# What etcdutl 3.6.6 says of a snapshot of a real cluster.
STATUS = '{"hash":2680810507,"revision":836,"totalKey":381,"totalSize":1531904,"version":"3.6.0"}\n'


def answer(text: str, status: int = 0) -> Answer:
    return Answer(status=status, text=text, seconds=0.5)


def sound() -> dict[str, Answer]:
    value = base64.b64encode(json.dumps({"metadata": {"uid": UID}}).encode()).decode()
    return {
        "status": answer(STATUS),
        "restore": answer(""),
        "start": answer("is healthy"),
        "keys": answer(json.dumps({"header": {}, "kvs": [{}], "count": 379})),
        "identity": answer(json.dumps({"kvs": [{"value": value}], "count": 1})),
    }


def test_all_is_well() -> None:
    climbed = judged(GROUND, sound(), EXPECTED)
    assert (climbed.revision, climbed.keys, climbed.uid) == (836, 379, UID)
    assert [rung.detail for rung in climbed.rungs] == [
        "fits",
        "revision 836, 381 keys",
        "restored into a scratch directory",
        "a scratch etcd serves it",
        "379 keys below /registry/",
        f"kube-system is {UID}",
    ]
    assert climbed.rungs[1].seconds == 0.5


@pytest.mark.parametrize(
    ("rung", "given", "said"),
    [
        ("status", answer("panic: x\ngoroutine 1", 2), "ended with status 2: goroutine 1"),
        ("status", answer(STATUS.replace("836", "835")), "revision 835, older than 836 before"),
        ("status", answer(STATUS.replace("381", "0")), "it holds no keys"),
        ("status", answer("{}"), "etcd answered '{}': 'revision'"),
        ("status", answer(""), "etcd answered ''"),
        ("restore", answer("Error: expected sha256 [1 2], got [3 4]", 1), "expected sha256"),
        ("start", None, "it was not tried: the script was cut off"),
        ("keys", answer('{"header":{}}'), "0 keys below /registry/"),
        ("identity", answer('{"header":{}}'), "there is no namespace kube-system in it"),
        ("identity", answer('{"kvs":[{"value":"e30="}]}'), "it is no object of Kubernetes"),
        (
            "identity",
            answer('{"kvs":[{"value":"eyJtZXRhZGF0YSI6eyJ1aWQiOiJhYmMifX0="}]}'),
            f"it is of cluster abc, not of {UID}",
        ),
    ],
)
def test_what_is_wrong_ends_the_climb(rung: str, given: Answer | None, said: str) -> None:
    found = sound()
    del found[rung]
    climbed = judged(GROUND, found if given is None else found | {rung: given}, EXPECTED)
    last = climbed.rungs[-1]
    assert (last.name, last.ok) == (rung, False)
    assert said in last.detail


def test_a_uid_nobody_can_read() -> None:
    value = base64.b64encode(b"k8s:enc:aescbc:v1:key1:xx").decode()
    found = sound() | {"identity": answer(json.dumps({"kvs": [{"value": value}]}))}
    climbed = judged(GROUND, found, EXPECTED)
    assert (climbed.rungs[-1].ok, climbed.uid) == (True, "")
    assert "its UID cannot be read" in climbed.rungs[-1].detail


def test_no_rung_without_the_one_below() -> None:
    ground = (Rung(name="trailer", ok=False, detail="x"),)
    assert judged(ground, sound(), EXPECTED).rungs == ground


@pytest.mark.parametrize(
    ("content", "received", "rungs"),
    [
        (b"x" * 1024, None, ["trailer sound", "sha256 sound"]),
        (b"x" * 1024, "right", ["received sound", "trailer sound", "sha256 sound"]),
        (b"x" * 1024, "wrong", ["received failed"]),
        (b"x" * 1000, None, ["trailer failed"]),
        (b"", None, ["trailer failed"]),
    ],
)
def test_files(tmp_path: Path, content: bytes, received: str | None, rungs: list[str]) -> None:
    file = tmp_path / "snapshot.db"
    file.write_bytes(content + hashlib.sha256(content).digest())
    whole = hashlib.sha256(file.read_bytes()).hexdigest()
    told = {"right": whole, "wrong": "0" * 64, None: ""}[received]
    found = check_file(file, received=told)
    assert [f"{rung.name} {'sound' if rung.ok else 'failed'}" for rung in found] == rungs


def test_answers_among_other_lines() -> None:
    text = '{"level":"info"}\n@saved 0 12 YWJj\nError: @x 1 2 3\n@keys 1 5 \n'
    assert dict(answers(text)) == {
        "saved": Answer(status=0, text="abc", seconds=0.012),
        "keys": Answer(status=1, text="", seconds=0.005),
    }
    assert remark(text) == "Error: @x 1 2 3"
    assert remark("") == "it said nothing"
    with pytest.raises(ValueError, match="the answer 'x' is damaged"):
        answers("@x 0 0 YWJ")


def test_nowhere_to_prove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with pytest.raises(PreflightError, match="can be proven nowhere: this machine: ") as caught:
        find_place(None, (), etcd="3.6.6")
    assert "Install etcd, etcdctl and etcdutl 3.6.6" in caught.value.hint
