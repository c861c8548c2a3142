"""The four sensors, as a DAG author meets them: each mode against a real server."""

from __future__ import annotations

import hmac
import time
from datetime import timedelta

import pytest

from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogParameterError,
    CatalogRequestError,
)
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.airflow_names import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from tests.catalog_server import Answer, Paging, catalog_server, paged
from tests.sensors.conftest import SENSORS, mode_of, run_sensor, students

KEY = "a long hash s3cret"
MODES = ["poke", "reschedule", "deferrable"]
every_mode = pytest.mark.parametrize("mode", MODES)


class TestDone:
    @pytest.mark.parametrize("endpoint", SENSORS)
    def test_each_endpoint(self, sensor, endpoint, serve):
        with serve(students(1), endpoint) as catalog:
            assert sensor(endpoint, filters={"account_ids": "1,2"}).poke({}).xcom_value["row_count"] == 1
        assert catalog.requests[0].path.endswith(f"/{endpoint}")
        assert catalog.requests[0].filters == {"account_ids": [1, 2]}

    @every_mode
    @pytest.mark.parametrize("paging", ["link", "page-only"])
    def test_the_same_answer_in_every_mode(self, sensor, serve, paging, mode):
        with serve(students(25), "orders", Paging(paging, most=10), page_size=10):
            result = run_sensor(sensor(min_rows=3, **mode_of(mode)))
        assert result == {"row_count": 25, "rows": students(10)}

    @every_mode
    def test_rows_that_come_while_it_waits(self, serve, mode):
        rows = students(1)

        class Sensor(CatalogOrdersAnalyticsSensor):
            def poke(self, context):
                result = super().poke(context)
                rows.extend(students(1))
                return result

        with serve(rows, "orders"):
            waiting = Sensor(task_id="wait", poke_interval=0.05, timeout=60, min_rows=3, **mode_of(mode))
            assert run_sensor(waiting, on_pause=lambda: rows.extend(students(2)))["row_count"] >= 3

    @pytest.mark.parametrize(("paging", "count"), [("link", 25), ("page-only", 30)])
    def test_min_rows_beyond_a_page(self, sensor, serve, paging, count):
        with serve(students(count), "orders", Paging(paging, most=10), page_size=10):
            assert not sensor(min_rows=count + 1).poke({})
            assert sensor(min_rows=count).poke({}).xcom_value["row_count"] == count

    @every_mode
    def test_drop_and_hash(self, sensor, serve, mode):
        with serve(students(1), "orders", hash_secret=KEY):
            waiting = sensor(drop_fields=["key"], hash_fields=["student.email"], **mode_of(mode))
            [row] = run_sensor(waiting)["rows"]
        assert row == {"student": {"id": 0, "email": hmac.new(KEY.encode(), b"s0@example.edu", "sha256").hexdigest()}}

    def test_no_key_is_told_before_any_request(self, sensor, serve):
        with serve([], "orders") as catalog:
            with pytest.raises(CatalogParameterError, match="hash_"):
                run_sensor(sensor(hash_fields=["student.email"]))
        assert not catalog.requests

    def test_rows_that_go_between_the_event_and_the_resumption(self, sensor, serve):
        rows = students(2)
        with serve(rows, "orders"):
            waiting = sensor(deferrable=True, min_rows=2)
            del rows[1]
            started_at = time.time()
            with pytest.raises(TaskDeferred) as caught:
                waiting.execute_complete({}, {"status": "done"}, started_at=started_at)
            assert caught.value.trigger.deadline == started_at + 60, "the deadline is the one that it had"
            rows.extend(students(1))
            assert run_sensor(waiting)["row_count"] == 2


class TestNotYet:
    @every_mode
    def test_a_server_in_trouble(self, sensor, connection, said, mode):
        troubles = [Answer(b"busy", 503), Answer(drop=True), Answer(b"Rate Limit Exceeded", 403)]
        answers = iter([*troubles, Answer(b"slow down", 429, {"Retry-After": "0"})])
        ready = paged(students(1), Paging(), "orders")
        with catalog_server(lambda request: next(answers, None) or ready(request)) as catalog:
            connection(catalog.url)
            assert run_sensor(sensor(**mode_of(mode)))["row_count"] == 1
        assert "Catalog orders: not yet, never reached: " in said()

    def test_the_log_says_what_each_poll_saw_and_no_row(self, sensor, serve, said, caplog):
        caplog.set_level("DEBUG")
        with serve(students(25), "orders"):
            assert not sensor(min_rows=30).poke({})
            run_sensor(sensor(deferrable=True, min_rows=2))
        text = said()
        assert "Catalog orders: 25 of 30 rows" in text
        assert "Catalog orders: 25 rows, 2 wanted" in text
        assert "example.edu" not in text


