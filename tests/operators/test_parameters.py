"""Parameters that templates, XComs and mapping give: checked in ``execute``, before the first request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator as Operator
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor as Sensor
from tests.catalog_server import Pages

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu", "name": "x"}, "price": 1.5} for n in range(25)]


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


PARAMS = {
    "format": "csv",
    "fields": ["student", "id", "price"],
    "drop": "['student.name']",
    "names": "student.name, price",
    "types": {"price": "decimal(12,2)"},
    "page_size": 10,
    "none": None,
    "empty": "",
}


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
class TestRendered:
    def test_a_file(self, orders, tmp_path, native):
        path = tmp_path / "rows"
        pull = rendered(
            PARAMS,
            native=native,
            output_path=f"{path}.{{{{ params.format }}}}",
            output_format="{{ params.format }}",
            fields="{{ params.fields }}",
            drop_fields="{{ params.drop }}",
            field_types="{{ params.types | tojson }}",
            page_size="{{ params.page_size }}",
            max_concurrency="{{ 2 }}",
            on_empty="{{ 'fail' }}",
        )
        assert pull.execute({})["columns"] == ["student_email", "id", "price"]
        assert path.with_suffix(".csv").read_text().splitlines()[1] == "s0@example.edu,0,1.50"
        assert orders.requests[0].query["per_page"] == "10"

    def test_text_with_commas_is_a_list(self, orders, native):
        assert rendered(PARAMS, native=native, drop_fields="{{ params.names }}").execute({})[0] == {
            "id": 0,
            "student": {"email": "s0@example.edu"},
        }

    def test_templates_within_a_list_and_a_dict(self, orders, tmp_path, native):
        pull = rendered(
            {"a": "id", "b": "price", "type": "string"},
            native=native,
            fields=["{{ params.a }}", "{{ params.b }}"],
            field_types={"{{ params.b }}": "{{ params.type }}", "id": "string"},
            output_path=tmp_path / "rows.csv",
        )
        assert pull.execute({})["columns"] == ["id", "price"]

    def test_blank_text_is_the_default(self, orders, native):
        names = ("output_path", "output_format", "fields", "drop_fields", "hash_fields", "field_types", "on_empty")
        numbers = ("page_size", "max_concurrency", "max_xcom_bytes")
        pull = rendered(PARAMS, native=native, **dict.fromkeys([*names, *numbers], "{{ params.empty }}"))
        assert pull.execute({}) == ROWS

    @pytest.mark.parametrize(
        ("parameter", "gives", "says"),
        [
            ("output_format", "xlsx", "output_format='xlsx'"),
            ("fields", "['a..b']", "fields: 'a..b'"),
            ("fields", "{'a': 1}", "fields must be a list"),
            ("drop_fields", ["a", 5], "drop_fields: 5"),
            ("field_types", {"price": "money"}, "'money'"),
            ("on_empty", "ignore", "on_empty is 'ignore'"),
            ("page_size", "101", "page_size is 101"),
            ("page_size", "many", "page_size is 'many'"),
            ("max_concurrency", "0", "max_concurrency is 0"),
            ("max_xcom_bytes", "1 MB", "max_xcom_bytes is '1 MB'"),
            ("output_path", "rows.csv", "write an absolute path"),
        ],
    )
    def test_what_is_wrong_fails_before_the_first_request(self, orders, native, parameter, gives, says):
        pull = rendered({"x": gives}, native=native, **{parameter: "{{ params.x }}"})
        with pytest.raises(CatalogParameterError, match=says):
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


def test_filters_from_one_template(orders):
    rendered({"filters": {"account_ids": [5]}}, filters="{{ params.filters | tojson }}").execute({})
    assert orders.requests[0].filters == {"account_ids": [5]}


@pytest.mark.parametrize(
    "parameter", ["output_path", "output_format", "fields", "drop_fields", "field_types", "on_empty", "page_size"]
)
def test_a_template_that_gave_none(orders, parameter):
    pull = rendered(PARAMS, **{parameter: "{{ params.none }}"})
    with pytest.raises(CatalogParameterError, match=parameter + r": write \{\{ params.x or '' \}\} in the template"):
        pull.execute({})
    assert not orders.requests


def test_xcoms_of_other_tasks_may_give_all_of_them():
    with DAG("xcoms", schedule=None):

        @task
        def value():
            return None

        names = ("fields", "drop_fields", "field_types", "output_format", "on_empty", "page_size", "max_xcom_bytes")
        pull = Operator(task_id="pull", **dict.fromkeys(names, value()))
    assert pull.upstream_task_ids == {"value"}


@pytest.mark.parametrize("key", [{"__classname__": 1}, {"deep": [{"__id__": 1}]}, {"__type": "dict", "__var": {}}])
@pytest.mark.parametrize("kind", [Operator, Sensor])
def test_keys_that_airflow_keeps_for_itself_fail_before_the_push(serve, tmp_path, key, kind):
    with serve([*ROWS[:3], {"id": 4} | key]):
        with pytest.raises(CatalogParameterError, match="orders: write the rows to a file"):
            kind(task_id="pull").execute({})
        assert Operator(task_id="pull", output_path=tmp_path / "rows.jsonl").execute({})["row_count"] == 4


def test_texts_like_those_keys_and_half_of_a_pair_are_no_trouble(serve):
    rows = [{"id": 1, "text": "__classname__", "__type": 'a "__id__"'}]
    with serve(rows):
        assert Operator(task_id="pull").execute({}) == rows


def test_a_set_is_the_same_in_every_parse(orders):
    pull = Operator(task_id="pull", filters={"product_statuses": {"OPEN", "CLOSED", "DELETED"}, "account_ids": {2, 1}})
    assert json.dumps(pull.filters) == '{"product_statuses": ["CLOSED", "DELETED", "OPEN"], "account_ids": [1, 2]}'
    pull.execute({})
    assert orders.requests[0].filters == pull.filters
