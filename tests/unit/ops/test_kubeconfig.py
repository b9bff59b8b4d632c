"""The operator's own kubeconfig: merged, whole or untouched, and readable by nobody else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeops.errors import StepError, TransportError, UsageError
from kubeops.ops.kubeconfig import ADMIN, fetch, merge, write
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport, reading
from tests.unit.ops.values import session_of
from tests.unit.plan.values import cluster

KEY = "c2VjcmV0LWtleQ=="
SERVED = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {
                    "certificate-authority-data": "Q0E=",
                    "server": "https://10.0.0.11:6443",
                },
            }
        ],
        "contexts": [
            {
                "name": "kubernetes-admin@kubernetes",
                "context": {"cluster": "kubernetes", "user": "kubernetes-admin"},
            }
        ],
        "users": [
            {
                "name": "kubernetes-admin",
                "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": KEY},
            }
        ],
        "current-context": "kubernetes-admin@kubernetes",
    }
)
MINE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "other", "cluster": {"server": "https://192.0.2.1:6443"}}],
    "contexts": [{"name": "other", "context": {"cluster": "other", "user": "me"}}],
    "users": [{"name": "me", "user": {"token": "t0k3n"}}],
    "current-context": "other",
    "preferences": {"colors": True},
}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of(cluster(), tmp_path)


def served(session: Session, host: str, **answer: Any) -> None:
    assert isinstance(session.transport, FakeTransport)
    session.transport.runner(host).on(reading(ADMIN), **answer)


@pytest.fixture
def fetched(session: Session) -> Mapping[str, Any]:
    served(session, "cp1", stdout=SERVED)
    return fetch(session)


class TestFetch:
    def test_names_and_server_are_the_inventorys(self, fetched: Mapping[str, Any]) -> None:
        assert fetched["clusters"] == [
            {
                "name": "prod",
                "cluster": {
                    "certificate-authority-data": "Q0E=",
                    "server": "https://10.0.0.10:6443",
                },
            }
        ]
        assert fetched["contexts"] == [
            {"name": "prod", "context": {"cluster": "prod", "user": "prod-admin"}}
        ]
        assert fetched["users"][0]["user"]["client-key-data"] == KEY
        assert fetched["current-context"] == "prod"

    @pytest.mark.parametrize(
        "first",
        [
            {"error": TransportError("cp1: no route", host="cp1")},
            {"status": 44},
            {"status": 1, "stderr": "cat: Input/output error"},
            {"stdout": SERVED[:200]},
            {"stdout": b"\xff\xfe"},
            {"stdout": "kind: Config\n"},
        ],
        ids=["not reached", "none", "unreadable", "cut off", "no text", "empty"],
    )
    def test_the_next_control_plane_is_asked(self, session: Session, first: Any) -> None:
        served(session, "cp1", **first)
        served(session, "cp2", stdout=SERVED)
        assert fetch(session)["current-context"] == "prod"

    def test_when_nobody_has_one_everybodys_answer_is_told_and_no_key(
        self, session: Session
    ) -> None:
        served(session, "cp1", error=TransportError("cp1: no route", host="cp1"))
        served(session, "cp2", status=44)
        served(session, "cp3", stdout=f"client-key-data: {KEY}: {KEY}\n")
        with pytest.raises(StepError) as raised:
            fetch(session)
        assert raised.value.message == (
            "no control plane of prod has an administrator's kubeconfig: cp1: no route; "
            f"cp2 has no {ADMIN}; cp3: {ADMIN} is not a kubeconfig"
        )


class TestMerge:
    def test_everything_else_stays(self, fetched: Mapping[str, Any]) -> None:
        merged = merge(MINE, fetched)
        for kind in ("clusters", "contexts", "users"):
            assert merged[kind] == [*MINE[kind], *fetched[kind]]
        assert merged["preferences"] == {"colors": True}
        assert merged["current-context"] == "prod"

    def test_entries_of_the_same_names_are_replaced(self, fetched: Mapping[str, Any]) -> None:
        once = merge(MINE, fetched)
        old = {**once, "users": [*MINE["users"], {"name": "prod-admin", "user": {}}]}
        assert merge(old, fetched) == once
        assert merge(once, fetched) == once

    def test_lists_may_be_missing(self, fetched: Mapping[str, Any]) -> None:
        assert merge({"clusters": None}, fetched)["clusters"] == fetched["clusters"]
        assert merge({}, fetched) == dict(fetched)


class TestWrite:
    def test_a_new_file_is_the_operators_alone(
        self, fetched: Mapping[str, Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "new/.kube/config"
        write(fetched, path)
        assert yaml.safe_load(path.read_text()) == dict(fetched)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert list(path.parent.iterdir()) == [path]

    def test_a_file_that_everybody_reads_is_closed(
        self, fetched: Mapping[str, Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(dict(MINE)))
        path.chmod(0o644)
        write(fetched, path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert [it["name"] for it in yaml.safe_load(path.read_text())["users"]] == [
            "me",
            "prod-admin",
        ]

    def test_a_link_stays_a_link(self, fetched: Mapping[str, Any], tmp_path: Path) -> None:
        behind = tmp_path / "dotfiles/config"
        behind.parent.mkdir()
        behind.write_text(yaml.safe_dump(dict(MINE)))
        path = tmp_path / "config"
        path.symlink_to(behind)
        write(fetched, path)
        assert path.is_symlink()
        assert len(yaml.safe_load(behind.read_text())["contexts"]) == 2

    @pytest.mark.parametrize(
        "broken",
        [
            b"a: [\n",
            b"- a list\n",
            b"kind: Secret\n",
            b"users: [{user: {token: t0k3n}}]\n",
            b"users: 7\n",
            b"users: [me]\n",
            b"\xff\xfe\x00",
        ],
        ids=["cut off", "list", "Secret", "no names", "number", "text entries", "binary"],
    )
    def test_what_is_no_kubeconfig_is_left_alone(
        self, fetched: Mapping[str, Any], tmp_path: Path, broken: bytes
    ) -> None:
        path = tmp_path / "config"
        path.write_bytes(broken)
        with pytest.raises(UsageError, match="this is not a kubeconfig") as raised:
            write(fetched, path)
        assert raised.value.hint == "Give another place: --output FILE"
        assert path.read_bytes() == broken
        assert list(tmp_path.iterdir()) == [path]

    def test_a_broken_file_is_not_quoted(self, fetched: Mapping[str, Any], tmp_path: Path) -> None:
        path = tmp_path / "config"
        path.write_text(f"kind: Config\nclient-key-data: {KEY}: {KEY}\n")
        with pytest.raises(UsageError, match=f"^{path}, line 2: ") as raised:
            write(fetched, path)
        assert KEY not in repr(raised.value)
        assert raised.value.__cause__ is None

    def test_a_place_that_cannot_be_written_says_so(
        self, fetched: Mapping[str, Any], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="cannot be written: "):
            write(fetched, tmp_path / "file/config")
        with pytest.raises(UsageError, match="cannot be read: Is a directory"):
            write(fetched, tmp_path)

    def test_a_full_disk_leaves_the_old_file_and_nothing_else(
        self, fetched: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(dict(MINE)))

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(UsageError, match="No space left on device"):
            write(fetched, path)
        assert yaml.safe_load(path.read_text()) == dict(MINE)
        assert list(tmp_path.iterdir()) == [path]
