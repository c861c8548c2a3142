"""All that a Catalog, a connection or a disk may do to a task; each answer has all the canaries that fit in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogPaginationError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogStorageError,
    CatalogUnavailableError,
)
from tests.catalog_server import PAGINGS, Answer, Pages, Request
from tests.leaks import runs
from tests.leaks.canaries import HASH_KEY, STUDENT, TOKEN, rows

Answers = Callable[[Request], Answer]


@dataclass(frozen=True)
class Scenario:
    """
    :param fails: what the operators fail of; ``None`` when all goes well.
    :param kinds: what is run, of ``runs.ALL``; one of each sort unless said, in turn.
    """

    answers: Answers
    fails: type[CatalogError] | None = None
    kinds: Iterable[str] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)


def endpoint_of(request: Request) -> str:
    return request.path.rpartition("/")[2]


def served(count: int = 25, mode: str = "link", change: Callable[[dict[str, Any]], object] = bool) -> Answers:
    """Serve rows to who has the token; ``change`` makes of each what it likes."""

    def answers(request: Request) -> Answer:
        made = rows(endpoint_of(request), count)
        for row in made:
            change(row)
        return Pages(made, endpoint_of(request), token=TOKEN, **PAGINGS[mode])(request)

    return answers


def always(body: Any, status: int = 200, **headers: str) -> Answers:
    return lambda request: Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def but_for_page_2(fault: Answers) -> Answers:
    """Give good answers, and something else for the second page."""
    good = served()
    return lambda request: fault(request) if request.page == 2 else good(request)


def instead_of_rows(value: Any, **more: Any) -> Answers:
    """Answer something under the key of the rows."""
    return lambda request: Answer({endpoint_of(request): value}, **more)


def linked(link: str) -> Answers:
    return lambda request: Answer({endpoint_of(request): [ROW]}, headers={"Link": f"<{link}>; rel=next"})


def as_bytes(change: Callable[[bytes], bytes]) -> Answers:
    """Change the body of an answer with rows."""
    return lambda request: Answer(change(json.dumps({endpoint_of(request): rows("x", 3)}, ensure_ascii=False).encode()))


ROW = rows("orders", 1)[0]
NAME, EMAIL = STUDENT["name"], STUDENT["email"]
QUOTED = json.dumps(ROW, ensure_ascii=False)
RUBY = f'#<User id: {STUDENT["id"]}, name: "{NAME}", email: "{EMAIL}", token: "{TOKEN}">'
HTML = f"<!DOCTYPE html><html><body>{NAME} {EMAIL} {TOKEN}</body></html>".encode()

REFUSALS = {
    "text that echoes the token": f"bad token {TOKEN}".encode(),
    "an encoded token": TOKEN.replace("/", "%2F").replace("+", "%2b").upper().encode(),
    "a message beside rows": {"errors": ["account_ids is bad"], "token": TOKEN, "rows": [ROW]},
    "a message that quotes a row": {"message": f"no such account: {QUOTED}"},
    "messages by field": {"errors": {"account_ids": [f"is bad for {EMAIL}", f"nor {QUOTED}"]}},
    "text that quotes a row": f"bad filter for {QUOTED}".encode(),
    "text that quotes an object of Ruby's": f"undefined method for {RUBY}".encode(),
    "an address in a URL": f"see https://x.example/users?email={EMAIL.replace('@', '%40')}&t={TOKEN}".encode(),
    "more than is read": json.dumps({"rows": [ROW] * 500, "errors": ["bad"]}).encode(),
    "broken JSON": QUOTED[:-20].encode(),
    "a row in an error": {"errors": [{"code": "bad", "row": ROW}, [NAME], {"student": STUDENT}]},
    "a row for an error": {"error": ROW},
    "a row alone": ROW,
    "a list of rows": [ROW],
    "HTML": HTML,
}
STATUSES = {
    401: CatalogAuthError, 403: CatalogAuthError, 404: CatalogRequestError, 422: CatalogRequestError,
    503: CatalogUnavailableError, 501: CatalogUnavailableError,
}  # fmt: skip
SCENARIOS: dict[str, Scenario] = {
    f"{status}, {name}": Scenario(always(body, status, **({"Retry_After": "0"} if status >= 500 else {})), fails)
    for number, (name, body) in enumerate(REFUSALS.items())
    # Each body with two of them: what is made of a body depends little on the status.
    for status, fails in [*STATUSES.items()][number % 3 :: 3]
}
SCENARIOS |= {
    "all is well": Scenario(served(), kinds=runs.ALL),
    "all is well, without links": Scenario(served(mode="page-only")),
    "all is well, without pages": Scenario(served(mode="none")),
    "all is well, with hashes": Scenario(served(), parameters={"hash_fields": ["student.id"]}, kinds=runs.TASKS),
    "nothing matches": Scenario(served(0), CatalogError, runs.OPERATED, {"on_empty": "fail"}),
    "another token": Scenario(served(), CatalogAuthError, connection={"password": f"{TOKEN}x"}),
    "throttled for ever": Scenario(
        always(f"Rate Limit Exceeded for {TOKEN}".encode(), 429, Retry_After="100000"), CatalogUnavailableError
    ),
    "a redirect": Scenario(
        always(b"", 302, Location=f"https://login.example/{EMAIL}/{TOKEN}?token={TOKEN}"), CatalogResponseError
    ),
    "a redirect to what is no URL": Scenario(always(b"", 301, Location=f"http://[{TOKEN}"), CatalogResponseError),
    "HTML with 200": Scenario(always(HTML), CatalogUnavailableError),
    "text with 200": Scenario(always(f"{NAME};{EMAIL};{TOKEN}".encode()), CatalogUnavailableError),
    # The shape
    "rows under two keys": Scenario(always({"a": [ROW], "b": [ROW]}), CatalogResponseError),
    "an object for the rows": Scenario(instead_of_rows(ROW), CatalogResponseError),
    "names for rows": Scenario(instead_of_rows([NAME, EMAIL]), CatalogResponseError),
    "a row among names": Scenario(instead_of_rows([ROW, NAME]), CatalogResponseError),
    "no rows": Scenario(always({"message": NAME, TOKEN: 1}), CatalogResponseError),
    "a list": Scenario(always([ROW])),
    "a text": Scenario(always(json.dumps(NAME).encode()), CatalogResponseError),
    "addresses for keys": Scenario(always({EMAIL: {"id": 1}, f"x{EMAIL}": 2}), CatalogResponseError),
    # The syntax
    "half of it": Scenario(as_bytes(lambda body: body[: len(body) // 2]), CatalogUnavailableError),
    "no UTF-8": Scenario(as_bytes(lambda body: body.replace("Zoë".encode(), b"Zo\xeb")), CatalogUnavailableError),
    "a number beyond any": Scenario(as_bytes(lambda body: body.replace(b"12.5", b"1e999"))),
    "not a number": Scenario(as_bytes(lambda body: body.replace(b"12.5", b"NaN"))),
    "half a surrogate": Scenario(as_bytes(lambda body: body.replace("Zoë".encode(), b"Zo\\ud800"))),
    "nested deeply": Scenario(
        as_bytes(lambda body: body.replace(b"12.5", b"[" * 100_000 + b"]" * 100_000)), CatalogResponseError
    ),
    # The way
    "cut off": Scenario(instead_of_rows([ROW] * 10, cut=900), CatalogUnavailableError),
    "dropped": Scenario(instead_of_rows([], drop=True), CatalogUnavailableError),
    "damaged gzip": Scenario(as_bytes(lambda body: b"\x1f\x8b" + body), CatalogUnavailableError),
    "said to be gzip": Scenario(
        always(b"\x1f\x8b" + QUOTED.encode(), Content_Encoding="gzip"), CatalogUnavailableError
    ),
    "cut gzip": Scenario(
        instead_of_rows([ROW] * 10, headers={"Content-Encoding": "gzip"}, cut=100), CatalogUnavailableError
    ),
    "no answer in time": Scenario(instead_of_rows([ROW], delay=0.03), CatalogUnavailableError, extra={"timeout": 0.01}),
    "nobody listens": Scenario(served(), CatalogUnavailableError, connection={"host": "http://127.0.0.1:9"}),
    "TLS that is none": Scenario(served(), CatalogError, connection={"tls": True}),
    # The pages
    "refused at page 2": Scenario(but_for_page_2(always(QUOTED.encode(), 401)), CatalogAuthError),
    "HTML at page 2": Scenario(but_for_page_2(always(HTML)), CatalogUnavailableError),
    "page 2 is page 1": Scenario(
        lambda r: Answer(
            {endpoint_of(r): rows("x", 10)},
            headers={"Link": f'</api/v1/analytics/{endpoint_of(r)}?page=2{r.query.get("n", "")}&n=1>; rel="next"'},
        ),
        CatalogPaginationError,
    ),
    "data that moves": Scenario(but_for_page_2(instead_of_rows([ROW]))),
    "a link elsewhere": Scenario(linked(f"http://{TOKEN.lower()}.example/{TOKEN}"), CatalogPaginationError),
    "a link with the token": Scenario(linked(f"/x?page={TOKEN}"), CatalogPaginationError),
    "a link that is no URL": Scenario(linked(f"http://[{TOKEN}"), CatalogPaginationError),
    "headers that echo": Scenario(
        instead_of_rows([ROW], headers={"X-Token": TOKEN, "X-User": EMAIL, "Set-Cookie": f"t={TOKEN}"})
    ),
    # What is asked for
    "more than XCom takes": Scenario(served(), CatalogParameterError, ["xcom"], {"max_xcom_bytes": 1000}),
    "a filter's value": Scenario(served(), CatalogParameterError, runs.TASKS, {"filters": {"account_ids": ["one"]}}),
    "no key to hash with": Scenario(
        served(), CatalogParameterError, runs.TASKS, {"hash_fields": ["student.email"]}, {"hash_secret": None}
    ),
    "a misspelt path": Scenario(served(), CatalogParameterError, runs.TASKS, {"drop_fields": ["student.nam"]}),
    "fields that no row has": Scenario(served(), CatalogParameterError, runs.TASKS, {"fields": ["student_name"]}),
    "a path into JSON text": Scenario(
        served(change=lambda row: row["number"] < 20 or row.update(custom_fields=json.dumps(row["custom_fields"]))),
        CatalogParameterError, runs.OPERATED, {"drop_fields": ["custom_fields.address"]},
    ),
    "a key that Airflow keeps for itself": Scenario(
        served(change=lambda row: row.update(__id__=NAME)), CatalogParameterError, ["xcom", *runs.SENSED]
    ),
    "two hash secrets": Scenario(served(), CatalogParameterError, extra={"hash_key": f"{HASH_KEY}-2"}),
    "a hash secret under its old name": Scenario(
        served(), None, runs.TASKS, {"hash_fields": ["student.id"]}, {"hash_secret": None, "hash_key": HASH_KEY}
    ),
    "two fields for a column": Scenario(
        served(change=lambda row: row.update(student_name=NAME)), CatalogParameterError, runs.COLUMNS
    ),
    "two fields for a column, later": Scenario(
        served(change=lambda row: row["number"] < 20 or row.update(student_name=NAME)),
        CatalogParameterError, runs.COLUMNS,
    ),
    "types that change": Scenario(
        served(change=lambda row: row["number"] % 2 and row.update(student=EMAIL, learners=NAME, purchaser=[NAME])),
        None, runs.STORED,
    ),
    # The connection
    "a token that can't be sent": Scenario(served(), CatalogParameterError, connection={"password": f'"{TOKEN}"'}),
    "a user in the URL": Scenario(
        served(), CatalogParameterError, connection={"host": f"https://user:{TOKEN}@catalog.example"}
    ),
    "extras that are wrong": Scenario(
        served(), CatalogParameterError, extra={"page_size": TOKEN, "verify": TOKEN, "proxy": TOKEN, "paths": TOKEN}
    ),
    # The disk
    "a folder that can't be": Scenario(served(), CatalogStorageError, runs.STORED, {"output_path": "/proc/1/rows.csv"}),
    "a file for a folder": Scenario(served(), CatalogParameterError, runs.STORED, {"output_path": f"{__file__}/x.csv"}),
    # The types
    **{
        f"{column}: {name}": Scenario(served(), CatalogParameterError, runs.COLUMNS, {"field_types": {column: name}})
        for column, names in {
            "student_name": ("timestamp", "date", "decimal(12,2)", "int64", "float64", "bool"),
            "learners": ("timestamp", "int64"),
        }.items()
        for name in names
    },
}  # fmt: skip
