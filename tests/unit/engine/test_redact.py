import pytest

from kubeops.engine.redact import Redactor

KEY = "a" * 60 + "0123"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            f"kubeadm join cp:6443 --token abcdef.0123456789abcdef --ca-cert-hash sha256:{KEY}",
            f"kubeadm join cp:6443 --token *** --ca-cert-hash sha256:{KEY}",
        ),
        (f"--certificate-key {KEY}", "--certificate-key ***"),
        (f"certificateKey: {KEY}", "certificateKey: ***"),
        (
            f"[upload-certs] Using certificate key:\n{KEY}",
            "[upload-certs] Using certificate key:\n***",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nrest",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "-----BEGIN PRIVATE KEY-----***"),
        ("    client-key-data: LS0tLS1CRUdJTg==\n", "    client-key-data: ***\n"),
        ("v1.36.1 on 10.0.0.11, kubelet 1.36.1-1.1", "v1.36.1 on 10.0.0.11, kubelet 1.36.1-1.1"),
    ],
    ids=["token", "key flag", "key field", "key line", "pem", "cut pem", "kubeconfig", "plain"],
)
def test_secrets_known_by_their_shape(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


def test_secrets_learnt_from_commands_are_masked_wherever_they_are() -> None:
    redactor = Redactor()
    redactor.learn(("hunter2", "hunter2hunter2", ""))

    assert redactor.text("hunter2hunter2 or hunter2") == "*** or ***"
    assert redactor.value({"a": ["hunter2", 1, None], "b": {"c": ("x hunter2",)}}) == {
        "a": ["***", 1, None],
        "b": {"c": ["x ***"]},
    }
