"""Inventories laid on others."""

from pathlib import Path

from kubeops.inventory import load
from kubeops.model.version import KubeVersion
from tests.unit.inventory.writing import inventory, problems, write

BASE = inventory(
    extra="upgrade: {max_unavailable: 2, drain: {timeout: 5m, grace: 10s}}",
    w1="{address: 10.0.0.21, role: worker, taints: ['a:NoSchedule', 'b:NoSchedule']}",
)


def test_mappings_merge_lists_and_values_replace(tmp_path: Path) -> None:
    write(tmp_path, BASE, name="base.yaml")
    path = write(
        tmp_path,
        """\
extends: base.yaml
cluster: {name: staging, upgrade: {drain: {timeout: 1m}}}
hosts:
  w1: {taints: ['c:NoSchedule']}
  w2: {address: 10.0.0.22, role: worker}
""",
    )
    cluster = load(path)
    assert cluster.name == "staging"
    assert cluster.kubernetes == KubeVersion(1, 35, 4)
    assert (cluster.upgrade.max_unavailable, cluster.upgrade.drain.timeout) == (2, 60.0)
    assert cluster.upgrade.drain.grace == 10.0
    assert [str(taint) for taint in cluster.host("w1").taints or ()] == ["c:NoSchedule"]
    assert [host.name for host in cluster.hosts] == ["cp1", "w1", "w2"]
    assert cluster.source == path


def test_a_key_without_value_takes_the_bases_away(tmp_path: Path) -> None:
    write(tmp_path, BASE, name="base.yaml")
    path = write(tmp_path, "extends: base.yaml\nhosts:\n  w1:\ncluster:\n  upgrade:\n")
    cluster = load(path)
    assert [host.name for host in cluster.hosts] == ["cp1"]
    assert cluster.upgrade.max_unavailable == 1


def test_chains_nearest_wins(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    write(tmp_path / "shared", BASE, name="base.yaml")
    write(
        tmp_path / "shared",
        "extends: base.yaml\ncluster: {name: middle, endpoint: a.example:1}\n",
        name="middle.yaml",
    )
    path = write(tmp_path, "extends: shared/middle.yaml\ncluster: {endpoint: b.example:2}\n")
    cluster = load(path)
    assert (cluster.name, cluster.endpoint) == ("middle", "b.example:2")


def test_problems_name_the_file_the_value_came_from(tmp_path: Path) -> None:
    write(tmp_path, inventory(name="Prod", w1="{address: 10.0.0.11, role: worker}"), name="b.yaml")
    path = write(tmp_path, "\nextends: b.yaml\ncluster:\n  kubernetes: 1.35\nhost: {}\n")
    assert problems(path) == [
        (
            "prod.yaml:4: cluster.kubernetes: 1.35 is a decimal number to YAML; write it in "
            'quotes, with all three parts, such as "1.35.4"'
        ),
        "prod.yaml:5: host: is not a key kubeops knows; did you mean 'hosts'?",
        (
            "b.yaml:2: cluster.name: 'Prod' is no DNS label; use small letters, digits and dashes, "
            "a letter or digit first and last, at most 63 characters, such as prod"
        ),
        (
            "b.yaml:8: hosts.w1.address: 10.0.0.11 is already the address of cp1; "
            "every host needs its own"
        ),
    ]


def test_relative_paths_start_at_the_file_they_stand_in(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "plugin.yaml").touch()
    write(shared, inventory(extra="cni: {manifest: plugin.yaml}"), name="base.yaml")
    path = write(tmp_path, "extends: shared/base.yaml\n")
    assert load(path).cni.source == str(shared / "plugin.yaml")


def test_circles_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "extends: prod.yaml\n", name="base.yaml")
    path = write(tmp_path, "extends: base.yaml\n")
    assert problems(path) == [
        (
            "base.yaml:1: extends: goes in a circle (prod.yaml -> base.yaml -> prod.yaml); take "
            "one of these `extends` lines out"
        )
    ]


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, "cluster: {}\nextends: bsae.yaml\n")
    assert problems(path) == [
        f"prod.yaml:2: extends: there is no file 'bsae.yaml'; the name is relative to '{tmp_path}'"
    ]


def test_a_base_that_is_not_yaml_is_the_only_problem(tmp_path: Path) -> None:
    write(tmp_path, "a: [\n", name="base.yaml")
    path = write(tmp_path, "extends: base.yaml\n")
    assert problems(path) == [
        (
            "base.yaml:2: is not YAML: while parsing a flow node, expected the node content, but "
            "found '<stream end>'; look at this line and the ones just above it"
        )
    ]


def test_extends_must_be_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, "extends: [a.yaml, b.yaml]\n")
    assert problems(path) == [
        "prod.yaml:1: extends: is not the name of a file; write one, such as extends: base.yaml"
    ]
