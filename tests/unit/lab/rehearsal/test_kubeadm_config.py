from pathlib import Path

import pytest
import yaml
from rehearsal import cobra, kubeadm, kubeadm_config, kubeadm_kubelet, version
from rehearsal.kubeadm_common import KubeadmError

CASES = Path(__file__).with_name("cases")
HEAD = "apiVersion: kubeadm.k8s.io/v1beta4\n"


def refusal(text: str) -> str:
    with pytest.raises(KubeadmError) as caught:
        kubeadm_config.parse_documents(text)
    return str(caught.value)


def test_unknown_fields_are_refused_with_their_path() -> None:
    text = HEAD + "kind: ClusterConfiguration\nnetworking: {podSubnett: 10.0.0.0/8}\n"
    assert refusal(text) == (
        'error unmarshaling configuration schema.GroupVersionKind{Group:"kubeadm.k8s.io", '
        'Version:"v1beta4", Kind:"ClusterConfiguration"}: strict decoding error: '
        'unknown field "networking.podSubnett"'
    )


def test_lists_are_looked_into() -> None:
    text = HEAD + "kind: InitConfiguration\nbootstrapTokens: [{tokn: x}]\n"
    assert refusal(text).endswith('unknown field "bootstrapTokens[0].tokn"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: InitConfiguration\n", "kind and apiVersion is mandatory"),
        (HEAD + "kind: Pod\n", "kind and apiVersion is unknown"),
        ("apiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\n", "uses an old API spec"),
        ("{", "error converting YAML to JSON"),
        ("", "no kubeadm API document found"),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_v1beta3_is_turned_into_v1beta4(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
        "apiServer: {extraArgs: {profiling: 'false'}, timeoutForControlPlane: 4m0s}\n"
    )
    found = kubeadm_config.parse_documents(text)["ClusterConfiguration"]
    assert found["apiServer"] == {"extraArgs": [{"name": "profiling", "value": "false"}]}
    assert "uses a deprecated API spec" in capsys.readouterr().err


def test_the_stored_configuration_is_the_one_of_a_real_kubeadm() -> None:
    given = {
        "controlPlaneEndpoint": "172.30.77.11:6443",
        "networking": {"podSubnet": "10.244.0.0/16"},
    }
    made = kubeadm_config.cluster(given, version=version.parse("1.35.4"))
    expected = yaml.safe_load((CASES / "cluster-configuration.yaml").read_text())
    assert made == expected


def test_the_kubelets_configuration_is_the_one_of_a_real_kubeadm() -> None:
    cluster = kubeadm_config.cluster({}, version=version.parse("1.35.4"))
    expected = yaml.safe_load((CASES / "kubelet-configuration.yaml").read_text())
    assert kubeadm_kubelet.configuration(cluster, {}) == expected


def test_timeouts_are_read_as_durations() -> None:
    found = kubeadm_config.timeouts({"timeouts": {"discovery": "1m30s"}})
    assert (found["discovery"], found["tlsBootstrap"]) == (90.0, 300.0)
    with pytest.raises(KubeadmError, match="time: missing unit"):
        kubeadm_config.timeouts({"timeouts": {"discovery": "90"}})


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["init", "--x"], "unknown flag: --x"),
        (["frobnicate"], 'unknown command "frobnicate" for "kubeadm"'),
        (["certs", "frobnicate"], 'unknown command "frobnicate" for "kubeadm certs"'),
        (["join", "--config"], "flag needs an argument: --config"),
        (["init", "--skip-phases", "nonsense"], "invalid phase name: nonsense"),
        (["join", "--config", "/nonexistent"], "no such file or directory"),
        (["reset", "-x"], "unknown shorthand flag: 'x' in -x"),
    ],
)
def test_wrong_command_lines_fail_loudly(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kubeadm.main(argv, "v1.35.4+rehearsal") == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.endswith("To see the stack trace of this error execute with --v=5 or higher\n")


def test_the_version_says_that_it_is_a_rehearsal(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubeadm.main(["version", "-o", "short"], "v1.35.4+rehearsal") == 0
    assert capsys.readouterr().out == "v1.35.4+rehearsal\n"


def test_flags_are_read_in_all_their_forms() -> None:
    spec = cobra.Spec(
        values=("config",), switches=("yes", "renew"), short={"y": "yes"}, defaults=("renew",)
    )
    given = cobra.parse(["a", "--config=x", "-y", "b", "--renew=false"], spec)
    assert given.words == ("a", "b")
    assert (given.value("config"), given.switch("yes"), given.switch("renew")) == ("x", True, False)
    assert cobra.parse([], spec).switch("renew") is True


@pytest.mark.parametrize("verb", ["init", "join", "reset", "upgrade"])
def test_defaults_are_those_of_a_real_kubeadm(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node1")
    assert kubeadm.main(["config", "print", f"{verb}-defaults"], "v1.35.4+rehearsal") == 0
    assert capsys.readouterr().out == (CASES / f"{verb}-defaults.yaml").read_text()
