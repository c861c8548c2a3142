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
from airflow.providers.common.compat.sdk import DAG, AirflowException, BaseOperator, ObjectStoragePath, task
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogDataMovedError,
    CatalogError,
    CatalogFilterError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogStorageError,
    CatalogUnavailableError,
)
from tests.airflow_names import AirflowFailException, AirflowSkipException, attach
from tests.catalog_server import Answer, Paging, catalog_server, paged
from tests.operators.conftest import OPERATORS

ROWS = [
    {"key": n, "student": {"id": n, "email": f"s{n}@example.edu", "tags": ["a", n]}, "price": n / 4, "big": 10**18 + n}
    for n in range(25)
]


def copies(rows=ROWS):
    return json.loads(json.dumps(rows))


class TestXCom:
    @pytest.mark.parametrize("endpoint", OPERATORS)
    def test_rows_exactly_as_sent(self, operator, endpoint, serve):
        with serve(ROWS, endpoint):
            assert operator().execute({}) == ROWS

    def test_the_connection(self, operator, endpoint, serve, connection):
        with serve(ROWS, endpoint) as catalog:
            connection(catalog.url, conn_id="other")
            connection("http://127.0.0.1:9")
            assert operator(catalog_conn_id="other").execute({}) == ROWS

    @pytest.mark.parametrize("endpoint", OPERATORS)
    def test_filters_are_sent_as_the_api_wants_them(self, operator, endpoint, serve):
        with serve([], endpoint) as catalog:
            operator(filters={"account_ids": "1,2"}).execute({})
        assert catalog.requests[0].filters == {"account_ids": [1, 2]}

    @pytest.mark.parametrize("on_empty", ["write", "skip", "fail"])
    def test_no_rows(self, operator, endpoint, serve, on_empty):
        with serve([], endpoint):
            pull = operator(on_empty=on_empty)
            if on_empty == "write":
                assert pull.execute({}) == []
            elif on_empty == "skip":
                with pytest.raises(AirflowSkipException, match="no row matches"):
                    pull.execute({})
            else:
                with pytest.raises(CatalogError, match="no row matches") as caught:
                    pull.execute({})
                assert not isinstance(caught.value, AirflowFailException), "rows may come before a retry"

    def test_the_size_guard_stops_reading(self, operator, endpoint, serve):
        size = len(json.dumps(ROWS[:15], separators=(",", ":")))
        with serve(ROWS * 40, endpoint) as catalog:
            with pytest.raises(CatalogParameterError, match=r"first 16 rows.*output_path") as caught:
                operator(max_xcom_bytes=size, max_concurrency=1).execute({})
        assert f"max_xcom_bytes={size:,}" in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)
        assert len(catalog.requests) < 8, "of ten pages"
        with serve(ROWS[:15], endpoint):
            assert len(operator(max_xcom_bytes=size).execute({})) == 15

    def test_page_size_and_concurrency(self, operator, endpoint, serve):
        with serve(ROWS, endpoint, page_size=9, max_concurrency=1) as catalog:
            operator().execute({})
            assert {request.query["per_page"] for request in catalog.requests} == {"9"}
            assert catalog.most_in_flight == 1
            operator(page_size=5, max_concurrency=3).execute({})
        assert catalog.requests[-1].query["per_page"] == "5"

    def test_data_that_moves_is_read_again(self, operator, endpoint, connection):
        counts = iter([40, 60])

        def answer(request):
            if request.page is None:
                answer.count = next(counts, 60)
            # After the first page of the first read, the data has grown.
            count = 60 if request.page else answer.count
            return paged([{"n": n} for n in range(count)], Paging(most=10), endpoint)(request)

        with catalog_server(answer) as catalog:
            connection(catalog.url)
            assert operator().execute({}) == [{"n": n} for n in range(60)]


