"""The four sensors, as a DAG author meets them: each mode against a real server."""

from __future__ import annotations

import hmac
import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_catalog.errors import CatalogAuthError, CatalogError, CatalogParameterError, CatalogRequestError
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.airflow_names import (
    AIRFLOW,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from tests.catalog_server import PAGINGS, Answer, Pages
from tests.processes import python
from tests.tasks import SENSORS, run_sensor, sensor

pytestmark = pytest.mark.usefixtures("new_triggers")
KEY = "a long hash s3cret"
every_mode = pytest.mark.parametrize(
    "mode", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=["poke", "reschedule", "deferrable"]
)


def students(count):
    return [{"key": n, "student": {"id": n, "email": f"s{n}@example.edu"}} for n in range(count)]


class TestDone:
    @every_mode
    @pytest.mark.parametrize("paging", ["link", "page-only"])
    def test_the_same_answer_in_every_mode(self, serve, paging, mode):
        with serve(Pages(students(25), **PAGINGS[paging]), page_size=10, hash_secret=KEY):
            waiting = sensor(min_rows=3, drop_fields=["key"], hash_fields=["student.email"], **mode)
            result = run_sensor(waiting)
        hashed = [hmac.new(KEY.encode(), f"s{n}@example.edu".encode(), "sha256").hexdigest() for n in range(10)]
        rows = [{"student": {"id": n, "email": email}} for n, email in enumerate(hashed)]
        assert result == {"row_count": 25, "rows": rows}

    @every_mode
    def test_rows_that_come_while_it_waits(self, serve, mode):
        rows = students(1)

        class Sensor(CatalogOrdersAnalyticsSensor):
            def poke(self, context):
                result = super().poke(context)
                rows.extend(students(1))
                return result

        with serve(rows):
            waiting = Sensor(task_id="wait", poke_interval=0.05, timeout=60, min_rows=3, **mode)
            assert run_sensor(waiting, on_pause=lambda: rows.extend(students(2)))["row_count"] >= 3

    def test_rows_that_go_between_the_event_and_the_resumption(self, serve):
        rows = students(1)
        with serve(rows):
            waiting = sensor(min_rows=2)  # the DAG may have been changed since it deferred
            started_at = time.time()
            with pytest.raises(TaskDeferred) as caught:
                waiting.execute_complete({}, {"status": "done"}, started_at=started_at)
            assert caught.value.trigger.deadline == started_at + 60, "the deadline is the one that it had"
            rows.extend(students(1))
            assert run_sensor(waiting)["row_count"] == 2


class TestNotYet:
    @every_mode
    def test_a_server_in_trouble(self, serve, task_log, mode):
        troubles = [Answer(b"busy", 503), Answer(drop=True), Answer(b"Rate Limit Exceeded", 403)]
        with serve(Pages(students(1), answers={0: [*troubles, Answer(b"slow down", 429, {"Retry-After": "0"})]})):
            assert run_sensor(sensor(**mode))["row_count"] == 1
        assert "Catalog orders: not yet, never reached: " in task_log()

    def test_the_log_says_what_each_poll_saw_and_no_row(self, serve, task_log, caplog):
        caplog.set_level("DEBUG")
        with serve(students(25)):
            assert not sensor(min_rows=30).poke({})
            run_sensor(sensor(deferrable=True, min_rows=2))
        text = task_log()
        assert "Catalog orders: 25 of 30 rows" in text
        assert "Catalog orders: 25 rows, 2 wanted" in text
        assert "example.edu" not in text


class TestTimeout:
    @every_mode
    @pytest.mark.parametrize(
        ("parameters", "error", "says"),
        [
            ({"min_rows": 10}, AirflowSensorTimeout, r"orders: .* last poll: 3 of 10 rows; .*'catalog_default'"),
            ({"min_rows": 10, "soft_fail": True}, AirflowSkipException, "last poll: 3 of 10 rows|soft_fail"),
            ({"catalog_conn_id": "nobody"}, AirflowSensorTimeout, "last poll: never reached: "),
        ],
        ids=["too few", "too few, soft_fail", "never reached"],
    )
    def test_says_what_the_last_poll_saw(self, serve, connection, mode, parameters, error, says):
        connection("http://127.0.0.1:9", conn_id="nobody")
        with serve(students(3)), pytest.raises(error, match=says):
            run_sensor(sensor(timeout=0.3, **parameters, **mode))

    def test_of_a_sensor_that_resumes_too_late(self, serve):
        with serve([]):
            with pytest.raises(AirflowSensorTimeout, match="last poll: 0 of 1 rows"):
                sensor(deferrable=True).execute_complete({}, {"status": "done"}, started_at=time.time() - 60)

    def test_without_a_triggerer_airflow_ends_the_deferral_soon_after(self, serve):
        with serve([]):
            with pytest.raises(TaskDeferred) as caught:
                sensor(deferrable=True, timeout=600).execute({})
        assert caught.value.timeout > timedelta(seconds=600)


class TestLasting:
    @every_mode
    @pytest.mark.parametrize(("status", "kind"), [(401, CatalogAuthError), (422, CatalogRequestError)])
    def test_fails_at_once(self, serve, status, kind, mode):
        with serve(lambda request: Answer(b"no", status)) as catalog:
            with pytest.raises(kind) as caught:
                run_sensor(sensor(**mode))
        assert isinstance(caught.value, AirflowFailException), "or Airflow would try again"
        assert len(catalog.requests) == 1

    @every_mode
    @pytest.mark.parametrize("skip", ["soft_fail", "never_fail", None])
    @pytest.mark.parametrize("polls", [0, 1])
    def test_skips_where_airflow_is_told_so(self, serve, mode, skip, polls):
        """At the first poll, or at the second one, which is the trigger's where there is one."""
        if AIRFLOW < (3, 1) and polls and skip == "never_fail" and mode.get("deferrable"):
            pytest.skip("before Airflow 3.1, a task that is resumed does not look at never_fail")
        answers = iter([Answer({"orders": []})] * polls)
        with serve(lambda request: next(answers, Answer(b"no", 401))):
            with pytest.raises(AirflowSkipException if skip else CatalogAuthError) as caught:
                run_sensor(sensor(**({skip: True} if skip else {}), **mode))
        assert skip or isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize("event", [None, {"status": "finished"}, {"rows": [{"email": "s1@example.edu"}]}, ["done"]])
    def test_an_unexpected_event(self, event):
        with pytest.raises(CatalogError, match="unexpected event") as caught:
            sensor(deferrable=True).execute_complete({}, event)
        assert isinstance(caught.value, AirflowFailException)
        assert "example" not in str(caught.value)

    @pytest.mark.parametrize(
        ("event", "error", "says"),
        [
            (
                {"status": "error", "kind": "CatalogNovelError", "message": "what happened"},
                CatalogError,
                "what happened",
            ),
            ({"status": "timeout"}, AirflowSensorTimeout, "orders"),
        ],
    )
    def test_an_event_of_another_version(self, event, error, says):
        with pytest.raises(error, match=says):
            sensor(deferrable=True).execute_complete({}, event, started_at=0.0)

    def test_a_trigger_that_broke(self):
        with pytest.raises(TaskDeferralError):
            sensor(deferrable=True).resume_execution("__fail__", {"error": "Trigger failure"}, {})


@pytest.mark.parametrize(
    "parameters",
    [
        *({"min_rows": value} for value in (0, -1, "0", "three", 1.5, True, None)),
        {"fields": ["a..b"]}, {"drop_fields": ["a..b"]}, {"hash_fields": ["a..b"]}, {"filters": {"acount_ids": [1]}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_fails_when_the_dag_is_parsed(parameters):
    [says] = parameters if "filters" not in parameters else ["did you mean 'account_ids'"]
    with pytest.raises(CatalogParameterError, match=says):
        sensor(**parameters)


def test_templates(serve):
    with serve(students(2)) as catalog:
        waiting = sensor(
            catalog_conn_id="catalog_{{ d }}", filters={"account_ids": ["{{ n }}", "{{ n + 1 }}"]},
            min_rows="{{ n - 5 }}", fields=["{{ field }}"], drop_fields=["{{ field }}.email"],
        )  # fmt: skip
        waiting.render_template_fields({"n": 7, "d": "default", "field": "student"})
        assert waiting.poke({}).xcom_value == {"row_count": 2, "rows": [{"student": {"id": 0}}, {"student": {"id": 1}}]}
    assert catalog.requests[0].filters == {"account_ids": [7, 8]}


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        *(({"min_rows": "{{ '%s' }}" % value}, "min_rows") for value in ("", "None", "0", "many")),  # noqa: UP031
        ({"filters": {"account_ids": ["x"]}}, "account_ids"),
        ({"hash_fields": ["student.email"]}, "hash_"),  # without a hash secret
    ],
    ids=str,
)
def test_a_wrong_value_fails_before_any_request(serve, parameters, says):
    with serve([]) as catalog:
        waiting = sensor(**parameters)
        waiting.render_template_fields({})
        with pytest.raises(CatalogParameterError, match=says) as caught:
            waiting.poke({})
    assert isinstance(caught.value, AirflowFailException)
    assert not catalog.requests


def test_xcom_args_and_mapping():
    with DAG("mapped", schedule=None):

        @task
        def ids():
            return [1]

        numbers = ids()
        wait = SENSORS["orders"](task_id="one", filters={"account_ids": numbers}, min_rows=numbers)
        mapped = SENSORS["orders"].partial(task_id="many", deferrable=True).expand(filters=[{}, {}])
    assert wait.upstream_task_ids == {"ids"}
    assert mapped.task_id == "many"


def test_what_the_trigger_is_told(serve):
    waiting = sensor(
        deferrable=True, min_rows="{{ n }}", filters={"account_ids": ["{{ n }}"]}, poke_interval=30,
        exponential_backoff=True, max_wait=timedelta(minutes=2),
    )  # fmt: skip
    waiting.render_template_fields({"n": 7})
    with serve(students(2)), pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    trigger = caught.value.trigger
    assert (trigger.min_rows, trigger.filters) == (7, {"account_ids": [7]})
    assert (trigger.exponential_backoff, trigger.max_wait, trigger.poke_interval) == (True, 120, 30)


def test_the_default_of_deferrable_is_airflows_and_nothing_heavy_is_imported():
    script = """
import sys
from airflow.providers.common.compat.sdk import BaseSensorOperator
BaseSensorOperator(task_id="airflows")
before = set(sys.modules)
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
sensor = CatalogOrdersAnalyticsSensor(task_id="wait")
print(sensor.deferrable, {"requests", "pyarrow", "fsspec"} & (set(sys.modules) - before))
"""
    assert python(script, AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE="True").splitlines()[-1] == "True set()"
