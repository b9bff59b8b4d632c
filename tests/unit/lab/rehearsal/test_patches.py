import pytest
from rehearsal.patches import PatchError, json_patch, merge, strategic


def test_merge_removes_nulls_and_keeps_the_rest() -> None:
    target = {"spec": {"unschedulable": True, "podCIDR": "10.244.0.0/24"}}
    assert merge(target, {"spec": {"unschedulable": None}}) == {
        "spec": {"podCIDR": "10.244.0.0/24"}
    }
    assert target["spec"]["unschedulable"] is True


def test_strategic_merges_containers_by_name_and_replaces_taints() -> None:
    target = {
        "containers": [{"name": "a", "image": "x:1", "imagePullPolicy": "Always"}, {"name": "b"}],
        "taints": [{"key": "k"}],
    }
    patched = strategic(target, {"containers": [{"name": "a", "image": "x:2"}], "taints": []})
    assert patched["containers"] == [
        {"name": "a", "image": "x:2", "imagePullPolicy": "Always"},
        {"name": "b"},
    ]
    assert patched["taints"] == []


def test_strategic_directives_delete_and_replace() -> None:
    target = {"conditions": [{"type": "A"}, {"type": "B"}], "labels": {"x": "1"}}
    patch = {
        "conditions": [{"type": "A", "$patch": "delete"}],
        "labels": {"$patch": "replace", "y": "2"},
    }
    assert strategic(target, patch) == {"conditions": [{"type": "B"}], "labels": {"y": "2"}}


def test_json_patch_escapes_tests_and_refuses() -> None:
    target = {"metadata": {"labels": {"a/b": "1"}}, "list": [1, 2]}
    patched = json_patch(
        target,
        [
            {"op": "test", "path": "/metadata/labels/a~1b", "value": "1"},
            {"op": "remove", "path": "/metadata/labels/a~1b"},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "replace", "path": "/list/0", "value": 0},
        ],
    )
    assert patched == {"metadata": {"labels": {}}, "list": [0, 2, 3]}
    with pytest.raises(PatchError, match="does not exist"):
        json_patch(target, [{"op": "remove", "path": "/nothing/here"}])