class TestRows:
    def test_fields(self, operator, endpoint, serve):
        with serve(ROWS, endpoint):
            rows = operator(fields=["price", "student.id"]).execute({})
        assert rows[4] == {"price": 1.0, "student": {"id": 4}}
        assert list(rows[4]) == ["price", "student"]

    def test_drop_fields(self, operator, endpoint, serve):
        with serve(ROWS, endpoint):
            assert operator(drop_fields=["student.*", "big"]).execute({})[4] == {"key": 4, "student": {}, "price": 1.0}

    @pytest.mark.parametrize("to_file", [False, True])
    def test_hash_fields(self, operator, endpoint, serve, tmp_path, to_file):
        path = tmp_path / "rows.jsonl"
        with serve(ROWS, endpoint, hash_secret="a long hash s3cret"):
            result = operator(hash_fields=["student.email", "key"], output_path=path if to_file else None).execute({})
        rows = [json.loads(line) for line in path.read_text().splitlines()] if to_file else result
        expected = hmac.new(b"a long hash s3cret", b"s4@example.edu", "sha256").hexdigest()
        assert rows[4]["student"]["email"] == expected
        assert rows[4]["key"] == hmac.new(b"a long hash s3cret", b"4", "sha256").hexdigest()
        assert "example.edu" not in json.dumps(rows)

    def test_hash_fields_without_a_key_fail_before_the_first_request(self, operator, endpoint, serve, tmp_path):
        for path in (None, tmp_path / "rows.csv"):
            with serve(ROWS, endpoint) as catalog, pytest.raises(CatalogParameterError, match="hash_secret") as caught:
                operator(hash_fields=["student.email"], output_path=path).execute({})
            assert isinstance(caught.value, AirflowFailException)
            assert not catalog.requests

    @pytest.mark.parametrize("parameters", [{"drop_fields": ["student.emial"]}, {"fields": ["student_email"]}])
    @pytest.mark.parametrize("to_file", [False, True])
    def test_a_misspelt_field_is_an_error_and_publishes_nothing(
        self, operator, endpoint, serve, tmp_path, to_file, parameters
    ):
        path = tmp_path / "rows.jsonl"
        path.write_text("earlier")
        with serve(ROWS, endpoint), pytest.raises(CatalogParameterError, match=r"did you mean 'student\.email'"):
            operator(output_path=path if to_file else None, **parameters).execute({})
        assert path.read_text() == "earlier"

    @pytest.mark.parametrize("to_file", [False, True])
    def test_what_matches_nothing_is_one_warning(self, operator, endpoint, serve, tmp_path, task_log, to_file):
        parameters = {"fields": ["key", "typo"], "drop_fields": ["oops"], "hash_fields": ["key", "ouch"]}
        with serve(ROWS, endpoint, hash_secret="k" * 16):
            operator(output_path=tmp_path / "rows.csv" if to_file else None, **parameters).execute({})
        # Once, wherever it is written: Airflow 3.0 does so twice.
        [warning] = {said for line in task_log().splitlines() if (said := line.partition("matched nothing")[2])}
        assert all(name in warning for name in ("fields 'typo'", "drop_fields 'oops'", "hash_fields 'ouch'"))
        assert "'key'" not in warning


