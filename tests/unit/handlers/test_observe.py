import pytest

from kubeops.errors import FactsError, StepError, TransportError
from kubeops.handlers import observe
from kubeops.handlers.observe import KubeadmState, etcd_facts, host_facts, kubeadm_state, nodes
from kubeops.model.observed import Unreachable
from tests.unit.handlers.values import Bench, script
from tests.unit.plan.values import observed


def test_a_host_that_is_not_reached_is_no_answer(bench: Bench) -> None:
    bench.hosts["w1"] = [Unreachable(host="w1", reason="w1: no route", hint="ping 10.0.0.31")]
    with pytest.raises(TransportError, match="w1: no route") as raised:
        host_facts(bench.context("w1"))
    assert (raised.value.host, raised.value.hint) == ("w1", "ping 10.0.0.31")


def test_an_etcd_that_does_not_answer_is_named(bench: Bench) -> None:
    bench.clusters["cp2"] = [observed(bench.desired)]
    with pytest.raises(StepError, match="etcd does not answer on cp2") as raised:
        etcd_facts(bench.context("cp1"), via="cp2")
    assert raised.value.hint.endswith("on cp2: crictl ps --all --name etcd")


@pytest.mark.parametrize("text", ["", "not JSON", "{}", '{"items": [{"kind": "Node"}]}'])
def test_nodes_that_cannot_be_understood_are_a_surprise(bench: Bench, text: str) -> None:
    bench.runner("cp1").on(("kubectl",), stdout=text)
    with pytest.raises(FactsError, match="cp1: nodes cannot be understood"):
        nodes(bench.context("w1"), via="cp1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", KubeadmState(pid=None, joined=False, unfinished=None)),
        ("joined\n", KubeadmState(pid=None, joined=True, unfinished=None)),
        (
            "running=4711\nunfinished=init\n",
            KubeadmState(pid=4711, joined=False, unfinished="init"),
        ),
    ],
)
def test_one_question_tells_how_far_kubeadm_is(
    bench: Bench, answer: str, expected: KubeadmState
) -> None:
    bench.runner("w1").on(script(observe._KUBEADM_STATE), stdout=answer)
    assert kubeadm_state(bench.context("w1")) == expected


def test_a_host_is_a_node_when_nothing_is_unfinished() -> None:
    assert KubeadmState(pid=None, joined=True, unfinished=None).is_node
    assert not KubeadmState(pid=None, joined=True, unfinished="join").is_node
    assert not KubeadmState(pid=None, joined=False, unfinished=None).is_node
