"""Whatever a file holds, loading it answers in words; whatever is right, loads."""

import json
import tempfile
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubeops.errors import InventoryError
from kubeops.inventory import load, rewrite_kubernetes
from kubeops.inventory.document import read_document
from kubeops.inventory.schema import ANY, SCHEMA, Schema, paths
from kubeops.model.desired import Cluster, Role
from kubeops.model.version import KubeVersion

KEYS = sorted({path[-1] for path in paths()} - {ANY})

names = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(
        ["10.0.0.11", "10.244.0.0/16", "1.35.4", "control-plane", "worker", "~/x", "a:NoSchedule"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def shaped(schema: Schema) -> st.SearchStrategy[object]:
    """Documents that look like inventories, with a wrong value here and there."""
    fields = {
        key: (shaped(below) | values if below is not None else values)
        for key, below in schema.items()
        if key != ANY
    }
    if ANY in schema:
        below = schema[ANY]
        return st.dictionaries(names, shaped(below) if below is not None else values, max_size=3)
    return st.fixed_dictionaries({}, optional=fields)


def answered(text: bytes) -> None:
    """Load a file that holds `text`: either it loads, or the error names lines of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prod.yaml"
        path.write_bytes(text)
        try:
            load(path)
        except InventoryError as error:
            problems = error.problems
        else:
            return
        assert problems
        for problem in problems:
            assert problem.startswith(f"{path}:")
            assert int(problem.removeprefix(f"{path}:").split(":")[0]) >= 1


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(content: bytes) -> None:
    answered(content)


@given(st.text(alphabet="abc:-[]{}&*!<>|?\"'#%@ \n\t0123.~", max_size=120))
@example('a: "\\ud800"')
@example('extends: "a\\0b"')
@example("&a [*a]")
@example("? {a: b}\n: c")
@example("a: !!binary x")
@example("cluster: &c {<<: *c}")
@example("hosts: {a: {labels: {? [] : 1}}}")
@example("cluster: {kubernetes: 0b_}")
def test_any_yaml_is_answered(content: str) -> None:
    answered(content.encode())


@given(shaped(SCHEMA))
@settings(max_examples=200)
def test_anything_shaped_like_an_inventory_is_answered(document: object) -> None:
    answered(json.dumps(document).encode())


@st.composite
def inventories(draw: Callable[..., object]) -> dict[str, object]:
    """Sound inventories of up to eight hosts."""
    draw_names = st.lists(names, min_size=1, max_size=8, unique=True)
    hosts: list[str] = draw(draw_names)  # type: ignore[assignment]
    control_planes = draw(st.integers(min_value=1, max_value=len(hosts)))
    entries: dict[str, object] = {}
    for number, name in enumerate(hosts):
        entries[name] = {
            "address": f"192.168.7.{number + 1}",
            "role": "control-plane" if number < int(str(control_planes)) else "worker",
            "labels": draw(st.dictionaries(names, names, max_size=2)),
            "ssh": {"port": draw(st.integers(min_value=1, max_value=65535))},
        }
    minor, patch = draw(st.integers(31, 60)), draw(st.integers(0, 30))
    prefix = draw(st.integers(min_value=8, max_value=21))
    pods = IPv4Network(f"10.0.0.0/{prefix}", strict=False)
    return {
        "cluster": {
            "name": draw(names),
            "kubernetes": f"1.{minor}.{patch}",
            "endpoint": draw(st.sampled_from(["api.example:6443", "192.168.7.200:443"])),
            "networks": {"pods": str(pods), "services": "172.16.0.0/16"},
            "upgrade": {"max_unavailable": draw(st.integers(1, 9) | st.just("25%"))},
        },
        "hosts": entries,
    }


def loaded(files: Mapping[str, object], name: str) -> Cluster:
    """Write `files` to a folder and load the one called `name`."""
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_text(json.dumps(content))
        return load(Path(folder) / name)


@given(inventories())
def test_sound_inventories_load_as_written(document: dict[str, object]) -> None:
    cluster = loaded({"prod.yaml": document}, "prod.yaml")
    hosts = document["hosts"]
    wanted = document["cluster"]
    assert isinstance(hosts, dict)
    assert isinstance(wanted, dict)
    assert [host.name for host in cluster.hosts] == list(hosts)
    assert {host.name: host.address for host in cluster.hosts} == {
        name: host["address"] for name, host in hosts.items()
    }
    assert {host.name: host.ssh.port for host in cluster.hosts} == {
        name: host["ssh"]["port"] for name, host in hosts.items()
    }
    assert [host.role for host in cluster.hosts] == [Role(host["role"]) for host in hosts.values()]
    assert str(cluster.kubernetes) == wanted["kubernetes"]
    assert cluster.upgrade.max_unavailable == wanted["upgrade"]["max_unavailable"]


def split(node: object, *, left: bool) -> object:
    """Every second key of every mapping of `node`; together the two halves are the whole."""
    if not isinstance(node, dict):
        return node
    return {
        key: split(below, left=left)
        for number, (key, below) in enumerate(node.items())
        if isinstance(below, dict) or (number % 2 == 0) == left
    }


@given(inventories())
def test_two_halves_are_the_whole_in_either_order(document: dict[str, object]) -> None:
    one, other = split(document, left=True), split(document, left=False)
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    whole = loaded({"whole.yaml": document}, "whole.yaml")
    for over, base in ((one, other), (other, one)):
        files = {"over.yaml": {"extends": "base.yaml", **over}, "base.yaml": base}
        halves = loaded(files, "over.yaml")
        assert halves.hosts == whole.hosts
        assert (halves.kubernetes, halves.networks) == (whole.kubernetes, whole.networks)


@given(inventories(), inventories())
def test_the_nearer_file_wins(over: dict[str, object], base: dict[str, object]) -> None:
    name = "over.yaml"
    files = {name: {"extends": "base.yaml", "cluster": over["cluster"]}, "base.yaml": base}
    merged = loaded(files, name)
    assert merged.kubernetes == loaded({name: over}, name).kubernetes
    assert merged.hosts == loaded({name: base}, name).hosts


@given(
    quote=st.sampled_from(["", "'", '"']),
    above=st.text(alphabet="# é\U0001f600xyz\n", max_size=20).map(
        lambda text: "".join(f"# {line}\n" for line in text.split("\n"))
    ),
    below=st.sampled_from(["", "  # 1.35.4", "\r\n# end", "\n\nhosts: {}"]),
    patch=st.integers(min_value=0, max_value=99),
)
def test_rewriting_changes_the_version_only(quote: str, above: str, below: str, patch: int) -> None:
    before = f"{above}cluster:\n  kubernetes: {quote}1.35.4{quote}{below}"
    after = f"{above}cluster:\n  kubernetes: {quote}1.36.{patch}{quote}{below}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prod.yaml"
        path.write_bytes(before.encode())
        rewrite_kubernetes(path, KubeVersion(1, 36, patch))
        assert path.read_bytes() == after.encode()
        assert read_document(path).root is not None
