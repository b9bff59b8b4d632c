import pytest

from kubeops.errors import UsageError
from kubeops.lab import names


@pytest.mark.parametrize("name", ["a", "lab", "ci-42", "x" * 32])
def test_lab_names(name: str) -> None:
    assert names.check_lab(name) == name


@pytest.mark.parametrize("name", ["", "4x", "Lab", "a-", "-a", "a/b", "..", "a b", "x" * 33, "a\n"])
def test_what_cannot_name_a_lab(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a lab"):
        names.check_lab(name)


@pytest.mark.parametrize("name", ["cp1", "w12", "x" * 15])
def test_node_names(name: str) -> None:
    assert names.check_node(name) == name


@pytest.mark.parametrize("name", ["", "1w", "w_1", "x" * 16, "bridge", "machine", "lo"])
def test_what_cannot_name_a_node(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a node"):
        names.check_node(name)
