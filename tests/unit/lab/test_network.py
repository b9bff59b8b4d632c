from kubeops.lab import network
from kubeops.lab.model import Lab


def test_the_hub_has_the_gateway(lab: Lab) -> None:
    assert network.hub_commands(lab) == (
        "link set lo up",
        "link add bridge address 02:00:0a:e7:04:01 type bridge",
        "address add 10.231.4.1/24 dev bridge",
        "link set bridge up",
    )


def test_this_machine_gets_one_link(lab: Lab) -> None:
    assert network.link_commands(lab) == (
        (
            "link add kubeops-lab4 address 02:00:0a:e7:04:fe "
            "type veth peer name machine netns kubeops-practice"
        ),
        "link set kubeops-lab4 up",
    )
