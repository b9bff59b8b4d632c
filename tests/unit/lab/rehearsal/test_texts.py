from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rehearsal import crictl_shapes, files, kubeadm_certs, kubeadm_texts
from rehearsal.kubeadm_certs import Expiry

CASES = Path(__file__).with_name("cases")
VALUES = {
    "server": "172.30.77.11:6443",
    "token": "abcdef.0123456789abcdef",
    "pin": "sha256:e42a73b8e14498744f5914fdb4970ee21a4f3dc0dd611a3f3418eef99cf127cb",
    "key": "<elided>",
}


def test_the_end_of_init_is_kubeadms() -> None:
    said = (
        kubeadm_texts.DONE,
        kubeadm_texts.JOIN_CONTROL_PLANE.format(**VALUES),
        kubeadm_texts.JOIN_WORKER.format(**VALUES),
    )
    assert "\n".join(said) + "\n" == (CASES / "init-done.txt").read_text()


@pytest.mark.parametrize(
    ("text", "case"),
    [
        (kubeadm_texts.JOINED_WORKER, "joined-worker.txt"),
        (kubeadm_texts.JOINED_CONTROL_PLANE, "joined-control-plane.txt"),
    ],
)
def test_the_end_of_join_is_kubeadms(text: str, case: str) -> None:
    assert text == (CASES / case).read_text()


def _undated(words: list[str]) -> list[str]:
    """Leave out the residual time, which depends on the day."""
    return [word for word in words if not word[:1].isdigit() or word[-1] not in "dy"]


def test_the_table_of_certificates_is_kubeadms(capsys: pytest.CaptureFixture[str]) -> None:
    leaf = datetime(2027, 11, 21, 0, 4, tzinfo=UTC)
    top = datetime(2036, 11, 18, 0, 4, tzinfo=UTC)
    kubeadm_certs._table(
        [Expiry(name, ca, leaf) for name, (ca, _) in kubeadm_certs.ROWS.items()],
        [Expiry(name, "", top) for name in kubeadm_certs.AUTHORITIES],
    )
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    expected = [line.split() for line in (CASES / "certs-table.txt").read_text().splitlines()]
    assert list(map(_undated, said)) == list(map(_undated, expected))


def test_a_missing_certificate_is_shouted(capsys: pytest.CaptureFixture[str]) -> None:
    kubeadm_certs._table([Expiry("super-admin.conf", "ca", None)], [])
    assert "!MISSING! super-admin.conf" in capsys.readouterr().out


def test_crictl_columns_are_as_wide_as_the_real_ones(capsys: pytest.CaptureFixture[str]) -> None:
    head = (
        "CONTAINER",
        "IMAGE",
        "CREATED",
        "STATE",
        "NAME",
        "ATTEMPT",
        "POD ID",
        "POD",
        "NAMESPACE",
    )
    row = ("",) * 4 + ("kube-controller-manager", "", "", "kube-controller-manager-node1", "")
    crictl_shapes.print_table(head, [row])
    assert (
        capsys.readouterr().out.splitlines(keepends=True)[0]
        == (CASES / "crictl-ps-head.txt").read_text()
    )


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (0, "Less than a second ago"),
        (13, "13 seconds ago"),
        (61, "About a minute ago"),
        (7300, "2 hours ago"),
    ],
)
def test_ages_are_written_as_crictl_does(age: int, text: str) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=age)
    assert crictl_shapes.ago(int(moment.timestamp() * 1e9)) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("4m0s", 240), ("24h0m0s", 86400), ("500ms", 0.5), ("0", 0)]
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert files.duration(text) == seconds


@pytest.mark.parametrize("text", ["5", "m", "4x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time:"):
        files.duration(text)
