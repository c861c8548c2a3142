"""The four operators, as a DAG author meets them, against a real server: rows in XCom and in files."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogUnavailableError,
)
from tests.airflow_names import AirflowFailException, AirflowSkipException
from tests.catalog_server import Answer
from tests.tasks import OPERATORS, SENSORS, operator

ROWS = [
    {"key": n, "student": {"id": n, "email": f"s{n}@example.edu", "tags": ["a", n]}, "price": n / 4, "big": 10**18 + n}
    for n in range(25)
]
to_file_or_xcom = pytest.mark.parametrize("suffix", [None, "jsonl"])


def columns_of(endpoint):
    return [path.replace(".", "_") for path in ENDPOINTS[endpoint].columns]


def unpacked(path):
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def header(path):
    return pq.read_schema(path).names if path.suffix == ".parquet" else unpacked(path).partition("\r\n")[0].split(",")


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_each_operator_asks_its_endpoint(serve, connection, endpoint):
    with serve(ROWS, endpoint) as catalog:
        connection("http://127.0.0.1:9")
        connection(catalog.url, conn_id="other")
        pull = operator(endpoint, catalog_conn_id="other", filters={"account_ids": "1,2"})
        assert pull.execute({}) == ROWS, "exactly as they were sent"
    assert catalog.requests[0].path == f"/api/v1/analytics/{endpoint}"
    assert catalog.requests[0].filters == {"account_ids": [1, 2]}


def test_page_size_and_concurrency_go_before_those_of_the_connection(serve):
    with serve(ROWS, page_size=9, max_concurrency=1) as catalog:
        operator().execute({})
        assert {request.query["per_page"] for request in catalog.requests} == {"9"}
        assert catalog.most_in_flight == 1
        operator(page_size=5, max_concurrency=3).execute({})
    assert catalog.requests[-1].query["per_page"] == "5"


@pytest.mark.parametrize(
    ("answer", "error", "is_final"),
    [
        (Answer(b"denied", 401), CatalogAuthError, True),
        (Answer(b"no", 422), CatalogRequestError, True),
        (Answer(status=503), CatalogUnavailableError, False),
    ],
)
@pytest.mark.usefixtures("no_backoff")
def test_what_a_retry_cannot_mend_fails_without_airflows_retries(serve, answer, error, is_final):
    with serve(lambda request: answer), pytest.raises(error) as caught:
        operator().execute({})
    assert isinstance(caught.value, AirflowFailException) is is_final
    assert (caught.value.endpoint, caught.value.status) == ("orders", answer.status)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"filters": {"account_ids": "one"}}, "account_ids"),
        ({"hash_fields": ["student.email"]}, "hash_secret"),
        ({"output_path": "/usr", "output_format": "csv"}, "'/usr' is a folder"),
    ],
)
def test_what_shows_when_it_runs_fails_before_the_first_request(serve, parameters, says):
    with serve(ROWS) as catalog, pytest.raises(CatalogParameterError, match=says) as caught:
        operator(**parameters).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert not catalog.requests


@pytest.mark.parametrize(
    ("endpoint", "suffix"),
    [*(("orders", each) for each in (None, "jsonl", "csv", "parquet")), ("products", "csv"), ("products", "parquet")],
)
@pytest.mark.parametrize("on_empty", ["write", "skip", "fail"])
def test_no_rows(serve, tmp_path, endpoint, suffix, on_empty):
    path = tmp_path / f"rows.{suffix}"
    path.write_text("earlier")
    pull = operator(endpoint, output_path=path if suffix else None, on_empty=on_empty)
    with serve([], endpoint):
        if on_empty == "write" and suffix is None:
            assert pull.execute({}) == []
        elif on_empty == "write" and (endpoint == "products" or suffix == "jsonl"):
            assert pull.execute({})["row_count"] == 0
            assert header(path) == (columns_of(endpoint) or [""])
            return
        else:
            with pytest.raises(AirflowSkipException if on_empty == "skip" else CatalogError) as caught:
                pull.execute({})
            if on_empty == "fail":
                assert not isinstance(caught.value, AirflowFailException), "rows may come before a retry"
    assert path.read_text() == "earlier"


class TestXCom:
    def test_rows_that_are_too_large_are_not_read_to_the_end(self, serve):
        size = len(json.dumps(ROWS[:15], separators=(",", ":")))
        with serve(ROWS * 40) as catalog:
            with pytest.raises(CatalogParameterError, match=r"first 16 rows.*output_path") as caught:
                operator(max_xcom_bytes=size, max_concurrency=1).execute({})
        assert f"max_xcom_bytes={size:,}" in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)
        assert len(catalog.requests) < 50, "of a hundred pages"
        with serve(ROWS[:15]):
            assert len(operator(max_xcom_bytes=size).execute({})) == 15

    @pytest.mark.parametrize("key", [{"__classname__": 1}, {"deep": [{"__id__": 1}]}, {"__type": "dict", "__var": {}}])
    def test_keys_that_airflow_keeps_for_itself_fail_before_the_push(self, serve, tmp_path, key):
        with serve([*ROWS[:3], {"id": 4} | key]):
            for kind in (OPERATORS["orders"], SENSORS["orders"]):
                with pytest.raises(CatalogParameterError, match="orders: write the rows to a file"):
                    kind(task_id="pull").execute({})
            assert operator(output_path=tmp_path / "rows.jsonl").execute({})["row_count"] == 4

    def test_texts_like_those_keys_are_no_trouble(self, serve):
        rows = [{"id": 1, "text": "__classname__", "__type": 'a "__id__"'}]
        with serve(rows):
            assert operator().execute({}) == rows


class TestFields:
    @to_file_or_xcom
    def test_keep_drop_and_hash(self, serve, tmp_path, suffix):
        path = tmp_path / "rows.jsonl"
        parameters = {"fields": ["key", "student"], "drop_fields": ["student.tags"], "hash_fields": ["student.*"]}
        with serve(ROWS, hash_secret="a long hash s3cret"):
            result = operator(output_path=path if suffix else None, **parameters).execute({})
        rows = [json.loads(line) for line in path.read_text().splitlines()] if suffix else result
        hashed = {
            name: hmac.new(b"a long hash s3cret", text, "sha256").hexdigest()
            for name, text in (("id", b"4"), ("email", b"s4@example.edu"))
        }
        assert rows[4] == {"key": 4, "student": hashed}
        assert "example.edu" not in json.dumps(rows)

    @pytest.mark.parametrize("parameters", [{"drop_fields": ["student.emial"]}, {"fields": ["student_email"]}])
    @to_file_or_xcom
    def test_a_misspelt_field_is_an_error_and_publishes_nothing(self, serve, tmp_path, suffix, parameters):
        path = tmp_path / "rows.jsonl"
        path.write_text("earlier")
        with serve(ROWS), pytest.raises(CatalogParameterError, match=r"did you mean 'student\.email'"):
            operator(output_path=path if suffix else None, **parameters).execute({})
        assert path.read_text() == "earlier"

    @to_file_or_xcom
    def test_what_matches_nothing_is_one_warning(self, serve, tmp_path, task_log, suffix):
        parameters = {"fields": ["key", "typo"], "drop_fields": ["oops"], "hash_fields": ["key", "ouch"]}
        with serve(ROWS, hash_secret="k" * 16):
            operator(output_path=tmp_path / "rows.csv" if suffix else None, **parameters).execute({})
        # Once, wherever it is written: Airflow 3.0 does so twice.
        [warning] = {said for line in task_log().splitlines() if (said := line.partition("matched nothing")[2])}
        assert all(name in warning for name in ("fields 'typo'", "drop_fields 'oops'", "hash_fields 'ouch'"))
        assert "'key'" not in warning

    def test_rows_of_which_nothing_is_left(self, serve, tmp_path):
        with serve(ROWS), pytest.raises(CatalogParameterError, match="no field of the 25 rows is left"):
            operator(output_path=tmp_path / "rows.csv", drop_fields=["*"]).execute({})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("suffix", "told"), [("parquet", "gone"), ("jsonl", "price, student.x, gone")])
    def test_types(self, serve, tmp_path, task_log, suffix, told):
        path = tmp_path / f"rows.{suffix}"
        types = {"price": "decimal(12,2)", "student.x": "int64", "gone": "date"}
        with serve(ROWS):
            operator(output_path=path, field_types=types, drop_fields=["gone"]).execute({})
        assert f"field_types that are no columns: {told}" in task_log()
        if suffix == "parquet":
            schema = pq.read_schema(path)
            assert [schema.field(name).type for name in ("price", "student_x")] == [pa.decimal128(12, 2), pa.int64()]


class TestFiles:
    @pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
    @pytest.mark.parametrize("endpoint", ["products", "orders"])
    def test_the_file_and_its_manifest(self, serve, tmp_path, endpoint, suffix):
        path = tmp_path / "new" / f"rows.{suffix}"
        with serve(ROWS, endpoint):
            manifest = operator(endpoint, output_path=str(path), filters={"account_ids": "3"}).execute({})
        content, columns = path.read_bytes(), manifest.pop("columns")
        assert manifest.pop("started_at") < manifest.pop("finished_at")
        assert manifest == {
            "endpoint": endpoint,
            "path": str(path),
            "format": suffix.removesuffix(".gz"),
            "row_count": 25,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "filters": {"account_ids": [3]},
            "pages": 3,
            "moved": False,
        }
        if "jsonl" in suffix:
            assert [json.loads(line) for line in unpacked(path).splitlines()] == ROWS
            assert columns == ["key", "student", "price", "big"]
        else:
            flat = ["key", "student_id", "student_email", "student_tags", "price", "big"]
            assert columns == header(path) == [*columns_of(endpoint), *flat]

    def test_the_manifest_stays_small(self, serve, tmp_path):
        ids = list(range(10**9, 10**9 + 1000))
        with serve([{f"column_with_a_long_name_{n}": n for n in range(1000)}]) as catalog:
            manifest = operator(output_path=tmp_path / "rows.csv", filters={"account_ids": ids}).execute({})
        assert catalog.requests[0].filters == {"account_ids": ids}
        assert len(json.dumps(manifest)) < 4096
        assert manifest["columns"][-1] == f"... and {1001 - len(manifest['columns'])} more"
        assert manifest["filters"]["account_ids"][-1].startswith("... and ")