class TestTimeout:
    @every_mode
    def test_says_what_the_last_poll_saw(self, sensor, serve, mode):
        with serve(students(3), "orders"):
            with pytest.raises(AirflowSensorTimeout, match=r"orders: .* last poll: 3 of 10 rows; .*'catalog_default'"):
                run_sensor(sensor(min_rows=10, timeout=0.3, **mode_of(mode)))

    @every_mode
    def test_of_a_catalog_that_was_never_reached(self, sensor, connection, mode):
        connection("http://127.0.0.1:9")
        with pytest.raises(AirflowSensorTimeout, match="last poll: never reached: "):
            run_sensor(sensor(timeout=0.1, **mode_of(mode)))

    @every_mode
    def test_soft_fail(self, sensor, serve, mode):
        with serve([], "orders"):
            with pytest.raises(AirflowSkipException, match=r"last poll: 0 of 1 rows|soft_fail"):
                run_sensor(sensor(timeout=0.2, soft_fail=True, **mode_of(mode)))

    def test_of_a_sensor_that_resumes_too_late(self, sensor, serve):
        with serve([], "orders"):
            with pytest.raises(AirflowSensorTimeout, match="last poll: 0 of 1 rows"):
                sensor(deferrable=True).execute_complete({}, {"status": "done"}, started_at=time.time() - 60)

    def test_of_a_trigger_of_an_earlier_version(self, sensor):
        with pytest.raises(AirflowSensorTimeout, match="orders"):
            sensor(deferrable=True).execute_complete({}, {"status": "timeout"}, started_at=0.0)

    def test_without_a_triggerer_airflow_ends_the_deferral_soon_after(self, sensor, serve):
        with serve([], "orders"):
            with pytest.raises(TaskDeferred) as caught:
                sensor(deferrable=True, timeout=600).execute({})
        assert caught.value.timeout > timedelta(seconds=600)


class TestLasting:
    @every_mode
    @pytest.mark.parametrize(("status", "kind"), [(401, CatalogAuthError), (422, CatalogRequestError)])
    def test_fails_at_once(self, sensor, connection, status, kind, mode):
        with catalog_server(lambda request: Answer(b"no", status)) as catalog:
            connection(catalog.url)
            with pytest.raises(kind) as caught:
                run_sensor(sensor(**mode_of(mode)))
        assert isinstance(caught.value, AirflowFailException), "or Airflow would try again"
        assert len(catalog.requests) == 1

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_in_the_trigger(self, sensor, connection, soft_fail):
        answers = iter([Answer({"orders": []})])
        with catalog_server(lambda request: next(answers, Answer(b"no", 401))) as catalog:
            connection(catalog.url)
            with pytest.raises(AirflowSkipException if soft_fail else CatalogAuthError) as caught:
                run_sensor(sensor(deferrable=True, soft_fail=soft_fail))
        assert soft_fail or isinstance(caught.value, AirflowFailException)

    @every_mode
    @pytest.mark.parametrize("skip", ["soft_fail", "never_fail"])
    def test_skips_where_airflow_is_told_so(self, sensor, connection, mode, skip):
        with catalog_server(lambda request: Answer(b"no", 401)) as catalog:
            connection(catalog.url)
            with pytest.raises(AirflowSkipException):
                run_sensor(sensor(**{skip: True}, **mode_of(mode)))

    @pytest.mark.parametrize(
        "event", [None, {}, {"status": "finished"}, {"rows": [{"email": "s1@example.edu"}]}, "done", ["done"]]
    )
    def test_an_unexpected_event(self, sensor, event):
        with pytest.raises(CatalogError, match="unexpected event") as caught:
            sensor(deferrable=True).execute_complete({}, event)
        assert isinstance(caught.value, AirflowFailException)
        assert "example" not in str(caught.value)

    def test_an_error_of_a_kind_that_is_not_known(self, sensor):
        event = {"status": "error", "kind": "CatalogNovelError", "message": "what happened"}
        with pytest.raises(CatalogError, match="what happened"):
            sensor(deferrable=True).execute_complete({}, event)

    def test_a_trigger_that_broke(self, sensor):
        with pytest.raises(TaskDeferralError):
            sensor(deferrable=True).resume_execution("__fail__", {"error": "Trigger failure"}, {})
