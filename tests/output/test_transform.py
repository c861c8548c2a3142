"""
What of a row is kept, left out and hashed; and that nothing slips through because it is spelt otherwise.

Paths that can be none: tests/operators/test_parameters.py.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import re

import pytest

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.transform import RowTransform

KEY = "a key with ümlauts"
TEXT = '{"phone": "555"}'


def hashed(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def row() -> dict:
    return {
        "id": 5,
        "product": {"id": 7, "name": "Course", "url": None},
        "learner": {"email": "a@example.edu", "ids": {"canvas": 1, "catalog": 2}},
        "learners": [{"email": "b@example.edu", "n": 1}, {"n": 2}, None, "", [{"email": "c@example.edu"}]],
        "tags": ["one", "two"],
        "bulk": True,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["bulk", "id"], {"bulk": True, "id": 5}),
        (["product"], {"product": row()["product"]}),
        (["product.url"], {"product": {"url": None}}),
        (["product.name", "id", "product.id"], {"product": {"name": "Course", "id": 7}, "id": 5}),
        (["learner.ids.canvas"], {"learner": {"ids": {"canvas": 1}}}),
        (["learners.email"], {"learners": [{"email": "b@example.edu"}, [{"email": "c@example.edu"}]]}),
        (["absent", "product.absent", "bulk.deeper", "id"], {"id": 5}),
        (("learners.n",), {"learners": [{"n": 1}, {"n": 2}, []]}),
    ],
)
def test_fields_keeps_only_those_in_their_order(fields, expected):
    kept = RowTransform(fields=fields)(row())
    assert kept == expected
    assert list(kept) == list(expected)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("id", lambda r: r.pop("id")),
        ("product.name", lambda r: r["product"].pop("name")),
        ("product.*", lambda r: r.update(product={})),
        ("*.email", lambda r: (r["learner"].pop("email"), r["learners"][0].pop("email"), r["learners"][4][0].clear())),
        ("learners.email", lambda r: (r["learners"][0].pop("email"), r["learners"][4][0].clear())),
        ("learners.*.email", lambda r: (r["learners"][0].pop("email"), r["learners"][4][0].clear())),
        ("learners.*", lambda r: r["learners"].clear()),
        ("learner.*.canvas", lambda r: r["learner"]["ids"].pop("canvas")),
        ("*", lambda r: r.clear()),
    ],
)
def test_drop_fields(path, change):
    expected = row()
    change(expected)
    transform = RowTransform(drop_fields=[path])
    assert transform(row()) == expected
    assert transform.check_matched() == []


def test_keys_with_dots_are_reached():
    row = {"student.email": "a", "student": {"email": "b", "x.y": {"z": "c"}}, "deep": [{"student.email": "d"}]}
    transform = RowTransform(drop_fields=["student.email", "student.x.y.z", "deep.student.email"])
    assert transform(row) == {"student": {"x.y": {}}, "deep": [{}]}
    assert transform.check_matched() == []


@pytest.mark.parametrize("path", ["absent", "product.absent", "product.url.deeper", "id.deeper", "id.*", "learners.x"])
def test_what_is_merely_absent_changes_nothing_and_is_told(path):
    transform = RowTransform(fields=["id"], drop_fields=[f"{path}.x"], hash_fields=[path], hash_secret=KEY)
    assert transform(row()) == {"id": 5}
    assert transform.check_matched() == [f"drop_fields '{path}.x'", f"hash_fields '{path}'"]


MISSPELT = {
    "learner.email": [
        "learner.emial", "learner.mail", "learner.Email", "learner.e-mail", "learnr.email", "learner_email", "*.emial",
    ],
    "learner.ids.canvas": ["learner.ids.cavnas", "*.ids.cavnas"],
    "learners.email": ["learners.emails", "learners.*.emial"],
    "learner": ["learnr"],
    "tags": ["TAGS"],
}  # fmt: skip


@pytest.mark.parametrize(("meant", "path"), [(meant, path) for meant, paths in MISSPELT.items() for path in paths])
@pytest.mark.parametrize("parameter", ["drop_fields", "hash_fields"])
def test_a_misspelt_path_is_an_error_before_its_field_is_published(parameter, path, meant):
    transform = RowTransform(**{parameter: [path, "id"]}, hash_secret=KEY)
    transform(row())
    says = f"^{parameter}: no row has '{re.escape(path)}'; did you mean '{meant}'"
    with pytest.raises(CatalogParameterError, match=says):
        transform.check_matched()


@pytest.mark.parametrize(
    "parameters",
    [
        {"drop_fields": ["learner.emial", "learner.email"]},
        {"drop_fields": ["learner.emial"], "hash_fields": ["learner.*"]},
        {"drop_fields": ["learner.emial"], "fields": ["id", "learner.ids"]},
        {"drop_fields": ["address1"]},  # rows have address2
        {"drop_fields": ["learner.address", "learner.ids.moodle", "purchaser.email", "product.url.emial", "prod.id"]},
        {"drop_fields": ["product.url.name", "product.url.*"]},  # the parent is null
    ],
)
def test_what_is_spelt_alike_is_no_error_where_nothing_would_stay(parameters):
    transform = RowTransform(**parameters, hash_secret=KEY)
    transform(row() | {"address2": "x"})
    assert transform.check_matched()


@pytest.mark.parametrize(
    ("fields", "path", "meant"),
    [
        # What stands beside the path is looked at first.
        (None, "learner.ids.cavnas", "learner.ids.canvas"),
        (None, "learner.identty.canvas", "learner.identity.canvas"),
        # Within what fields keeps, or above it.
        (["learner"], "learner.emial", "learner.email"),
        (["learner.ids.canvas"], "learner.idss", "learner.ids"),
    ],
)
def test_what_is_meant(fields, path, meant):
    learner = {"email": "a", "ids": {"canvas": 1}, "identity": {"canvas": 1}}
    transform = RowTransform(fields=fields, drop_fields=[path])
    transform({"learnr": {"ids": {"cavnas": 1}, "identty": {"canvas": 1}}, "learner": learner})
    with pytest.raises(CatalogParameterError, match=f"did you mean '{re.escape(meant)}'"):
        transform.check_matched()


def test_columns_of_other_days():
    transform = RowTransform(drop_fields=["student.nam"], hash_fields=["student.email"], hash_secret=KEY)
    transform({"id": 1, "student": None})
    assert transform.check_matched() == ["drop_fields 'student.nam'", "hash_fields 'student.email'"]
    assert len(transform.check_matched(["id", "student_email", "student_phone"])) == 2
    without_rows = RowTransform(drop_fields=["student.nam"])
    for each in (transform, without_rows):
        with pytest.raises(CatalogParameterError, match=r"no row has 'student\.nam'; did you mean 'student_name'"):
            each.check_matched(["id", "student_email", "student_name"])


def test_fields_of_which_no_row_has_any():
    transform = RowTransform(fields=["student_email", "student.such"])
    assert transform({"id": 1, "student": {"email": "a"}, "parent": None}) == {}
    says = r"no row has any of .*'student_email' \(did you mean 'student\.email'\?\).*; rows have id, "
    with pytest.raises(CatalogParameterError, match=says):
        transform.check_matched()


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        (["student_email", "id"], ["fields 'student_email' (did you mean 'student.email'?)"]),
        (["id", "other"], ["fields 'other'"]),
        (["parent.email"], ["fields 'parent.email'"]),  # the parent is always null
    ],
)
def test_fields_of_which_rows_may_yet_have_some(fields, warnings):
    transform = RowTransform(fields=fields)
    transform({"id": 1, "student": {"email": "a"}, "parent": None})
    assert transform.check_matched() == warnings


def test_matches_are_of_all_rows():
    transform = RowTransform(fields=["a", "b.c"], drop_fields=["d", "f.email"], hash_fields=["e"], hash_secret=KEY)
    assert transform.check_matched() == []
    transform({"a": None, "f": {"emails": []}})
    transform({"e": None, "f": {"email": "x"}})
    assert transform.check_matched() == ["drop_fields 'd'", "fields 'b.c'"]
    transform({"b": {"c": 1}})
    assert transform.check_matched() == ["drop_fields 'd'"]


@pytest.mark.parametrize(
    ("path", "rows", "whole"),
    [
        ("custom.phone", [{"custom": {"phone": "1"}}, {"custom": TEXT}], "custom"),
        ("custom.phone", [{"custom": "phone: 555"}], "custom"),
        ("custom.*", [{"custom": TEXT}], "custom"),
        ("*.phone", [{"id": "5", "custom": f" {TEXT}"}], "*"),
        ("*.*", [{"custom": "[1]"}], "*"),
        ("custom.more.phone", [{"custom": [{"more": TEXT}]}], "custom.more"),
        ("custom.phone", [{"custom": [TEXT]}], "custom"),
        ("custom.x.y", [{"custom.x": TEXT}], "custom.x"),
    ],
)
@pytest.mark.parametrize("parameter", ["drop_fields", "hash_fields", "fields"])
def test_a_path_into_a_text_is_an_error(parameter, path, rows, whole):
    if parameter == "fields" and ("*" in path or "custom.x" in rows[0]):
        return
    transform = RowTransform(**{parameter: [path]}, hash_secret=KEY)
    says = f"^{parameter}: name the whole field, '{re.escape(whole)}'"
    with pytest.raises(CatalogParameterError, match=says) as caught:
        [*map(transform, rows)]
    assert "555" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("custom.phone", [{"custom": " "}, {"custom": None}, {"custom": {"phone": 1}}]),
        ("*.phone", [{"id": "5", "note": "[not JSON", "custom": {"phone": 1}}]),
        ("custom", [{"custom": TEXT}]),
    ],
)
def test_texts_that_hide_nothing(path, rows):
    transform = RowTransform(drop_fields=[path])
    assert "phone" not in str([*map(transform, rows)])
    assert transform.check_matched() == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", hashed("5")),
        (5, hashed("5")),
        (5.5, hashed("5.5")),
        (True, hashed("true")),
        ("é\n", hashed("é\n")),
        ("", hashed("")),
        (10**30, hashed("1" + "0" * 30)),
        (None, None),
        ({"a": 1, "b": [None, "x"]}, {"a": hashed("1"), "b": [None, hashed("x")]}),
        ([], []),
    ],
)
def test_hashing_is_the_hmac_of_the_values_text(value, expected):
    transform = RowTransform(hash_fields=["x"], hash_secret=KEY)
    assert transform({"x": value, "y": 5}) == {"x": expected, "y": 5}


def test_paths_reach_through_lists_and_stars_and_rows_do_not_influence_each_other():
    expected = row()
    del expected["id"]
    expected["learners"][0]["email"] = hashed("b@example.edu")
    expected["learners"][4][0]["email"] = hashed("c@example.edu")
    expected["tags"] = [hashed("one"), hashed("two")]
    transform = RowTransform(drop_fields=["id"], hash_fields=["learners.email", "tags.*"], hash_secret=KEY)
    first = transform(row())
    kept = copy.deepcopy(first)
    assert transform(row()) == first == kept == expected


@pytest.mark.parametrize(
    "paths",
    [
        ["learner", "learner.email"],
        ["learner.email", "learner"],
        ["*.email", "learner.*"],
        ["learner.email", "learner.email"],
        ["learners.email", "learners.*.email", "learners.*", "learner.email"],
    ],
)
def test_a_value_is_changed_once_however_many_paths_lead_to_it(paths):
    kept = RowTransform(hash_fields=paths, hash_secret=KEY)(row())
    assert kept["learner"]["email"] == hashed("a@example.edu")
    reaches_list = any(path.startswith(("learners", "*.email")) for path in paths)
    assert kept["learners"][0]["email"] == (hashed("b@example.edu") if reaches_list else "b@example.edu")
    dropping = RowTransform(drop_fields=paths)
    dropping(row())
    assert dropping.check_matched() == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            {"fields": ["learner", "product.id"], "drop_fields": ["learner.ids"], "hash_fields": ["*.email"]},
            {"learner": {"email": hashed("a@example.edu")}, "product": {"id": 7}},
        ),
        (
            {"fields": ["product"], "drop_fields": ["product.url"], "hash_fields": ["product"]},
            {"product": {"id": hashed("7"), "name": hashed("Course")}},
        ),
    ],
)
def test_drop_comes_before_hash_and_both_apply_to_what_fields_keeps(parameters, expected):
    transform = RowTransform(**parameters, hash_secret=KEY)
    assert transform(row()) == expected
    assert transform.check_matched() == []


def test_the_secret_is_needed_and_is_not_shown():
    with pytest.raises(CatalogParameterError, match=r"\"Hash secret\".*hash_fields=\['learner.email'\] needs it"):
        RowTransform(hash_fields=["learner.email"])(row())
    assert "s3cret" not in repr(RowTransform(hash_fields=["a.*"], hash_secret="s3cret"))
    with pytest.raises(CatalogParameterError, match="hash_secret must be a string, not bytes") as caught:
        RowTransform(hash_secret=b"s3cret")
    assert "s3cret" not in str(caught.value)
