"""Canaries in every place of the Catalog's answers that can hold something: none comes out anywhere."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_catalog.client.decoding import MEMORY_LIMIT
from airflow_provider_catalog.probe.__main__ import main
from airflow_provider_catalog.probe.shape import describe
from tests.catalog_server import Answer, Request, catalog_server
from tests.probe.conftest import DATE_FIELDS, fake_catalog, rows_of

TOKEN = "canary0token0secret"
CANARIES = (TOKEN, "Canarina", "canary.person@example.edu", "canary", "8888888888", "CANARY")
MESSAGE = f"Canarina (canary.person@example.edu, 8888888888) with {TOKEN}"
HEADERS = {
    "Link": '<http://canary.example.com/Canarina?page=2>; rel="next"',
    "Retry-After": "CANARY",
    "X-Rate-Limit-Remaining": "canary.person@example.edu",
    "X-Canary": "CANARY",
    "Set-Cookie": "canary=CANARY",
    "Location": "https://canary.example.com/?t=CANARY",
}
BODIES = {
    "json": json.dumps({"errors": [MESSAGE], "Canarina": MESSAGE, "canary.person@example.edu": []}),
    "text": MESSAGE,
    "html": f"<html>{MESSAGE}</html>",
    "damaged": f'{{"orders": [{{"name": "{MESSAGE}"',
    "cut": json.dumps({"orders": [MESSAGE] * 9}),
    "long": '{"Canarina Testperson": [{"canary person": "CANARY"},' + " " * (MEMORY_LIMIT + 10_000),
}
pytestmark = pytest.mark.usefixtures("no_backoff")


PERSON = {"id": 8888888888, "name": "Canarina Testperson", "email": "canary.person@example.edu"}
EVERYWHERE = {
    "student": PERSON,
    "custom_fields": {"canary_size": "CANARY", "Canarina": {"canary": "CANARY"}},
    "Canarina Testperson": "CANARY",
    "canary.person@example.edu": [PERSON],
    "progress": {"done": 1},
    "revenue": 8888888888.25,
    "promo_codes": ["CANARY"],
}
ROWS = {name: [row | EVERYWHERE for row in rows_of(name)] for name in DATE_FIELDS}
for rows in ROWS.values():
    rows[7]["progress"] = {"canary_person": 8888888888}


def error(kind: str, status: int) -> Answer:
    return Answer(BODIES[kind].encode(), status, HEADERS, cut=40 if kind == "cut" else None)


@pytest.fixture
def said_of(capsys, caplog, monkeypatch):
    """Run the command both ways against answers, and return all that was said, logs included: no canary is in it."""

    def run(answer) -> str:
        def check(request: Request) -> Answer:
            assert request.headers["authorization"] == f'Token token="{TOKEN}"'
            request.headers["authorization"] = 'Token token="stand-in-token"'
            return answer(request)

        monkeypatch.setenv("CATALOG_TOKEN", TOKEN)
        with catalog_server(check) as catalog, caplog.at_level(logging.DEBUG):
            logging.getLogger("urllib3").setLevel(logging.WARNING)  # at DEBUG it shows URLs, also where Link leads
            for arguments in ([], ["--json"]):
                main(["--url", catalog.url, "--max-requests", "60", *arguments])
        printed = capsys.readouterr()
        assert printed.err
        said = printed.out + printed.err + caplog.text
        assert [canary for canary in CANARIES if canary in said] == []
        assert {request.method for request in catalog.requests} <= {"GET", "POST"}
        assert all(request.path.startswith("/api/v") for request in catalog.requests)
        return said

    return run


@pytest.mark.parametrize(("paging", "count"), [("link", 30), ("page-only", 30), ("none", 30), ("link", 1)])
def test_canaries_in_rows(said_of, paging, count):
    said = said_of(fake_catalog(rows={name: rows[:count] for name, rows in ROWS.items()}, paging=paging))
    assert "student.email" in said
    assert "keys that are not shown" in said


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, 200) for kind in BODIES] + [("json", 302), ("text", 401), ("html", 403), ("json", 422), ("text", 429)],
)
def test_canaries_in_errors(said_of, kind, status):
    said_of(lambda request: error(kind, status))


@pytest.mark.parametrize("kind", ["json", "text"])
def test_canaries_in_refusals_of_filters(said_of, kind):
    usual = fake_catalog(rows=ROWS)
    said_of(lambda request: error(kind, 422) if len(request.body) > 2 else usual(request))


def test_canaries_in_headers_of_good_answers(said_of):
    usual = fake_catalog(rows=ROWS)
    assert "not a number" in said_of(lambda request: Answer(usual(request).body, headers=HEADERS))


def test_nothing_is_asked_of_another_host(said_of):
    with catalog_server(lambda request: Answer()) as other:
        link = {"Link": f'<{other.url}/?page=2>; rel="next"'}
        said_of(lambda request: Answer({"orders": rows_of("orders")}, headers=link))
    assert other.requests == []


def shown(rows):
    return {field["path"]: " | ".join(field["kinds"]) for field in describe(rows)}


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


def test_nulls_missing_fields_and_what_is_nested():
    rows = [{"order_id": 1, "email": None}, {"order_id": None}, {"order_id": 2, "email": "x"}]
    assert shown(rows) == {"order_id": "integer | null", "email": "null | string"}
    assert {field["path"]: field["missing"] for field in describe(rows)} == {"order_id": False, "email": True}
    assert shown([{"student": {"id": 1}, "promo_codes": ["A"], "product": [{"id": 1}, {"id": "x"}]}]) == {
        "student": "object", "student.id": "integer", "promo_codes": "array", "promo_codes[]": "string",
        "product": "array", "product[]": "object", "product[].id": "integer | string",
    }  # fmt: skip


STRANGE = ("Jane Doe", "jane@example.edu", "What is your size?", "user_20001", "x" * 41, "", "Zoë", "custom_size")
FREE_FORM = ("custom_fields", "metadata", "customFields", "answers")


@pytest.mark.parametrize(
    ("rows", "paths", "hidden"),
    [
        # A field that nobody expects, once it stands in several rows.
        ([{"novelty": 1}] * 4, {"(row)"}, {"(row)": 1}),
        ([{"novelty": 1}] * 5, {"novelty"}, {}),
        ([{"novelty": 1}] * 5 + [{}] * 20, {"novelty"}, {}),
        ([{"novelty": 1}] * 5 + [{}] * 21, {"(row)"}, {"(row)": 1}),
        # Names that do not look like a field's.
        *(([{name: 1, "email": 1}] * 50, {"(row)", "email"}, {"(row)": 1}) for name in (*STRANGE, "a\nb", "_a")),
        *(([{"student": {name: 1, "id": 2}}] * 50, {"student", "student.id"}, {"student": 1}) for name in STRANGE),
        # Keys of free-form objects.
        *(([{name: {"size": "M", "name": "x"}}] * 50, {name}, {name: 2}) for name in FREE_FORM),
        *(([{name: [{"size": "M"}]}] * 50, {name, f"{name}[]"}, {f"{name}[]": 1}) for name in FREE_FORM),
        # Keys that differ from row to row.
        (
            [{"progress": {f"jane_{letter}": 1, "done": True}} for letter in "abcdefgh"],
            {"progress", "progress.done"}, {"progress": 8},
        ),
    ],
)  # fmt: skip
def test_which_names_are_shown_and_which_are_counted_only(rows, paths, hidden):
    fields = describe(rows)
    assert {field["path"] for field in fields} == paths
    assert {field["path"]: field["hidden"] for field in fields if field["hidden"]} == hidden


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