class TestFiles:
    @pytest.mark.parametrize("endpoint", OPERATORS)
    @pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
    def test_the_file_and_its_manifest(self, operator, endpoint, serve, tmp_path, suffix):
        path = tmp_path / "new" / f"rows.{suffix}"
        with serve(ROWS, endpoint):
            manifest = operator(output_path=str(path), filters={"account_ids": "3"}).execute({})
        content = path.read_bytes()
        assert manifest["endpoint"] == endpoint
        assert manifest["path"] == str(path)
        assert manifest["format"] == suffix.removesuffix(".gz")
        assert manifest["row_count"] == 25
        assert manifest["size_bytes"] == len(content)
        assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
        assert manifest["filters"] == {"account_ids": [3]}
        assert manifest["pages"] == 3
        assert manifest["started_at"] < manifest["finished_at"]
        assert set(manifest) == {
            "endpoint", "path", "format", "row_count", "size_bytes", "sha256", "columns", "filters", "pages", "moved",
            "started_at", "finished_at",
        }  # fmt: skip
        text = gzip.decompress(content) if suffix.endswith(".gz") else content
        flat = ["key", "student_id", "student_email", "student_tags", "price", "big"]
        if "jsonl" in suffix:
            assert [json.loads(line) for line in text.splitlines()] == ROWS
            assert manifest["columns"] == ["key", "student", "price", "big"]
            return
        assert manifest["columns"][-6:] == flat
        if "csv" in suffix:
            rows = list(csv.DictReader(text.decode().splitlines()))
            assert list(rows[0])[-6:] == flat
            assert rows[4]["student_email"] == "s4@example.edu"
            assert json.loads(rows[4]["student_tags"]) == ["a", 4]
            assert rows[4]["big"] == str(10**18 + 4)
        else:
            table = pq.read_table(path)
            assert table.column_names[-6:] == flat
            assert table["big"].to_pylist() == [row["big"] for row in ROWS]
            assert table.schema.metadata[b"endpoint"] == endpoint.encode()

    def test_output_format_goes_before_the_suffix(self, operator, endpoint, serve, tmp_path):
        path = tmp_path / "rows.txt"
        with serve(ROWS, endpoint):
            assert operator(output_path=path, output_format="jsonl").execute({})["format"] == "jsonl"
        assert len(path.read_text().splitlines()) == 25

    @pytest.mark.parametrize("wrap", [str, "file://{}".format, lambda path: ObjectStoragePath(f"file://{path}")])
    def test_kinds_of_paths(self, operator, endpoint, serve, tmp_path, wrap):
        with serve(ROWS, endpoint):
            operator(output_path=wrap(tmp_path / "rows.jsonl")).execute({})
        assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 25

    def test_an_object_store(self, operator, endpoint, serve):
        store = MemoryFileSystem()
        attach("memory", conn_id="store", fs=store)
        with serve(ROWS, endpoint):
            manifest = operator(output_path=f"memory://store@bucket/{endpoint}/rows.csv").execute({})
        assert manifest["path"] == f"memory://store@bucket/{endpoint}/rows.csv"
        assert len(store.cat_file(f"bucket/{endpoint}/rows.csv").splitlines()) == 26
        store.rm("bucket", recursive=True)  # it is one store for the whole process

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_rows_of_which_nothing_is_left(self, operator, endpoint, serve, tmp_path, suffix):
        if ENDPOINTS[endpoint].columns:
            return  # these are columns in any case
        with serve(ROWS, endpoint), pytest.raises(CatalogParameterError, match="no field of the 25 rows is left"):
            operator(output_path=tmp_path / f"rows.{suffix}", drop_fields=["*"]).execute({})
        assert not list(tmp_path.iterdir())

    def test_field_types(self, operator, endpoint, serve, tmp_path, task_log):
        with serve(ROWS, endpoint):
            operator(
                output_path=tmp_path / "rows.parquet",
                field_types={"price": "decimal(12,2)", "student.x": "int64", "gone": "date"},
                drop_fields=["gone"],
            ).execute({})
        schema = pq.read_schema(tmp_path / "rows.parquet")
        assert schema.field("price").type == pa.decimal128(12, 2)
        assert schema.field("student_x").type == pa.int64()
        assert "field_types that are no columns: gone" in task_log()

    @pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
    @pytest.mark.parametrize("on_empty", ["write", "skip", "fail"])
    def test_no_rows(self, operator, endpoint, serve, tmp_path, suffix, on_empty):
        path = tmp_path / f"rows.{suffix}"
        path.write_text("earlier")
        with serve([], endpoint):
            documented = [column.path.replace(".", "_") for column in ENDPOINTS[endpoint].columns]
            pull = operator(output_path=path, on_empty=on_empty)
            if on_empty == "write" and (documented or suffix == "jsonl"):
                assert pull.execute({})["row_count"] == 0
                assert path.read_bytes() != b"earlier"
                if suffix == "parquet":
                    table = pq.read_table(path)
                    assert table.num_rows == 0
                    assert table.column_names == documented
                return
            with pytest.raises(AirflowSkipException if on_empty == "skip" else CatalogError):
                pull.execute({})
        assert path.read_text() == "earlier"

    @pytest.mark.parametrize("suffix", ["jsonl", "csv.gz", "parquet"])
    def test_a_failure_leaves_the_earlier_file(self, operator, endpoint, connection, tmp_path, suffix):
        path = tmp_path / f"rows.{suffix}"
        path.write_text("earlier")

        def answer(request):
            if request.page == 3:
                return Answer({"error": "no"}, 400)
            return paged(ROWS, Paging(most=10), endpoint)(request)

        with catalog_server(answer) as catalog:
            connection(catalog.url)
            with pytest.raises(CatalogUnavailableError):
                operator(output_path=path).execute({})
        assert path.read_text() == "earlier"
        assert list(tmp_path.iterdir()) == [path]

    def test_data_that_moves_is_read_again_from_the_start(self, operator, endpoint, connection, tmp_path):
        asked = []

        def answer(request):
            asked.append(request.page)
            start = 0 if 3 in asked else 20  # while page 3 of the first read is on its way, rows enter at the front
            return paged([{"n": n} for n in range(start, 60)], Paging(most=10), endpoint)(request)

        with catalog_server(answer) as catalog:
            connection(catalog.url)
            manifest = operator(output_path=tmp_path / "rows.jsonl", max_concurrency=1).execute({})
        assert manifest["row_count"] == 60
        assert manifest["moved"] is False
        assert (tmp_path / "rows.jsonl").read_text().splitlines() == [f'{{"n":{n}}}' for n in range(60)]

    @staticmethod
    def always_moving(endpoint):
        rows = [{"n": n} for n in range(60)]

        def answer(request):
            if request.page is None:
                rows.insert(0, {"n": -len(rows)})
            return paged(list(rows), Paging(most=10), endpoint)(request)

        return answer

    def test_data_that_never_stops_moving(self, operator, endpoint, connection, tmp_path):
        with catalog_server(self.always_moving(endpoint)) as catalog:
            connection(catalog.url)
            with pytest.raises(CatalogDataMovedError, match="closed window") as caught:
                operator(output_path=tmp_path / "rows.jsonl").execute({})
        assert not isinstance(caught.value, AirflowFailException), "a later retry may find it at rest"
        assert not list(tmp_path.iterdir())

    def test_data_that_never_stops_moving_and_is_accepted(self, operator, endpoint, connection, tmp_path):
        with catalog_server(self.always_moving(endpoint)) as catalog:
            connection(catalog.url)
            manifest = operator(output_path=tmp_path / "rows.jsonl", on_data_moved="accept").execute({})
        assert manifest["moved"] is True
        rows = [json.loads(line)["n"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert set(rows) >= set(range(60))

    def test_running_again_replaces_its_own_file_only(self, operator, endpoint, serve, tmp_path):
        (tmp_path / "other.jsonl").write_text("other")
        for rows in (ROWS, ROWS[:3]):
            with serve(rows, endpoint):
                operator(output_path=tmp_path / "rows.jsonl").execute({})
        assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 3
        assert (tmp_path / "other.jsonl").read_text() == "other"

    def test_a_place_that_cannot_be_written_fails_before_the_first_request(self, operator, endpoint, serve, tmp_path):
        (tmp_path / "file").touch()
        for path in (tmp_path, "/proc/none/rows.csv"):
            with serve(ROWS, endpoint) as catalog, pytest.raises((CatalogParameterError, CatalogStorageError)):
                operator(output_path=f"{path}", output_format="csv").execute({})
            assert not catalog.requests

    @pytest.mark.parametrize("count", [1, 1000])
    def test_the_manifest_stays_small(self, operator, endpoint, serve, tmp_path, count):
        rows = [{f"column_with_a_long_name_{n}": n for n in range(count)}]
        ids = list(range(10**9, 10**9 + count))
        with serve(rows, endpoint) as catalog:
            manifest = operator(output_path=tmp_path / "rows.csv", filters={"account_ids": ids}).execute({})
        assert catalog.requests[0].filters == {"account_ids": ids}
        assert len(json.dumps(manifest)) < 4096
        columns = len(ENDPOINTS[endpoint].columns) + count
        if count == 1:
            assert len(manifest["columns"]) == columns
            assert manifest["filters"] == {"account_ids": ids}
        else:
            kept = len(manifest["columns"]) - 1
            assert manifest["columns"][-1] == f"... and {columns - kept} more"
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
    def test_what_a_retry_cannot_mend_fails_without_airflows_retries(
        self, operator, connection, answer, error, is_final
    ):
        with catalog_server(lambda request: answer) as catalog:
            connection(catalog.url)
            with pytest.raises(error) as caught:
                operator().execute({})
        assert isinstance(caught.value, AirflowFailException) is is_final
        assert (caught.value.endpoint, caught.value.status) == (operator().endpoint, answer.status)

    def test_filter_values_fail_before_the_first_request(self, operator, endpoint, serve):
        with serve(ROWS, endpoint) as catalog, pytest.raises(CatalogFilterError, match="account_ids") as caught:
            operator(filters={"account_ids": "one"}).execute({})
        assert isinstance(caught.value, AirflowFailException)
        assert not catalog.requests

    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ({"filters": {"acount_ids": 1}}, "did you mean 'account_ids'"),
            ({"output_path": "/data/rows.parqet"}, "does not end in"),
            ({"output_path": "/data/{{ ds }}/rows.{{ x }}.json"}, "does not end in"),
            ({"output_path": "/data/rows.csv", "output_format": "xlsx"}, "output_format='xlsx'"),
            ({"output_path": "/data/"}, "names a folder"),
            ({"output_format": "xlsx"}, "output_format"),
            ({"output_path": "/data/rows.csv", "output_format": "parquet"}, "ends in '.csv', but output_format is"),
            ({"output_path": "/data/{{ ds }}.csv", "output_format": "jsonl"}, "ends in '.csv', but output_format is"),
            ({"output_path": "/data/rows.jsonl", "csv_escape_formulas": True}, "is for CSV alone"),
            (
                {"output_path": "/data/{{ x }}", "output_format": "parquet", "csv_escape_formulas": True},
                "for CSV alone",
            ),
            ({"csv_escape_formulas": True}, "for CSV alone, and the rows go to XCom"),
            ({"output_path": "/data/rows.csv", "csv_escape_formulas": "yes"}, "csv_escape_formulas is 'yes'; allowed"),
            ({"output_path": "/data/rows.parquet", "csv_for_excel": True}, "csv_for_excel is for CSV alone"),
            ({"output_path": "/data/rows.csv", "compression": "snappy"}, "compression is for Parquet alone"),
            ({"output_path": "/data/rows.parquet", "compression": "lzo"}, "compression is 'lzo'; allowed: 'zstd'"),
            ({"output_path": Path("/data/rows.txt")}, "does not end in"),
            ({"output_path": 5}, "output_path"),
            ({"output_path": b"/data/rows.csv"}, "output_path"),
            ({"filters": [1]}, "filters is"),
            ({"filters": 5}, "filters is 5"),
            ({"catalog_conn_id": None}, "catalog_conn_id is None"),
            ({"output_path": "rows.csv"}, "write an absolute path such as"),
            ({"output_path": "data/{{ ds }}/rows.csv"}, "write an absolute path such as"),
            ({"output_path": Path("rows.csv")}, "write an absolute path such as"),
            ({"fields": "product"}, "fields must be a list"),
            ({"drop_fields": ["a..b"]}, "drop_fields"),
            ({"hash_fields": [1]}, "hash_fields"),
            ({"field_types": {"price": "money"}}, "'money'"),
            ({"on_empty": "ignore"}, "on_empty is 'ignore'"),
            ({"page_size": 101}, "page_size is 101"),
            ({"max_concurrency": 0}, "max_concurrency is 0"),
            ({"max_xcom_bytes": "1 MB"}, "max_xcom_bytes is '1 MB'"),
            ({"max_xcom_bytes": 0}, "max_xcom_bytes is 0"),
        ],
    )
    def test_what_is_known_then_fails_when_the_dag_is_parsed(self, operator, parameters, says):
        with pytest.raises(CatalogParameterError, match=says):
            operator(**parameters)

    def test_a_parameter_that_does_not_exist(self, operator):
        with pytest.raises((TypeError, AirflowException), match="filter"):  # the latter is Airflow 2's
            operator(filter={})


