"""The four sensors, as a DAG author meets them: each mode against a real server."""

from __future__ import annotations

import hmac
import time
from datetime import timedelta

import pytest

from airflow_provider_catalog.errors import CatalogAuthError, CatalogError, CatalogParameterError, CatalogRequestError
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.airflow_names import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from tests.catalog_server import PAGINGS, Answer, Pages
from tests.tasks import SENSORS, run_sensor, sensor

pytestmark = pytest.mark.usefixtures("new_triggers")
KEY = "a long hash s3cret"
every_mode = pytest.mark.parametrize(
    "mode", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=["poke", "reschedule", "deferrable"]
)


def students(count):
    return [{"key": n, "student": {"id": n, "email": f"s{n}@example.edu"}} for n in range(count)]


class TestDone:
    @pytest.mark.parametrize("endpoint", SENSORS)
    def test_each_sensor_asks_its_endpoint(self, endpoint, serve):
        with serve(students(1), endpoint) as catalog:
            assert sensor(endpoint, filters={"account_ids": "1,2"}).poke({}).xcom_value["row_count"] == 1
        assert catalog.requests[0].path.endswith(f"/{endpoint}")
        assert catalog.requests[0].filters == {"account_ids": [1, 2]}

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

    def test_no_hash_secret_is_told_before_any_request(self, serve):
        with serve([]) as catalog:
            with pytest.raises(CatalogParameterError, match="hash_"):
                run_sensor(sensor(hash_fields=["student.email"]))
        assert not catalog.requests

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
    def test_says_what_the_last_poll_saw(self, serve, mode):
        with serve(students(3)):
            with pytest.raises(AirflowSensorTimeout, match=r"orders: .* last poll: 3 of 10 rows; .*'catalog_default'"):
                run_sensor(sensor(min_rows=10, timeout=0.3, **mode))

    @every_mode
    def test_of_a_catalog_that_was_never_reached(self, connection, mode):
        connection("http://127.0.0.1:9")
        with pytest.raises(AirflowSensorTimeout, match="last poll: never reached: "):
            run_sensor(sensor(timeout=0.1, **mode))

    @every_mode
    def test_soft_fail(self, serve, mode):
        with serve([]):
            with pytest.raises(AirflowSkipException, match=r"last poll: 0 of 1 rows|soft_fail"):
                run_sensor(sensor(timeout=0.2, soft_fail=True, **mode))

    def test_of_a_sensor_that_resumes_too_late(self, serve):
        with serve([]):
            with pytest.raises(AirflowSensorTimeout, match="last poll: 0 of 1 rows"):
                sensor(deferrable=True).execute_complete({}, {"status": "done"}, started_at=time.time() - 60)

    def test_of_a_trigger_of_an_earlier_version(self):
        with pytest.raises(AirflowSensorTimeout, match="orders"):
            sensor(deferrable=True).execute_complete({}, {"status": "timeout"}, started_at=0.0)

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

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_in_the_trigger(self, serve, soft_fail):
        answers = iter([Answer({"orders": []})])
        with serve(lambda request: next(answers, Answer(b"no", 401))):
            with pytest.raises(AirflowSkipException if soft_fail else CatalogAuthError) as caught:
                run_sensor(sensor(deferrable=True, soft_fail=soft_fail))
        assert soft_fail or isinstance(caught.value, AirflowFailException)

    @every_mode
    @pytest.mark.parametrize("skip", ["soft_fail", "never_fail"])
    def test_skips_where_airflow_is_told_so(self, serve, mode, skip):
        with serve(lambda request: Answer(b"no", 401)):
            with pytest.raises(AirflowSkipException):
                run_sensor(sensor(**{skip: True}, **mode))

    @pytest.mark.parametrize("event", [None, {"status": "finished"}, {"rows": [{"email": "s1@example.edu"}]}, ["done"]])
    def test_an_unexpected_event(self, event):
        with pytest.raises(CatalogError, match="unexpected event") as caught:
            sensor(deferrable=True).execute_complete({}, event)
        assert isinstance(caught.value, AirflowFailException)
        assert "example" not in str(caught.value)

    def test_an_error_of_a_kind_that_is_not_known(self):
        event = {"status": "error", "kind": "CatalogNovelError", "message": "what happened"}
        with pytest.raises(CatalogError, match="what happened"):
            sensor(deferrable=True).execute_complete({}, event)

    def test_a_trigger_that_broke(self):
        with pytest.raises(TaskDeferralError):
            sensor(deferrable=True).resume_execution("__fail__", {"error": "Trigger failure"}, {})
