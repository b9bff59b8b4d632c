import pytest
from rehearsal.objects import (
    SelectorError,
    duration,
    field_terms,
    matches_fields,
    matches_labels,
    matches_selector,
    tolerates,
)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("app=web", True),
        ("app==web,tier!=db", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("!old,app", True),
        ("old", False),
        ("missing!=x", True),
        ("missing=", False),
    ],
)
def test_label_selector_strings(selector: str, *, matches: bool) -> None:
    assert matches_labels(selector, {"app": "web"}) is matches


def test_unreadable_selectors_are_refused() -> None:
    with pytest.raises(SelectorError):
        matches_labels("app web", {})
    with pytest.raises(SelectorError):
        field_terms("nonsense")


def test_label_selector_objects() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}],
    }
    assert matches_selector(selector, {"app": "web"})
    assert not matches_selector(selector, {"app": "web", "tier": "db"})
    assert matches_selector({}, {"any": "thing"})
    assert not matches_selector(None, {})


def test_field_selectors_see_absent_fields_as_empty() -> None:
    pod = {"spec": {"nodeName": "w1"}, "status": {"phase": "Running"}}
    assert matches_fields(field_terms("spec.nodeName=w1,status.phase!=Succeeded"), pod)
    assert matches_fields(field_terms("spec.nodeName="), {"spec": {}})


def test_tolerations() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    assert tolerates([{"operator": "Exists"}], taint)
    assert tolerates([{"key": "k", "value": "v"}], taint)
    assert not tolerates([{"key": "k", "value": "other"}], taint)
    assert not tolerates([{"key": "k", "operator": "Exists", "effect": "NoExecute"}], taint)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("40s", 40), ("1m30s", 90), ("8760h0m0s", 31536000), ("500ms", 0.5), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_a_duration_without_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        duration("20")
