"""The four operators, as a DAG author meets them: every parameter, against a real server."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, task

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogFilterError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogStorageError,
    CatalogUnavailableError,
)
from tests.airflow_names import AirflowFailException, AirflowSkipException
from tests.catalog_server import Answer
from tests.tasks import OPERATORS, operator

ROWS = [
    {"key": n, "student": {"id": n, "email": f"s{n}@example.edu", "tags": ["a", n]}, "price": n / 4, "big": 10**18 + n}
    for n in range(25)
]


@pytest.mark.parametrize("endpoint", OPERATORS)
def test_each_operator_asks_its_endpoint(serve, connection, endpoint):
    with serve(ROWS, endpoint) as catalog:
        connection("http://127.0.0.1:9")
        connection(catalog.url, conn_id="other")
        pull = operator(endpoint, catalog_conn_id="other", filters={"account_ids": "1,2"})
        assert pull.execute({}) == ROWS, "exactly as they were sent"
    assert catalog.requests[0].path == f"/api/v1/analytics/{endpoint}"
    assert catalog.requests[0].filters == {"account_ids": [1, 2]}


def test_rows_that_are_too_large_for_xcom_are_not_read_to_the_end(serve):
    size = len(json.dumps(ROWS[:15], separators=(",", ":")))
    with serve(ROWS * 40) as catalog:
        with pytest.raises(CatalogParameterError, match=r"first 16 rows.*output_path") as caught:
            operator(max_xcom_bytes=size, max_concurrency=1).execute({})
    assert f"max_xcom_bytes={size:,}" in str(caught.value)
    assert isinstance(caught.value, AirflowFailException)
    assert len(catalog.requests) < 50, "of a hundred pages"
    with serve(ROWS[:15]):
        assert len(operator(max_xcom_bytes=size).execute({})) == 15


def test_page_size_and_concurrency(serve):
    with serve(ROWS, page_size=9, max_concurrency=1) as catalog:
        operator().execute({})
        assert {request.query["per_page"] for request in catalog.requests} == {"9"}
        assert catalog.most_in_flight == 1
        operator(page_size=5, max_concurrency=3).execute({})
    assert catalog.requests[-1].query["per_page"] == "5"


@pytest.mark.parametrize(
    ("endpoint", "suffix"),
    [*(("orders", each) for each in (None, "jsonl", "csv", "parquet")), ("products", "csv"), ("products", "parquet")],
)
@pytest.mark.parametrize("on_empty", ["write", "skip", "fail"])
def test_no_rows(serve, tmp_path, endpoint, suffix, on_empty):
    path = tmp_path / f"rows.{suffix}"
    path.write_text("earlier")
    columns = [column.path.replace(".", "_") for column in ENDPOINTS[endpoint].columns]
    pull = operator(endpoint, output_path=path if suffix else None, on_empty=on_empty)
    with serve([], endpoint):
        if on_empty == "write" and suffix is None:
            assert pull.execute({}) == []
        elif on_empty == "write" and (columns or suffix == "jsonl"):
            assert pull.execute({})["row_count"] == 0
            header = pq.read_schema(path).names if suffix == "parquet" else path.read_text().strip().split(",")
            assert header == (columns or [""])
            return
        else:
            with pytest.raises(AirflowSkipException if on_empty == "skip" else CatalogError) as caught:
                pull.execute({})
            if on_empty == "fail":
                assert not isinstance(caught.value, AirflowFailException), "rows may come before a retry"
    assert path.read_text() == "earlier"


class TestFields:
    @pytest.mark.parametrize("to_file", [False, True])
    def test_keep_drop_and_hash(self, serve, tmp_path, to_file):
        path = tmp_path / "rows.jsonl"
        parameters = {"fields": ["key", "student"], "drop_fields": ["student.tags"], "hash_fields": ["student.*"]}
        with serve(ROWS, hash_secret="a long hash s3cret"):
            result = operator(output_path=path if to_file else None, **parameters).execute({})
        rows = [json.loads(line) for line in path.read_text().splitlines()] if to_file else result
        hashed = {
            name: hmac.new(b"a long hash s3cret", text, "sha256").hexdigest()
            for name, text in (("id", b"4"), ("email", b"s4@example.edu"))
        }
        assert rows[4] == {"key": 4, "student": hashed}
        assert "example.edu" not in json.dumps(rows)

    def test_no_hash_secret_fails_before_the_first_request(self, serve):
        with serve(ROWS) as catalog, pytest.raises(CatalogParameterError, match="hash_secret") as caught:
            operator(hash_fields=["student.email"]).execute({})
        assert isinstance(caught.value, AirflowFailException)
        assert not catalog.requests

    @pytest.mark.parametrize("parameters", [{"drop_fields": ["student.emial"]}, {"fields": ["student_email"]}])
    @pytest.mark.parametrize("to_file", [False, True])
    def test_a_misspelt_field_is_an_error_and_publishes_nothing(self, serve, tmp_path, to_file, parameters):
        path = tmp_path / "rows.jsonl"
        path.write_text("earlier")
        with serve(ROWS), pytest.raises(CatalogParameterError, match=r"did you mean 'student\.email'"):
            operator(output_path=path if to_file else None, **parameters).execute({})
        assert path.read_text() == "earlier"

    @pytest.mark.parametrize("to_file", [False, True])
    def test_what_matches_nothing_is_one_warning(self, serve, tmp_path, task_log, to_file):
        parameters = {"fields": ["key", "typo"], "drop_fields": ["oops"], "hash_fields": ["key", "ouch"]}
        with serve(ROWS, hash_secret="k" * 16):
            operator(output_path=tmp_path / "rows.csv" if to_file else None, **parameters).execute({})
        # Once, wherever it is written: Airflow 3.0 does so twice.
        [warning] = {said for line in task_log().splitlines() if (said := line.partition("matched nothing")[2])}
        assert all(name in warning for name in ("fields 'typo'", "drop_fields 'oops'", "hash_fields 'ouch'"))
        assert "'key'" not in warning

    def test_rows_of_which_nothing_is_left(self, serve, tmp_path):
        with serve(ROWS), pytest.raises(CatalogParameterError, match="no field of the 25 rows is left"):
            operator(output_path=tmp_path / "rows.csv", drop_fields=["*"]).execute({})
        assert not list(tmp_path.iterdir())

    def test_types(self, serve, tmp_path, task_log):
        types = {"price": "decimal(12,2)", "student.x": "int64", "gone": "date"}
        with serve(ROWS):
            operator(output_path=tmp_path / "rows.parquet", field_types=types, drop_fields=["gone"]).execute({})
        schema = pq.read_schema(tmp_path / "rows.parquet")
        assert schema.field("price").type == pa.decimal128(12, 2)
        assert schema.field("student_x").type == pa.int64()
        assert "field_types that are no columns: gone" in task_log()


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
        text = gzip.decompress(content) if suffix.endswith(".gz") else content
        if "jsonl" in suffix:
            assert [json.loads(line) for line in text.splitlines()] == ROWS
            assert columns == ["key", "student", "price", "big"]
            return
        flat = ["key", "student_id", "student_email", "student_tags", "price", "big"]
        assert columns == [column.path.replace(".", "_") for column in ENDPOINTS[endpoint].columns] + flat
        if "csv" in suffix:
            rows = list(csv.DictReader(text.decode().splitlines()))
            assert list(rows[0]) == columns
            assert rows[4]["student_email"] == "s4@example.edu"
            assert json.loads(rows[4]["student_tags"]) == ["a", 4]
            assert rows[4]["big"] == str(10**18 + 4)
        else:
            table = pq.read_table(path)
            assert table.column_names == columns
            assert table["big"].to_pylist() == [row["big"] for row in ROWS]

    def test_output_format_goes_before_the_suffix(self, serve, tmp_path):
        path = tmp_path / "rows.txt"
        with serve(ROWS):
            assert operator(output_path=path, output_format="jsonl").execute({})["format"] == "jsonl"
        assert len(path.read_text().splitlines()) == 25

    def test_a_place_that_cannot_be_written_fails_before_the_first_request(self, serve, tmp_path):
        (tmp_path / "file").touch()
        for path in (tmp_path, "/proc/none/rows.csv"):
            with serve(ROWS) as catalog, pytest.raises((CatalogParameterError, CatalogStorageError)):
                operator(output_path=f"{path}", output_format="csv").execute({})
            assert not catalog.requests

    def test_the_manifest_stays_small(self, serve, tmp_path):
        count = 1000
        ids = list(range(10**9, 10**9 + count))
        with serve([{f"column_with_a_long_name_{n}": n for n in range(count)}]) as catalog:
            manifest = operator(output_path=tmp_path / "rows.csv", filters={"account_ids": ids}).execute({})
        assert catalog.requests[0].filters == {"account_ids": ids}
        assert len(json.dumps(manifest)) < 4096
        kept = len(manifest["columns"]) - 1
        assert manifest["columns"][-1] == f"... and {count - kept} more"
        assert manifest["filters"]["account_ids"][-1].startswith("... and ")


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "error", "is_final"),
        [
            (Answer(b"denied", 401), CatalogAuthError, True),
            (Answer(b"no", 422), CatalogRequestError, True),
            (Answer(status=503), CatalogUnavailableError, False),
        ],
    )
    @pytest.mark.usefixtures("no_backoff")
    def test_what_a_retry_cannot_mend_fails_without_airflows_retries(self, serve, answer, error, is_final):
        with serve(lambda request: answer), pytest.raises(error) as caught:
            operator().execute({})
        assert isinstance(caught.value, AirflowFailException) is is_final
        assert (caught.value.endpoint, caught.value.status) == ("orders", answer.status)

    def test_filter_values_fail_before_the_first_request(self, serve):
        with serve(ROWS) as catalog, pytest.raises(CatalogFilterError, match="account_ids") as caught:
            operator(filters={"account_ids": "one"}).execute({})
        assert isinstance(caught.value, AirflowFailException)
        assert not catalog.requests

    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ({"filters": [1]}, "filters is"),
            ({"catalog_conn_id": None}, "catalog_conn_id is None"),
            ({"output_path": "/data/{{ ds }}/rows.{{ x }}.json"}, "does not end in"),
            ({"output_path": Path("/data/rows.txt")}, "does not end in"),
            ({"output_path": "/data/rows.csv", "output_format": "xlsx"}, "output_format='xlsx'"),
            ({"output_path": "/data/"}, "names a folder"),
            ({"output_format": "xlsx"}, "output_format"),
            ({"output_path": "/data/{{ ds }}.csv", "output_format": "jsonl"}, "ends in '.csv', but output_format is"),
            ({"output_path": 5}, "output_path"),
            ({"output_path": Path("rows.csv")}, "write an absolute path such as"),
            (
                {"output_path": "/data/{{ x }}", "output_format": "parquet", "csv_escape_formulas": True},
                "is for CSV alone",
            ),
            ({"csv_escape_formulas": True}, "for CSV alone, and the rows go to XCom"),
            ({"output_path": "/data/rows.csv", "csv_escape_formulas": "yes"}, "csv_escape_formulas is 'yes'; allowed"),
            ({"output_path": "/data/rows.parquet", "csv_for_excel": True}, "csv_for_excel is for CSV alone"),
            ({"output_path": "/data/rows.csv", "compression": "snappy"}, "compression is for Parquet alone"),
            ({"output_path": "/data/rows.parquet", "compression": "lzo"}, "compression is 'lzo'; allowed: 'zstd'"),
            ({"fields": "product"}, "fields must be a list"),
            ({"drop_fields": ["a..b"]}, "drop_fields"),
            ({"hash_fields": [1]}, "hash_fields"),
            ({"field_types": {"price": "money"}}, "'money'"),
            ({"on_empty": "ignore"}, "on_empty is 'ignore'"),
            ({"on_data_moved": "ignore"}, "set on_data_moved to"),
            ({"page_size": 101}, "page_size is 101"),
            ({"max_xcom_bytes": "1 MB"}, "max_xcom_bytes is '1 MB'"),
            ({"max_xcom_bytes": 0}, "max_xcom_bytes is 0"),
        ],
    )
    def test_what_is_known_then_fails_when_the_dag_is_parsed(self, parameters, says):
        with pytest.raises(CatalogParameterError, match=says):
            operator(**parameters)

    def test_a_parameter_that_does_not_exist(self):
        with pytest.raises((TypeError, AirflowException), match="filter"):  # the latter is Airflow 2's
            operator(filter={})


def test_xcom_args_and_mapping_are_accepted_when_the_dag_is_parsed():
    with DAG("mapped", schedule=None):

        @task
        def ids():
            return [1]

        known = ids()
        pull = OPERATORS["orders"](task_id="one", filters={"account_ids": known})
        OPERATORS["orders"](task_id="whole", filters=known)
        mapped = OPERATORS["orders"].partial(task_id="many", output_format="csv").expand(filters=[{}, {}])
        with pytest.raises(TypeError, match="unexpected keyword"):
            OPERATORS["orders"].partial(task_id="wrong", output_formt="csv").expand(filters=[{}])
    assert pull.upstream_task_ids == {"ids"}
    assert mapped.task_id == "many"
