"""The hook: every way that Airflow has to say what a connection is, and what the connection test tells a person."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from airflow import __version__ as airflow_version

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogFilterError, CatalogParameterError
from airflow_provider_catalog.hooks.catalog import EXTRAS, CatalogHook
from tests.airflow_names import redact
from tests.catalog_server import TOKEN, Answer

ENV = "AIRFLOW_CONN_CATALOG_DEFAULT"
EXTRA = {
    "timeout": 30, "page_size": 50, "max_concurrency": 8, "hash_secret": "a long hash s3cr", "request_encoding": "form",
    "paths": {"orders": "/o"}, "verify": True,
}  # fmt: skip


def connection_json(**fields) -> str:
    return json.dumps({"conn_type": "instructure_catalog", "password": TOKEN, **fields})


def uri(host: str, path: str = "", **extra) -> str:
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in extra.items()}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in text.items())
    return f"instructure-catalog://:{TOKEN}@{host}{path}" + (f"?{query}" if query else "")


class TestConnection:
    @pytest.mark.parametrize(
        "value",
        [
            connection_json(host="https://name.example", extra=EXTRA),
            connection_json(host="name.example", extra=json.dumps(EXTRA)),
            connection_json(host="name.example", schema="https", extra=EXTRA | {"timeout": "30", "page_size": "50"}),
            uri("name.example", **EXTRA),
            uri("name.example", "/https", **EXTRA),
            uri(quote("https://name.example", safe=""), **EXTRA),
        ],
        ids=["json", "json-with-text", "json-of-a-form", "uri", "uri-with-scheme", "uri-with-url"],
    )  # fmt: skip
    def test_every_form_gives_the_same_settings(self, monkeypatch, value):
        monkeypatch.setenv(ENV, value)
        settings = CatalogHook().settings
        assert settings.base_url == "https://name.example"
        assert settings.token.get_secret_value() == TOKEN
        assert (settings.timeout, settings.page_size, settings.max_concurrency) == (30, 50, 8)
        assert settings.hash_secret.get_secret_value() == EXTRA["hash_secret"]
        assert (settings.request_encoding, settings.paths, settings.verify) == ("form", {"orders": "/o"}, True)

    @pytest.mark.parametrize("value", [connection_json(host="http://127.0.0.1:8474"), uri("127.0.0.1:8474", "/http")])
    def test_a_sandbox_on_this_machine(self, monkeypatch, value):
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", value)
        assert CatalogHook("other").settings.base_url == "http://127.0.0.1:8474"

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"host": "http://name.example"}, "in the clear"),
            ({"host": "name.example", "password": None}, "API token is empty"),
            ({"host": "name.example", "extra": {"page_size": 500}}, "page_size"),
        ],
    )
    def test_what_is_wrong_with_it(self, monkeypatch, fields, says):
        monkeypatch.setenv(ENV, connection_json(**fields))
        with pytest.raises(CatalogParameterError, match=says) as caught:
            CatalogHook().get_conn()
        assert "connection 'catalog_default'" in str(caught.value)
        assert TOKEN not in str(caught.value)
        is_well, message = CatalogHook().test_connection()
        assert not is_well
        assert says in message

    @pytest.mark.skipif(airflow_version.startswith(("3.0.", "3.1.")), reason="Airflow itself takes no such connection")
    @pytest.mark.parametrize("extra", ['["s3cret"]', "5"])
    def test_an_extra_that_is_no_object(self, monkeypatch, caplog, extra):
        monkeypatch.setenv(ENV, connection_json(host="name.example", extra=extra))
        is_well, message = CatalogHook().test_connection()
        assert not is_well
        assert "extra is not a JSON object" in message
        assert "s3cret" not in message + caplog.text

    def test_secrets_are_masked_in_logs_and_shown_nowhere(self, monkeypatch):
        secrets = {"hash_secret": "a hash secret of ours", "proxy": "http://user:proxy-password@proxy.example:3128"}
        monkeypatch.setenv(ENV, connection_json(host="name.example", extra=secrets))
        hook = CatalogHook()
        shown = repr([hook, hook.settings, hook.get_conn(), vars(hook)])
        for secret in (TOKEN, *secrets.values()):
            assert redact(f"before {secret} after") == "before *** after"
        for secret in (TOKEN, secrets["hash_secret"], "proxy-password"):
            assert secret not in shown

    def test_a_misspelt_extra_is_a_warning(self, monkeypatch, task_log):
        monkeypatch.setenv(ENV, connection_json(host="name.example", extra={"page_sise": 10}))
        assert CatalogHook().settings.page_size == 100
        said = task_log()
        assert "ignoring page_sise in its extra" in said
        assert all(name in said for name in EXTRAS)

    @pytest.mark.parametrize(
        ("extra", "secret", "says"),
        [
            ({"hash_key": "an old key of ours"}, "an old key of ours", "rename the extra hash_key to hash_secret"),
            ({"hash_key": "short"}, "short", "give a hash_secret of 16 characters or more"),
            ({"hash_secret": "sixteen letters!"}, "sixteen letters!", ""),
            ({"hash_secret": "sixteen letters!", "hash_key": "sixteen letters!"}, "sixteen letters!", ""),
            ({"hash_secret": "", "hash_key": None}, None, ""),
        ],
    )
    def test_the_hash_secret_and_its_old_name(self, monkeypatch, task_log, extra, secret, says):
        monkeypatch.setenv(ENV, connection_json(host="name.example", extra=extra))
        found = CatalogHook().settings.hash_secret
        assert (found and found.get_secret_value()) == secret
        said = task_log()
        assert ("hash_secret" in said) == bool(says)
        assert says in said
        assert not secret or secret not in said

    @pytest.mark.parametrize(
        ("extra", "says"),
        [
            ({"hash_secret": "fifteen letters"}, "make another hash_secret"),
            ({"hash_secret": "sixteen letters!", "hash_key": "another of sixteen"}, "hash_secret and hash_key differ"),
        ],
    )
    def test_a_hash_secret_that_is_refused(self, monkeypatch, extra, says):
        monkeypatch.setenv(ENV, connection_json(host="name.example", extra=extra))
        with pytest.raises(CatalogParameterError, match=f"'catalog_default': {says}") as caught:
            CatalogHook().settings  # noqa: B018 - reading it is the test
        assert not any(value in str(caught.value) for value in extra.values())


ROWS = [{"größe": n, "deep": {"er": [n, None]}} for n in range(25)]


class TestReading:
    def test_rows_and_their_number(self, serve):
        with serve(ROWS, "users") as catalog:
            rows = CatalogHook().iter_rows("users", {"account_ids": "1"}, page_size=5, max_concurrency=2)
            assert next(rows) == ROWS[0]
            assert list(rows) == ROWS[1:]
            assert catalog.requests[0].query["per_page"] == "5"
            assert catalog.most_in_flight <= 2
            assert CatalogHook().count_rows("users", {"account_ids": 1}) == 25
        assert {str(request.filters) for request in catalog.requests} == {"{'account_ids': [1]}"}

    def test_wrong_parameters_fail_before_the_first_request(self, serve):
        with serve([], "users") as catalog:
            hook = CatalogHook()
            with pytest.raises(CatalogFilterError):
                hook.iter_rows("users", {"acount_ids": 1})
            with pytest.raises(CatalogFilterError):
                hook.count_rows("users", {"account_ids": "x"})
            with pytest.raises(CatalogParameterError):
                hook.iter_rows("users", page_size=101)
            with pytest.raises(ValueError, match="endpoint 'order'"):
                hook.iter_rows("order")
        assert not catalog.requests


class TestTestConnection:
    """Each sentence says what failed, and what to do."""

    @pytest.mark.parametrize(("rows", "status"), [([], 200), (None, 201), ([], 203)])
    def test_all_is_well(self, serve, rows, status):
        with serve(lambda request: Answer({request.path.rpartition("/")[2]: rows}, status)) as catalog:
            is_well, message = CatalogHook().test_connection()
        assert is_well
        assert message == f"{catalog.url} accepts the token; analytics of {', '.join(ENDPOINTS)} can be read"
        assert {request.path for request in catalog.requests} == {spec.path for spec in ENDPOINTS.values()}

    @pytest.mark.parametrize(
        ("paths", "answer", "courses", "says"),
        [
            ("all", Answer(b"HTTP Token: Access denied.", 401), 401, ["refuses the API token", "/admin/api_keys"]),
            ("all", Answer(b"Forbidden", 403), 200, ["accepts the token, but not for analytics of products", "rights"]),
            ("all", Answer(b"denied", 401), 200, ["accepts the token, but not for analytics of products"]),
            ("orders", Answer(b"Forbidden", 403), 200, ["but not for analytics of orders"]),
            ("users", Answer(b"nope", 404), 200, ["404", "/api/v1/analytics/users", "paths"]),
            ("all", Answer(b"<html>log in</html>"), 200, ["an HTML page"]),
            ("all", Answer(b"<html>Request blocked", 403, {"Content-Type": "text/html"}), 200, ["firewall"]),
            ("all", Answer(status=301, headers={"Location": "https://real.example/"}), 200, ["https://real.example/"]),
            ("all", Answer({"error": "maintenance"}, 503), 200, ["503, maintenance", "later"]),
            ("all", Answer(stall=-1), 200, ["is reached", "slow", "timeout"]),
        ],
    )
    def test_what_failed(self, serve, paths, answer, courses, says):
        def answers(request):
            endpoint = request.path.rpartition("/")[2]
            if endpoint == "courses":
                return Answer({"courses": []}, courses)
            return answer if paths in ("all", endpoint) else Answer({endpoint: []})

        with serve(answers, timeout=1):
            is_well, message = CatalogHook().test_connection()
        assert not is_well
        assert all(text in message for text in says), message
        assert TOKEN not in message

    def test_a_slow_answer_is_told(self, serve, monkeypatch):
        monkeypatch.setattr("airflow_provider_catalog.client.connection_check.SLOW", 0.1)
        with serve(lambda request: Answer({request.path.rpartition("/")[2]: []}, delay=0.2)):
            is_well, message = CatalogHook().test_connection()
        assert is_well
        assert "it is slow" in message

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("http://127.0.0.1:9", "http://127.0.0.1:9 is not reached"),
            ("https://no-such-name.invalid", "https://no-such-name.invalid is not reached"),
            ("https://127.0.0.1:{port}", "give the port that speaks https"),
        ],
    )
    def test_nobody_there(self, serve, connection, url, says):
        with serve([]) as catalog:
            connection(url.format(port=catalog.port))
            is_well, message = CatalogHook().test_connection()
        assert not is_well
        assert says in message
