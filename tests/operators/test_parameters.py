"""What is checked of an operator's parameters, and when; what templates, XComs and mapping may give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, ObjectStoragePath, task

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator as Operator
from tests.airflow_names import AirflowFailException
from tests.catalog_server import Pages
from tests.tasks import operator

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu", "name": "x"}, "price": 1.5} for n in range(25)]
both_ways = pytest.mark.parametrize("native", [False, True], ids=["text", "native"])

WRONG = {
    "output_path": {
        "does not end in .*parquet.*output_format": ["/a/b.xlsx", "/a/b", "/a/b.gz", "/a/csv"],
        "compressed inside; leave out '.gz'": ["/a/b.parquet.gz"],
        "names a folder": ["/a/", "/a/..", "~", "s3://bucket/folder/"],
        "write an absolute path": ["b.csv", "file://relative/b.csv"],
        "home directory": ["~no-such-user-here/b.csv"],
        "NUL": ["/a/\0.csv"],
        "write abfss://CONNECTION@box/": ["abfss://box@account.dfs.core.windows.net/b.csv"],
    },
    "output_format": {"output_format='.*' is not one of 'jsonl', 'csv', 'parquet'": ["xlsx", "CSV"]},
    "fields": {
        "fields: .* is not a dotted path": [["a..b"], [".a"], ["a."], [""], [["a"]]],
        "fields must be a list": [{"a": 1}],
        r"'product.*' has a '\*'": [["product.*"]],
        "'product.id' is already part of 'product'": [["product.id", "product"], ["product", "product.id"]],
    },
    "drop_fields": {"drop_fields: 5 is not": [["a", 5]], "drop_fields: 'a..b' is not": [["a..b"]]},
    "hash_fields": {"hash_fields: 1 is not": [[1]], "hash_fields must be a list": [{"a": 1}]},
    "field_types": {
        "'a' has the type 'datetime', which does not exist; did you mean 'timestamp'": [{"a": "datetime"}],
        "did you mean 'int64'": [{"a": "Int64"}, {"a": "integer"}],
        r"which does not exist; use one of 'string', .*'decimal\(12,2\)'": [{"a": "zzz"}, {"a": "decimal"}],
        "precision up to 38": [{"a": "decimal(39,2)"}, {"a": "decimal(0,0)"}],
        "which does not exist": [{"a": "decimal(2,3)"}, {"a": "list<int64>"}],
        "'a.b' is the same column as 'a_b'": [{"a.b": "int64", "a_b": "string"}],
        "the column 5 must be a string": [{5: "int64"}],
        "must be a dict .* not list": [["a"]],
    },
    "on_empty": {"on_empty is 'ignore'": ["ignore"]},
    "on_data_moved": {"set on_data_moved to": ["ignore"]},
    "page_size": {"page_size is 101": [101], "page_size is 'many'": ["many"]},
    "max_concurrency": {"max_concurrency is 0": [0]},
    "max_xcom_bytes": {"max_xcom_bytes is '1 MB'": ["1 MB"]},
}


@pytest.fixture
def orders(serve):
    with serve(Pages(ROWS, size=100)) as catalog:
        yield catalog


def rendered(params, *, native=False, **parameters):
    """Return an operator as it is when Airflow executes it."""
    with DAG("dag", schedule=None, render_template_as_native_obj=native) as dag:
        pull = Operator(task_id="pull", **parameters)
    pull.render_template_fields({"params": params}, dag.get_template_env())
    return pull


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [(name, value, says) for name, cases in WRONG.items() for says, values in cases.items() for value in values],
)
def test_what_is_wrong_is_told_when_the_dag_is_parsed_or_before_the_first_request(orders, parameter, value, says):
    with pytest.raises(CatalogParameterError, match=says):
        operator(**{parameter: value})
    for native in (False, True):
        pull = rendered({"x": value}, native=native, **{parameter: "{{ params.x }}"})
        with pytest.raises(CatalogParameterError, match=says) as caught:
            pull.execute({})
        assert isinstance(caught.value, AirflowFailException)
    assert not orders.requests


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"filters": [1]}, "filters is"),
        ({"catalog_conn_id": None}, "catalog_conn_id is None"),
        ({"output_path": 5}, "output_path must be a path, .* not int"),
        ({"output_path": Path("/data/rows.txt")}, "does not end in"),
        ({"output_path": Path("rows.csv")}, "write an absolute path such as"),
        ({"output_path": "/data/{{ ds }}/rows.{{ x }}.json"}, "does not end in"),
        ({"output_path": "/data/{{ ds }}.CSV.gz", "output_format": "jsonl"}, "ends in '.csv', but output_format is"),
        ({"output_path": "/data/rows.gz", "output_format": "parquet"}, "compressed inside"),
        ({"output_path": "/data/rows.csv", "output_format": "xlsx"}, "output_format='xlsx'"),
        ({"output_path": "/{{ x }}", "output_format": "parquet", "csv_escape_formulas": True}, "is for CSV alone"),
        ({"csv_escape_formulas": True}, "for CSV alone, and the rows go to XCom"),
        ({"output_path": "/data/rows.csv", "csv_escape_formulas": "yes"}, "csv_escape_formulas is 'yes'; allowed"),
        ({"output_path": "/data/rows.parquet", "csv_for_excel": True}, "csv_for_excel is for CSV alone"),
        ({"output_path": "/data/rows.csv", "compression": "snappy"}, "compression is for Parquet alone"),
        ({"output_path": "/data/rows.parquet", "compression": "lzo"}, "compression is 'lzo'; allowed: 'zstd'"),
        ({"fields": "product"}, "fields must be a list"),
        ({"fields": []}, "fields is empty"),
        ({"fields": ["a.b"], "drop_fields": ["*.b"]}, r"fields: 'a.b' is left out by drop_fields \('\*.b'\)"),
        ({"hash_fields": ["a.b"], "drop_fields": ["a"]}, "hash_fields: 'a.b' is left out by drop_fields"),
        ({"hash_fields": ["a"], "drop_fields": ["a"]}, "hash_fields: 'a' is left out"),
        ({"field_types": {"a": int}}, "which is not a string"),
        ({"max_xcom_bytes": 0}, "max_xcom_bytes is 0"),
    ],
)
def test_what_is_known_then_fails_when_the_dag_is_parsed(parameters, says):
    with pytest.raises(CatalogParameterError, match=says):
        operator(**parameters)


def test_a_parameter_that_does_not_exist():
    with pytest.raises((TypeError, AirflowException), match="filter"):  # the latter is Airflow 2's
        operator(filter={})
    with pytest.raises(TypeError, match="unexpected keyword"):
        Operator.partial(task_id="wrong", output_formt="csv").expand(filters=[{}])


@both_ways
def test_templates_may_give_each_parameter(orders, tmp_path, native):
    pull = rendered(
        {
            "format": "csv", "fields": ["student", "id", "price"], "drop": "['student.name']", "size": 10,
            "types": {"price": "decimal(12,2)"}, "column": "id",
        },
        native=native,
        output_path=f"{tmp_path}/rows.{{{{ params.format }}}}",
        output_format="{{ params.format }}",
        fields="{{ params.fields }}",
        drop_fields="{{ params.drop }}",
        field_types="{{ params.types | tojson }}",
        page_size="{{ params.size }}",
        max_concurrency="{{ 2 }}",
        on_empty="{{ 'fail' }}",
    )  # fmt: skip
    assert pull.execute({})["columns"] == ["student_email", "id", "price"]
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == "s0@example.edu,0,1.50"
    assert orders.requests[0].query["per_page"] == "10"


@both_ways
def test_templates_may_give_parts_of_one_and_text_with_commas_is_a_list(orders, tmp_path, native):
    pull = rendered(
        {"id": "id", "price": "price", "type": "string", "names": "student.name, student.email"},
        native=native,
        fields=["{{ params.id }}", "{{ params.price }}", "student"],
        drop_fields="{{ params.names }}",
        field_types={"price": "{{ params.type }}", "id": "string"},
        output_path=tmp_path / "rows.csv",
    )
    assert pull.execute({})["columns"] == ["id", "price"]
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == "0,1.5"


@both_ways
def test_blank_text_is_the_default(orders, native):
    names = ("output_path", "output_format", "fields", "drop_fields", "hash_fields", "field_types", "on_empty")
    numbers = ("page_size", "max_concurrency", "max_xcom_bytes")
    pull = rendered({"empty": ""}, native=native, **dict.fromkeys([*names, *numbers], "{{ params.empty }}"))
    assert pull.execute({}) == ROWS


@pytest.mark.parametrize(
    "parameter", ["output_path", "output_format", "fields", "drop_fields", "field_types", "on_empty", "page_size"]
)
def test_a_template_that_gave_none(orders, parameter):
    pull = rendered({"none": None}, **{parameter: "{{ params.none }}"})
    with pytest.raises(CatalogParameterError, match=parameter + r": write \{\{ params.x or '' \}\} in the template"):
        pull.execute({})
    assert not orders.requests


@pytest.mark.parametrize("wrap", [str, "file://{}".format, Path, lambda path: ObjectStoragePath(f"file://{path}")])
def test_paths_of_each_kind(orders, connection, tmp_path, wrap):
    connection(orders.url, conn_id="c_7")
    pull = rendered(
        {"n": 7, "suffix": "csv"},
        catalog_conn_id="c_{{ params.n }}",
        filters={"account_ids": ["{{ params.n }}", "{{ params.n + 1 }}"]},
        output_path=wrap(f"{tmp_path}/{{{{ params.n }}}}/rows.{{{{ params.suffix }}}}"),
        output_format="csv",
    )
    assert pull.execute({})["filters"] == {"account_ids": [7, 8]}
    assert len((tmp_path / "7" / "rows.csv").read_text().splitlines()) == 26


def test_an_escape_that_turns_out_to_be_for_another_format(orders, tmp_path):
    path = f"{tmp_path}/rows.{{{{ params.suffix }}}}"
    with pytest.raises(CatalogParameterError, match="csv_escape_formulas is for CSV alone"):
        rendered({"suffix": "jsonl"}, output_path=path, csv_escape_formulas=True).execute({})
    assert not orders.requests
    assert rendered({"suffix": "csv"}, output_path=path, csv_escape_formulas=True).execute({})["row_count"] == 25


def test_filters_from_one_template(orders):
    rendered({"filters": {"account_ids": [5]}}, filters="{{ params.filters | tojson }}").execute({})
    assert orders.requests[0].filters == {"account_ids": [5]}


def test_a_set_is_the_same_in_every_parse(orders):
    pull = operator(filters={"product_statuses": {"OPEN", "CLOSED", "DELETED"}, "account_ids": {2, 1}})
    assert json.dumps(pull.filters) == '{"product_statuses": ["CLOSED", "DELETED", "OPEN"], "account_ids": [1, 2]}'
    pull.execute({})
    assert orders.requests[0].filters == pull.filters


def test_xcoms_of_other_tasks_and_mapping_may_give_all_of_them():
    with DAG("xcoms", schedule=None):

        @task
        def value():
            return None

        names = ("filters", "fields", "drop_fields", "field_types", "output_format", "on_empty", "page_size")
        pull = Operator(task_id="pull", **dict.fromkeys([*names, "max_xcom_bytes"], value()))
        within = Operator(task_id="within", filters={"account_ids": value()})
        mapped = Operator.partial(task_id="many", output_format="csv").expand(filters=[{}, {}])
    assert pull.upstream_task_ids == {"value"}
    assert within.upstream_task_ids == {"value__1"}
    assert mapped.task_id == "many"
