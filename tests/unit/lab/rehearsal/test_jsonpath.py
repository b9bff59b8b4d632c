import pytest
from rehearsal.jsonpath import TemplateError, render

NODES = {
    "items": [
        {
            "metadata": {"name": "cp1", "labels": {"kubernetes.io/os": "linux"}},
            "spec": {"unschedulable": True, "taints": [{"effect": "NoSchedule", "key": "k"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
        {
            "metadata": {"name": "w1", "labels": {}},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        },
    ]
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[*].metadata.name}", "cp1 w1"),
        ("{.items[0].metadata.labels.kubernetes\\.io/os}", "linux"),
        ("{.items[0].metadata.labels['kubernetes.io/os']}", "linux"),
        ('{.items[0].spec.unschedulable} {.items[0].spec.taints}{"\\n"}',
         'true [{"effect":"NoSchedule","key":"k"}]\n'),
        ('{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status};{end}',
         "cp1=True;w1=Unknown;"),
        ("{.items[?(@.spec.unschedulable==true)].metadata.name}", "cp1"),
        ("{.items[?(@.spec.taints)].metadata.name}", "cp1"),
        ("{..name}", "cp1 w1"),
        ("{.items[-1].metadata.name}", "w1"),
        ("{.items[1:].metadata.name}", "w1"),
        ("{$.items[1].spec.nothing}", ""),
    ],
)  # fmt: skip
def test_templates(template: str, expected: str) -> None:
    assert render(template, NODES) == expected


@pytest.mark.parametrize(
    "template", ["{.items", "{range .items[*]}x", "{end}", "{.a[?(@.x && @.y)]}"]
)
def test_what_cannot_be_read_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, NODES)