class TestAirflow:
    def test_templates(self, operator, endpoint, serve, tmp_path, connection):
        with serve(ROWS, endpoint) as catalog:
            connection(catalog.url, conn_id="c_7")
            pull = operator(
                catalog_conn_id="c_{{ n }}",
                filters={"account_ids": ["{{ n }}", "{{ n + 1 }}"]},
                output_path=str(tmp_path / "{{ n }}" / "rows.{{ suffix }}"),
            )
            pull.render_template_fields({"n": 7, "suffix": "csv"})
            manifest = pull.execute({})
        assert manifest["path"] == str(tmp_path / "7" / "rows.csv")
        assert manifest["filters"] == {"account_ids": [7, 8]}

    def test_a_pathlib_path_is_rendered(self, operator, endpoint, serve, tmp_path):
        with serve(ROWS, endpoint):
            pull = operator(output_path=tmp_path / "{{ n }}.jsonl")
            pull.render_template_fields({"n": 7})
            pull.execute({})
        assert (tmp_path / "7.jsonl").exists()

    def test_filters_from_one_template(self, operator, endpoint, serve):
        with serve(ROWS, endpoint) as catalog:
            pull = operator(filters="{{ conf | tojson }}")
            pull.render_template_fields({"conf": {"account_ids": [5]}})
            pull.execute({})
        assert catalog.requests[0].filters == {"account_ids": [5]}

    def test_an_object_storage_path_is_rendered(self, operator, endpoint, serve, tmp_path):
        with serve(ROWS, endpoint):
            pull = operator(output_path=ObjectStoragePath(f"file://{tmp_path}/{{{{ n }}}}.jsonl"))
            pull.render_template_fields({"n": 7})
            pull.execute({})
        assert (tmp_path / "7.jsonl").exists()

    def test_xcom_args_and_mapping_are_accepted_when_the_dag_is_parsed(self, endpoint):
        with DAG("mapped", schedule=None):

            @task
            def ids():
                return [1]

            known = ids()
            pull = OPERATORS[endpoint](task_id="one", filters={"account_ids": known})
            OPERATORS[endpoint](task_id="whole", filters=known)
            mapped = OPERATORS[endpoint].partial(task_id="many", output_format="csv").expand(filters=[{}, {}])
            with pytest.raises(TypeError, match="unexpected keyword"):
                OPERATORS[endpoint].partial(task_id="wrong", output_formt="csv").expand(filters=[{}])
        assert pull.upstream_task_ids == {"ids"}
        assert mapped.task_id == "many"

    @pytest.mark.parametrize("endpoint", OPERATORS)
    def test_the_operators_say_what_they_show(self, endpoint):
        cls = OPERATORS[endpoint]
        assert issubclass(cls, BaseOperator)
        assert {"catalog_conn_id", "filters", "output_path", "fields", "page_size"} < set(cls.template_fields)
        assert cls.template_fields_renderers == {"filters": "json"}
        assert cls.__doc__
        assert cls.endpoint == endpoint
