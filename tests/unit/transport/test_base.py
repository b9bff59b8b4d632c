import pytest

from kubeops.errors import CommandError
from kubeops.transport.base import Command, Result

COMMAND = Command(argv=("join", "--token", "s3cret", "a b"), secrets=("s3cret",))


def test_shows_what_can_be_pasted_without_its_secrets() -> None:
    assert COMMAND.shown == "join --token '***' 'a b'"


def test_output_is_masked() -> None:
    result = Result(command=COMMAND, host="w1", status=3, stdout="got s3cret", stderr="no s3cret!")
    assert result.output == "got ***\nno ***!"
    with pytest.raises(CommandError) as caught:
        result.must()
    assert "s3cret" not in f"{caught.value}{caught.value.output}"
    assert result.must(3) is result


def test_an_empty_secret_masks_nothing() -> None:
    assert Command(argv=("echo", "ab"), secrets=("",)).shown == "echo ab"


def test_a_secret_that_begins_another_leaves_nothing_of_it() -> None:
    command = Command(argv=("echo", "abcdef", "abc"), secrets=("abc", "abcdef"))
    assert command.shown == "echo '***' '***'"


def test_scripts_are_left_out_and_what_they_run_is_shown() -> None:
    script = 'mark\ncat | "$@"\n'
    command = Command(argv=("sh", "-euc", script, "kubeops", "kubeadm", "join"))
    assert command.shown == "sh -euc ... kubeops kubeadm join"
    named = Command(argv=command.argv, shows=("kubeadm", "join", "--token", "s"), secrets=("s",))
    assert named.shown == "kubeadm join --token '***'"
