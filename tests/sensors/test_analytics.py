"""The four sensors, as a DAG author meets them: each mode against a real server."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogResponseError,
)
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.airflow_names import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from tests.sensors.conftest import SENSORS
from tests.stand_in import Answer, Paging, paged, stand_in

MODES = ["poke", "reschedule", "deferrable"]
PAGINGS = ["link", "next-only", "page-only", "none"]


def students(count, start=0):
    return [{"key": n, "student": {"id": n, "email": f"s{n}@example.edu"}} for n in range(start, start + count)]


def mode_of(name):
    return {"deferrable": True} if name == "deferrable" else {"mode": name}


def run(sensor, on_pause=lambda: None, timeout=20.0):
    """Do what Airflow does with a sensor in any mode; ``on_pause`` is called whenever no worker slot is taken."""
    started = []
    context = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: started[0] if started else None)}
    step = lambda: sensor.execute(context)  # noqa: E731
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        trigger, kwargs = None, {}
        try:
            return step()
        except AirflowRescheduleException as pause:
            started.append(pause.reschedule_date - timedelta(seconds=sensor.poke_interval))
        except TaskDeferred as deferred:
            trigger, kwargs = deferred.trigger, dict(deferred.kwargs or {})
        on_pause()
        if trigger:
            event = asyncio.run(first_event(trigger))
            kwargs["event"] = json.loads(json.dumps(event.payload))
            step = lambda kwargs=kwargs: sensor.resume_execution("execute_complete", kwargs, {})  # noqa: E731
    raise AssertionError("the sensor does not end")


async def first_event(trigger):
    classpath, arguments = trigger.serialize()
    assert classpath == f"{type(trigger).__module__}.{type(trigger).__name__}"
    async for event in type(trigger)(**json.loads(json.dumps(arguments))).run():
        return event
    raise AssertionError("no event")


@pytest.fixture(autouse=True)
def new_clients():
    shared_catalog.cache_clear()


class TestDone:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("paging", PAGINGS)
    def test_the_same_answer_in_every_mode(self, sensor, endpoint, serve, paging, mode):
        with serve(students(25), endpoint, Paging(paging, most=10), page_size=10):
            result = run(sensor(min_rows=3, **mode_of(mode)))
        assert result == {"row_count": 25, "rows": students(10)}

    @pytest.mark.parametrize("mode", MODES)
    def test_from_not_yet_to_done(self, sensor, endpoint, serve, mode):
        rows = []
        with serve(rows, endpoint) as catalog:
            waiting = sensor(min_rows=2, **mode_of(mode))
            if mode == "poke":
                waiting._get_next_poke_interval = lambda *a: rows.extend(students(1)) or 0.01
                assert run(waiting)["row_count"] == 2
            else:
                assert run(waiting, on_pause=lambda: rows.extend(students(2)))["row_count"] >= 2
        assert len(catalog.requests) >= 2

    def test_min_rows_beyond_a_page(self, sensor, endpoint, serve):
        with serve(students(25), endpoint):
            assert not sensor(min_rows=26).poke({})
            assert sensor(min_rows=25).poke({}).xcom_value["row_count"] == 25

    def test_fields(self, sensor, endpoint, serve):
        with serve(students(2), endpoint):
            assert run(sensor(fields=["student.id"]))["rows"] == [{"student": {"id": 0}}, {"student": {"id": 1}}]

    @pytest.mark.parametrize("mode", MODES)
    def test_drop_and_hash(self, sensor, endpoint, serve, mode):
        with serve(students(1), endpoint, hash_key="a long hash s3cret"):
            waiting = sensor(drop_fields=["key"], hash_fields=["student.email"], **mode_of(mode))
            [row] = run(waiting)["rows"]
        assert row == {
            "student": {"id": 0, "email": hmac.new(b"a long hash s3cret", b"s0@example.edu", "sha256").hexdigest()}
        }

    def test_fields_that_match_nothing(self, sensor, endpoint, serve, lines):
        with serve(students(2), endpoint):
            run(sensor(drop_fields=["studnt"]))
        assert ("WARNING", f"Catalog {endpoint}: matched nothing in any row: drop_fields 'studnt'") in lines()

    def test_no_key_is_told_before_any_request(self, sensor, endpoint, serve):
        with serve([], endpoint) as catalog:
            with pytest.raises(CatalogParameterError, match="hash_key"):
                run(sensor(hash_fields=["student.email"]))
        assert not catalog.requests

    def test_the_connection(self, sensor, endpoint, serve, connection):
        with serve(students(1), endpoint) as catalog:
            connection(catalog.url, conn_id="other")
            connection("http://127.0.0.1:9")
            assert run(sensor(catalog_conn_id="other"))["row_count"] == 1


@pytest.mark.parametrize("endpoint", ["orders"])
class TestRequests:
    """What a poke costs."""

    @pytest.mark.parametrize(
        ("paging", "count", "min_rows", "requests"),
        [
            ("link", 0, 1, 1), ("next-only", 0, 1, 1), ("page-only", 0, 1, 1), ("none", 0, 1, 1),
            ("link", 5, 7, 1), ("link", 7, 7, 1), ("next-only", 5, 7, 1), ("next-only", 7, 7, 1),
            ("page-only", 5, 7, 1), ("page-only", 7, 7, 1), ("none", 5, 7, 1), ("none", 99, 7, 1),
            ("link", 995, 7, 2), ("link", 995, 995, 2), ("link", 995, 996, 2),
            ("none", 995, 7, 1), ("none", 995, 996, 1),
            # There is no other way to know:
            ("next-only", 35, 7, 5), ("page-only", 35, 7, 7), ("page-only", 35, 37, 7), ("none", 20, 7, 2),
        ],
    )  # fmt: skip
    def test_of_a_poke(self, sensor, endpoint, serve, paging, count, min_rows, requests):
        with serve(students(count), endpoint, Paging(paging, most=10)) as catalog:
            result = sensor(min_rows=min_rows).poke({})
        assert len(catalog.requests) == requests
        assert bool(result) == (count >= min_rows)
        if result:
            assert result.xcom_value["row_count"] == count

    def test_pages_of_an_odd_size_that_the_connection_names(self, sensor, endpoint, serve):
        """Without links, and of a server that gives fewer rows than it is asked for, as the docs say."""
        with serve(students(25), endpoint, Paging("page-only", most=7), page_size=7):
            assert sensor(min_rows=25).poke({}).xcom_value["row_count"] == 25

    def test_the_filters_are_sent(self, sensor, endpoint, serve):
        with serve([], endpoint) as catalog:
            sensor(filters={"account_ids": "1,2"}).poke({})
        assert catalog.requests[0].filters == {"account_ids": [1, 2]}

    def test_without_pages_no_more_than_a_page_of_rows_is_pushed(self, sensor, endpoint, serve):
        with serve(students(1000), endpoint, Paging("none")):
            result = run(sensor())
        assert result == {"row_count": 1000, "rows": students(100)}


class TestLog:
    def test_one_line_a_poke(self, sensor, endpoint, serve, lines):
        rows = students(1)
        with serve(rows, endpoint):
            waiting = sensor(min_rows=3, poke_interval=0.01)
            waiting.poke, poke = (
                lambda context: poke(context) if rows.extend(students(1)) is None else None,
                waiting.poke,
            )
            run(waiting)
        assert lines() == [
            ("INFO", f"Catalog {endpoint}: 2 rows match so far, 3 wanted; next poll in 0 s"),
            ("INFO", f"Catalog {endpoint}: 3 rows match so far, 3 wanted"),
        ]

    @pytest.mark.parametrize("mode", MODES)
    def test_one_line_and_few_requests_a_poke_in_every_mode(self, sensor, endpoint, connection, lines, mode):
        """Two requests, since there are several pages and links tell the last one; one line whatever the outcome."""
        rows = students(15)
        pages = paged(rows, Paging(most=10), endpoint)
        pokes = []

        def answer(request):
            if request.page is None:
                pokes.append(request)
                if len(pokes) == 3:
                    return Answer(b"busy", 503)
                if len(pokes) == 4:
                    rows.extend(students(1))
            return pages(request)

        with stand_in(answer) as catalog:
            connection(catalog.url)
            assert run(sensor(min_rows=16, **mode_of(mode)))["row_count"] == 16
        # A deferrable sensor polls once more in the worker: the trigger brings no rows.
        assert len(pokes) == 4 + (mode == "deferrable")
        assert len(catalog.requests) == 2 * len(pokes) - 1, "two a poke, less the one that was not answered"
        not_yet = ("INFO", f"Catalog {endpoint}: 15 rows match so far, 16 wanted; next poll in 0 s")
        done = ("INFO", f"Catalog {endpoint}: 16 rows match so far, 16 wanted")
        found = lines()
        assert [found[0], found[1], *found[3:]] == [not_yet, not_yet, *[done] * (len(pokes) - 3)]
        assert found[2][0] == "WARNING"
        assert found[2][1].startswith(f"Catalog {endpoint}: not yet, 16 rows wanted: ")
        assert found[2][1].endswith("; next poll in 0 s")

    def test_when_the_next_poll_is(self, sensor, endpoint, serve, lines):
        context = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: None)}
        with serve([], endpoint):
            with pytest.raises(AirflowRescheduleException):
                sensor(mode="reschedule", poke_interval=90, timeout=600).execute(context)
            with pytest.raises(TaskDeferred):
                sensor(deferrable=True, poke_interval=90, timeout=600).execute({})
            with pytest.raises(AirflowRescheduleException):
                sensor(mode="reschedule", poke_interval=90, timeout=600, exponential_backoff=True, max_wait=7).execute(
                    context
                )
        ends = [text.partition("; ")[2] for _, text in lines()]
        assert ends == ["next poll in 90 s", "next poll in 90 s", "next poll in 7 s"]

    def test_no_row_is_logged(self, sensor, endpoint, serve, caplog):
        caplog.set_level("DEBUG")
        with serve(students(25), endpoint):
            run(sensor(deferrable=True, min_rows=2))
            with pytest.raises(AirflowSensorTimeout):
                run(sensor(min_rows=30, timeout=0))
        assert "example.edu" not in caplog.text


class TestNotYet:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "trouble",
        [
            Answer(b"busy", 503),
            Answer(b"slow down", 429, {"Retry-After": "0"}),
            Answer(b"Rate Limit Exceeded", 403),
            Answer(drop=True),
            Answer({"x": [1]}, cut=3),
        ],
        ids=["503", "429", "403", "dropped", "cut"],
    )
    def test_a_server_in_trouble(self, connection, lines, trouble, mode):
        answers = iter([trouble, trouble])
        with stand_in(
            lambda request: next(answers, None) or paged(students(1), Paging(), "orders")(request)
        ) as catalog:
            connection(catalog.url)
            waiting = SENSORS["orders"](task_id="wait", poke_interval=0.05, timeout=20, **mode_of(mode))
            assert run(waiting)["row_count"] == 1
        warnings = [text for level, text in lines() if level == "WARNING"]
        assert len(catalog.requests) == 3 + (mode == "deferrable"), "the trigger brings no rows"
        patient = sum("has asked for patience" in warning for warning in warnings)
        assert len(warnings) - patient == 2, "one for each poke"
        assert all(
            "Catalog orders: not yet, 1 rows wanted: orders, page first: no proper answer: " in w for w in warnings
        )
        assert all("; next poll in 0 s" in warning for warning in warnings)

    def test_nobody_there(self, sensor, endpoint, connection, lines):
        connection("http://127.0.0.1:9")
        started = time.monotonic()
        assert not sensor().poke({})
        assert time.monotonic() - started < 5, "a poke does not wait for another try"
        with pytest.raises(AirflowSensorTimeout):
            run(sensor(timeout=0.1))
        assert lines()[-1][0] == "WARNING"
        assert lines()[-1][1].endswith("; that was the last poll")

    def test_rows_that_go_between_the_event_and_the_resumption(self, sensor, endpoint, serve):
        rows = students(2)
        with serve(rows, endpoint):
            waiting = sensor(deferrable=True, min_rows=2)
            del rows[1]
            with pytest.raises(TaskDeferred) as caught:
                waiting.execute_complete({}, {"status": "done"}, started_at=time.time())
            assert caught.value.trigger.deadline == pytest.approx(time.time() + 20, abs=5)
            rows.extend(students(1))
            assert run(waiting)["row_count"] == 2


@pytest.mark.parametrize("endpoint", ["orders"])
class TestTimeout:
    @pytest.mark.parametrize("mode", MODES)
    def test_is_kept(self, sensor, endpoint, serve, mode):
        with serve([], endpoint):
            started = time.monotonic()
            with pytest.raises(AirflowSensorTimeout):
                run(sensor(timeout=0.3, **mode_of(mode)))
        assert 0.25 < time.monotonic() - started < 5

    @pytest.mark.parametrize("mode", MODES)
    def test_soft_fail(self, sensor, endpoint, serve, mode):
        with serve([], endpoint):
            with pytest.raises(AirflowSkipException):
                run(sensor(timeout=0.2, soft_fail=True, **mode_of(mode)))

    def test_of_a_sensor_that_resumes_too_late(self, sensor, endpoint, serve):
        with serve([], endpoint):
            with pytest.raises(AirflowSensorTimeout, match="min_rows=1"):
                sensor(deferrable=True).execute_complete({}, {"status": "done"}, started_at=time.time() - 60)

    def test_without_a_triggerer_airflow_ends_the_deferral(self, sensor, endpoint, serve):
        with serve([], endpoint):
            with pytest.raises(TaskDeferred) as caught:
                sensor(deferrable=True, timeout=600).execute({})
        assert timedelta(seconds=600) < caught.value.timeout < timedelta(seconds=700)


@pytest.mark.parametrize("endpoint", ["orders"])
class TestLasting:
    CASES = (
        (Answer(b"HTTP Token: Access denied.", 401), CatalogAuthError),
        (Answer({"errors": ["no"]}, 403), CatalogAuthError),
        (Answer(b"no such path", 404), CatalogRequestError),
        (Answer({"errors": ["bad filter"]}, 422), CatalogRequestError),
        (Answer({"message": "hello"}), CatalogResponseError),
    )

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(("answer", "kind"), CASES, ids=["401", "403", "404", "422", "no rows"])
    def test_fails_at_once(self, sensor, connection, answer, kind, mode):
        with stand_in(lambda request: answer) as catalog:
            connection(catalog.url)
            with pytest.raises(kind) as caught:
                run(sensor(**mode_of(mode)))
        assert isinstance(caught.value, AirflowFailException), "or Airflow would try again"
        assert len(catalog.requests) == 1

    @pytest.mark.parametrize(("answer", "kind"), CASES, ids=["401", "403", "404", "422", "no rows"])
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_in_the_trigger(self, sensor, endpoint, connection, answer, kind, soft_fail):
        answers = iter([Answer({endpoint: []})])
        with stand_in(lambda request: next(answers, answer)) as catalog:
            connection(catalog.url)
            with pytest.raises(AirflowSkipException if soft_fail else kind) as caught:
                run(sensor(deferrable=True, soft_fail=soft_fail))
        if not soft_fail:
            assert isinstance(caught.value, AirflowFailException)
            assert endpoint in str(caught.value)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("skip", ["soft_fail", "never_fail"])
    def test_skips_where_airflow_is_told_so(self, sensor, endpoint, connection, mode, skip):
        with stand_in(lambda request: Answer(b"no", 401)) as catalog:
            connection(catalog.url)
            with pytest.raises(AirflowSkipException):
                run(sensor(**{skip: True}, **mode_of(mode)))

    @pytest.mark.parametrize(
        "event", [None, {}, {"status": "finished"}, {"rows": [{"email": "s1@example.edu"}]}, "done", ["done"]]
    )
    def test_an_unexpected_event(self, sensor, endpoint, event):
        with pytest.raises(CatalogError, match="unexpected event") as caught:
            sensor(deferrable=True).execute_complete({}, event)
        assert isinstance(caught.value, AirflowFailException)
        assert "example" not in str(caught.value)

    def test_an_unknown_kind_of_error(self, sensor, endpoint):
        with pytest.raises(CatalogError, match="what happened"):
            sensor(deferrable=True).execute_complete({}, {"status": "error", "kind": "log", "message": "what happened"})

    def test_a_trigger_that_broke(self, sensor, endpoint):
        with pytest.raises(TaskDeferralError):
            sensor(deferrable=True).resume_execution("__fail__", {"error": "Trigger failure"}, {})
