from __future__ import annotations

import copy
import hashlib
import hmac

import pytest

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.transform import RowTransform

KEY = "a key with ümlauts"


def hashed(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def row() -> dict:
    return {
        "id": 5,
        "product": {"id": 7, "name": "Course", "url": None},
        "learner": {"email": "a@example.edu", "ids": {"canvas": 1, "catalog": 2}},
        "learners": [{"email": "b@example.edu", "n": 1}, {"n": 2}, None, "x", [{"email": "c@example.edu"}]],
        "tags": ["one", "two"],
        "bulk": True,
    }


def test_without_parameters_a_row_passes_untouched():
    original = row()
    transform = RowTransform()
    assert transform(original) is original
    assert original == row()
    assert transform.unmatched() == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["bulk", "id"], {"bulk": True, "id": 5}),
        (["product"], {"product": row()["product"]}),
        (["product.url"], {"product": {"url": None}}),
        (["product.name", "id", "product.id"], {"product": {"name": "Course", "id": 7}, "id": 5}),
        (["learner.ids.canvas"], {"learner": {"ids": {"canvas": 1}}}),
        (["learners.email"], {"learners": [{"email": "b@example.edu"}, [{"email": "c@example.edu"}]]}),
        (["absent", "id"], {"id": 5}),
        (["product.absent"], {}),
        (["id.deeper"], {}),
        (("tags.x",), {"tags": []}),
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
    assert transform.unmatched() == []


@pytest.mark.parametrize("path", ["absent", "product.absent", "id.deeper", "tags.name", "id.*"])
def test_a_path_that_leads_nowhere_changes_nothing_and_is_told(path):
    transform = RowTransform(fields=["id"], drop_fields=[f"{path}.x"], hash_fields=[path], hash_key=KEY)
    assert transform(row()) == {"id": 5}
    assert transform.unmatched() == [("drop_fields", f"{path}.x"), ("hash_fields", path)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", hashed("5")),
        (5, hashed("5")),
        (5.5, hashed("5.5")),
        (True, hashed("true")),
        (False, hashed("false")),
        ("é\n", hashed("é\n")),
        ("", hashed("")),
        (10**30, hashed("1" + "0" * 30)),
        (None, None),
        ({"a": 1, "b": [None, "x"]}, {"a": hashed("1"), "b": [None, hashed("x")]}),
        ([], []),
    ],
)
def test_hashing_is_the_hmac_of_the_values_text(value, expected):
    transform = RowTransform(hash_fields=["x"], hash_key=KEY)
    assert transform({"x": value, "y": 5}) == {"x": expected, "y": 5}


def test_hash_paths_reach_through_lists_and_stars():
    expected = row()
    expected["learners"][0]["email"] = hashed("b@example.edu")
    expected["learners"][4][0]["email"] = hashed("c@example.edu")
    expected["tags"] = [hashed("one"), hashed("two")]
    assert RowTransform(hash_fields=["learners.email", "tags.*"], hash_key=KEY)(row()) == expected


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
def test_a_value_is_hashed_once_however_many_paths_lead_to_it(paths):
    kept = RowTransform(hash_fields=paths, hash_key=KEY)(row())
    assert kept["learner"]["email"] == hashed("a@example.edu")
    reaches_list = any(path.startswith(("learners", "*.email")) for path in paths)
    assert kept["learners"][0]["email"] == (hashed("b@example.edu") if reaches_list else "b@example.edu")


def test_drop_comes_before_hash_and_both_apply_to_what_fields_keeps():
    transform = RowTransform(
        fields=["learner", "product.id"], drop_fields=["learner.ids"], hash_fields=["*.email"], hash_key=KEY
    )
    assert transform(row()) == {"learner": {"email": hashed("a@example.edu")}, "product": {"id": 7}}
    assert transform.unmatched() == []


def test_unmatched_is_of_all_rows_and_empty_without_any():
    transform = RowTransform(fields=["a", "b.c"], drop_fields=["d"], hash_fields=["e"], hash_key=KEY)
    assert transform.unmatched() == []
    transform({})
    assert transform.unmatched() == [
        ("drop_fields", "d"),
        ("fields", "a"),
        ("fields", "b.c"),
        ("hash_fields", "e"),
    ]
    transform({"a": None, "e": None})
    transform({"b": {"c": 1}})
    assert transform.unmatched() == [("drop_fields", "d")]


