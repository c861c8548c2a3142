"""What of rows is shown: names of fields and types, no value, and no name that may be personal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.probe.shape import describe


def shown(rows) -> dict[str, str]:
    return {field.path: " | ".join(field.kinds) for field in describe(rows)}


def hidden(rows) -> dict[str, int]:
    return {field.path: field.hidden for field in describe(rows) if field.hidden}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"), (True, "boolean"), (1, "integer"), (1.5, "number"), ([], "array"), ({}, "object"),
        ("Jane", "string"), ("10.50", "string (a decimal)"), ("10", "string"), ("2026-03-01", "string (a time)"),
        ("2025/06/10 13:42:06 +0000", "string (a time)"), ("2024-04-11T15:33:45.503Z", "string (a time)"),
    ],
)  # fmt: skip
def test_kinds(value, kind):
    assert shown([{"revenue": value}]) == {"revenue": kind}


def test_nulls_and_missing_fields():
    rows = [{"order_id": 1, "email": None}, {"order_id": None}, {"order_id": 2, "email": "x"}]
    assert shown(rows) == {"order_id": "integer | null", "email": "null | string"}
    assert {field.path: field.missing for field in describe(rows)} == {"order_id": False, "email": True}


def test_what_is_nested():
    rows = [{"student": {"id": 1, "email": "x"}, "promo_codes": ["A"], "product": [{"id": 1}, {"id": "x"}]}]
    assert shown(rows) == {
        "student": "object", "student.id": "integer", "student.email": "string", "promo_codes": "array",
        "promo_codes[]": "string", "product": "array", "product[]": "object", "product[].id": "integer | string",
    }  # fmt: skip


@pytest.mark.parametrize(("count", "others", "is_shown"), [(4, 0, False), (5, 0, True), (5, 20, True), (5, 21, False)])
def test_a_field_that_nobody_expects_is_shown_once_it_stands_in_several_rows(count, others, is_shown):
    rows = [{"novelty": 1}] * count + [{}] * others
    assert shown(rows) == ({"novelty": "integer"} if is_shown else {"(row)": "object"})
    assert hidden(rows) == ({} if is_shown else {"(row)": 1})


@pytest.mark.parametrize(
    "name",
    [
        *("Jane Doe", "jane@example.edu", "What is your size?", "user_20001", "x" * 41),
        *("", "Zoë", "custom_size", "a\nb", "_a"),
    ],
)
def test_names_that_do_not_look_like_a_field_are_counted_only(name):
    assert shown([{name: 1, "order_id": 1}] * 50) == {"(row)": "object", "order_id": "integer"}
    assert hidden([{"student": {name: 1, "id": 2}}] * 50) == {"student": 1}


@pytest.mark.parametrize("name", ["custom_fields", "metadata", "customFields", "answers"])
def test_keys_of_free_form_objects_are_counted_only(name):
    keys = {"size": "M", "name": "x"}
    assert hidden([{name: keys}] * 50) == {name: 2}
    assert hidden([{name: [keys]}] * 50) == {f"{name}[]": 2}


def test_keys_that_differ_from_row_to_row_are_counted_only():
    rows = [{"progress": {f"jane_{letter}": 1, "done": True}} for letter in "abcdefgh"]
    assert shown(rows) == {"progress": "object", "progress.done": "boolean"}
    assert hidden(rows) == {"progress": 8}


def test_what_is_nested_deeply_is_not_looked_at():
    row: dict = {}
    for _ in range(50):
        row = {"student": row}
    assert max(path.count(".") for path in shown([row])) == 3


SECRETS = st.text("canary", min_size=6).map(lambda text: f"CANARY-{text}@")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | SECRETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SECRETS | st.just("name"), inner, max_size=3),
    max_leaves=10,
)
KEYS = SECRETS | st.sampled_from(["student", "email", "novelty"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=8))
def test_no_value_and_no_unlikely_name_is_ever_shown(rows):
    assert "CANARY" not in repr(describe(rows))