def test_redundant_drop_paths_are_not_called_unmatched():
    transform = RowTransform(drop_fields=["learner.email", "learner", "*.email"])
    transform(row())
    assert transform.unmatched() == []


def test_hash_fields_without_a_key_is_an_error_before_any_row_and_with_one():
    transform = RowTransform(hash_fields=["learner.email"])
    with pytest.raises(CatalogParameterError, match=r"hash_fields=\['learner.email'\] needs a key.*Hash key"):
        transform.check_hash_key()
    with pytest.raises(CatalogParameterError, match="needs a key"):
        transform(row())
    RowTransform(hash_fields=["learner.email"], hash_key=KEY).check_hash_key()
    RowTransform(drop_fields=["learner.email"]).check_hash_key()


def test_repr_shows_paths_and_no_key():
    transform = RowTransform(fields=["product.id"], hash_fields=["a.*"], hash_key="secret-key")
    assert repr(transform) == "RowTransform(fields=['product.id'], drop_fields=[], hash_fields=['a.*'])"
    assert "secret-key" not in repr(vars(transform).keys())


@pytest.mark.parametrize("parameter", ["fields", "drop_fields", "hash_fields"])
@pytest.mark.parametrize(
    "value",
    ["product.id", {"a": 1}, {"a"}, 5, [""], ["a..b"], [".a"], ["a."], [5], [None], [["a"]], iter(["a"])],
)
def test_malformed_paths_are_refused_by_name(parameter, value):
    with pytest.raises(CatalogParameterError, match=f"^{parameter}"):
        RowTransform(**{parameter: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fields": []}, "fields is empty"),
        ({"fields": ["product.*"]}, "'product.*' has a '\\*'"),
        ({"fields": ["product.id", "product"]}, "'product.id' is already part of 'product'"),
        ({"fields": ["a"], "drop_fields": ["a"]}, "fields: 'a' is left out by drop_fields"),
        ({"fields": ["a.b"], "drop_fields": ["*.b"]}, "fields: 'a.b' is left out by drop_fields \\('\\*.b'\\)"),
        ({"hash_fields": ["a.b"], "drop_fields": ["a"]}, "hash_fields: 'a.b' is left out by drop_fields"),
        ({"hash_fields": ["a"], "drop_fields": ["a"]}, "hash_fields: 'a' is left out"),
    ],
)
def test_contradictions_are_refused(parameters, message):
    with pytest.raises(CatalogParameterError, match=message):
        RowTransform(**parameters)


def test_a_key_that_is_no_string_is_refused_without_showing_it():
    with pytest.raises(CatalogParameterError, match="hash_key must be a string, not bytes") as caught:
        RowTransform(hash_key=b"secret")
    assert "secret" not in str(caught.value)


def test_dropping_part_of_what_fields_keeps_is_no_contradiction():
    assert RowTransform(fields=["product"], drop_fields=["product.url"])(row()) == {
        "product": {"id": 7, "name": "Course"}
    }


def test_questions_of_storage():
    transform = RowTransform(
        fields=["product", "learner.email"], drop_fields=["*.url"], hash_fields=["learner.*"], hash_key=KEY
    )
    assert transform.keeps(("product", "id"))
    assert not transform.keeps(("product", "url"))
    assert not transform.keeps(("learner",))
    assert not transform.keeps(("other",))
    assert transform.hashes(("learner", "email"))
    assert not transform.hashes(("learner",))
    assert not transform.hashes(("product", "id"))


def test_rows_do_not_influence_each_other():
    transform = RowTransform(drop_fields=["learners.email"], hash_fields=["tags"], hash_key=KEY)
    first = transform(row())
    kept = copy.deepcopy(first)
    again = transform(row())
    assert first == kept == again


def test_keys_with_dots_are_reached():
    row = {"student.email": "a", "student": {"email": "b", "x.y": {"z": "c"}}, "deep": [{"student.email": "d"}]}
    transform = RowTransform(drop_fields=["student.email", "student.x.y.z", "deep.student.email"])
    assert transform(row) == {"student": {"x.y": {}}, "deep": [{}]}
    assert transform.unmatched() == []
