"""What a connection may say, and what it may not."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.client.settings import CatalogSettings, catalog_origin, check_reading_parameters
from airflow_provider_catalog.errors import CatalogParameterError

URL = "https://name.catalog.instructure.com"


def parse(**values):
    return CatalogSettings.parse(**{"base_url": URL, "token": "t0ken", **values})


@pytest.mark.parametrize(
    ("parts", "origin"),
    [
        (("name.catalog.instructure.com",), URL),
        ((f"{URL}/",), URL),
        ((f" {URL} ",), URL),
        (("HTTPS://Name.catalog.instructure.com",), URL),
        (("name.example", "https", 8443), "https://name.example:8443"),
        (("name.example", None, 443), "https://name.example"),
        (("name.example", None, 80), "https://name.example:80"),
        (("https://name.example:444", None, 8443), "https://name.example:444"),
        (("127.0.0.1", "http", 8474), "http://127.0.0.1:8474"),
        (("http://localhost:8474",), "http://localhost:8474"),
        (("http://[::1]:8474",), "http://[::1]:8474"),
        (("127.1.2.3", "http"), "http://127.1.2.3"),
    ],
)
def test_urls(parts, origin):
    assert catalog_origin(*parts) == origin


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((None,), "empty"),
        (("  ",), "empty"),
        (("ftp://name.example",), "scheme 'ftp'"),
        (("https://name.example/admin/api_keys",), "give https://name.example alone"),
        (("https://name.example?x=1",), "alone"),
        (("https://user:s3cret@name.example",), "user info"),
        (("https://name.example@evil.example",), "user info"),
        (("https://",), "no valid host"),
        (("na me.example",), "no valid host"),
        (("a..b",), "no valid host"),
        (("x" * 64 + ".example",), "no valid host"),
        (("name.example", None, 999999), "port 999999"),
        (("name.example", None, -1), "port -1"),
        (("https://name.example:port",), "not a URL"),
        (("https://name.example:99999",), "not a URL"),
        (("https://[::1",), "not a URL"),
    ],
)
def test_urls_that_are_refused(parts, says):
    with pytest.raises(CatalogParameterError, match=says) as caught:
        catalog_origin(*parts)
    assert "Catalog URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_defaults():
    settings = parse()
    assert (settings.timeout, settings.page_size, settings.max_concurrency) == (60, 100, 4)
    assert (settings.request_encoding, settings.paths, settings.verify) == ("json", {}, True)
    assert (settings.hash_secret, settings.proxy) == (None, None)


@pytest.mark.parametrize("blank", [None, "", " "])
def test_what_is_left_blank_takes_its_default(blank):
    names = ("timeout", "page_size", "max_concurrency", "hash_secret", "request_encoding", "paths", "verify", "proxy")
    assert parse(**dict.fromkeys(names, blank)) == parse()


def test_values_as_text_as_a_form_or_a_uri_gives_them(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    settings = parse(
        timeout="30", page_size="50", max_concurrency="8", hash_secret="k", request_encoding="form",
        paths='{"orders": "/x"}', verify=str(bundle), proxy="http://proxy.example:3128", token=" t0ken\n",
    )  # fmt: skip
    assert (settings.timeout, settings.page_size, settings.max_concurrency) == (30, 50, 8)
    assert settings.paths == {"orders": "/x"}
    assert settings.verify == str(bundle)
    assert settings.token.get_secret_value() == "t0ken"
    assert parse(verify="true").verify is True
    assert parse(base_url="http://127.0.0.1", verify="False").verify is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", True), ("page_size", True), ("max_concurrency", True), ("paths", {"orders": "/a\nb"}),
        ("proxy", "http://"), ("proxy", "http://u:pw@:80"), ("proxy", "http://u:pw@h:port"), ("proxy", "socks5://h:1"),
        ("timeout", 0), ("timeout", -1), ("timeout", "soon"), ("timeout", float("nan")), ("timeout", float("inf")),
        ("page_size", 0), ("page_size", 101), ("page_size", 1.5), ("max_concurrency", 0), ("max_concurrency", 33),
        ("request_encoding", "xml"), ("paths", {"order": "/x"}), ("paths", {"orders": "x"}), ("paths", "{"),
        ("paths", {"orders": "/x?y"}), ("verify", False), ("verify", "/no/such/bundle"), ("proxy", "proxy:3128"),
        ("token", 'a"b'), ("token", "a\nb"), ("token", "tökén"), ("token", None), ("token", ""), ("unknown", 1),
    ],
)  # fmt: skip
def test_values_that_are_refused(name, value):
    with pytest.raises(CatalogParameterError, match=name) as caught:
        parse(**{name: value})
    assert not caught.value.retryable


@pytest.mark.parametrize("name", ["token", "hash_secret", "proxy"])
def test_no_error_and_no_repr_shows_a_secret(name):
    assert "s3cret" not in repr(parse(**{name: "http://s3cret"}))
    with pytest.raises(CatalogParameterError) as caught:
        parse(**{name: 's3cret"\n', "page_size": 1000})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://name.example", "http://name.example:8474", "http://localhost.evil.example",
        "http://127.0.0.1.evil.example", "http://0.0.0.0", "http://192.168.0.1:8474",
    ],
)  # fmt: skip
def test_plain_http_elsewhere_is_for_the_sandboxs_token_alone(url):
    assert parse(base_url=url, token=" sandbox-token").base_url == url
    for token in ("t0ken-s3cret", "sandbox", "Sandbox-s3cret", "s3cret-sandbox-token"):
        with pytest.raises(
            CatalogParameterError, match=f"give https:.*{url} would send the token in the clear"
        ) as caught:
            parse(base_url=url, token=token)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]:8474"])
def test_plain_http_to_this_machine_is_for_any_token(host):
    assert parse(base_url=f"http://{host}").base_url == f"http://{host}"


def test_no_proxy_for_plain_http():
    with pytest.raises(CatalogParameterError, match="proxy"):
        parse(base_url="http://127.0.0.1", proxy="http://proxy.example")


@pytest.mark.parametrize("value", [0, 1000, "10", 1.5, True])
@pytest.mark.parametrize("name", ["page_size", "max_concurrency"])
def test_overrides_for_one_read(name, value):
    check_reading_parameters(None, None, None)
    check_reading_parameters(100, 32, "accept")
    with pytest.raises(CatalogParameterError, match=name):
        check_reading_parameters(**{"page_size": None, "max_concurrency": None, "on_data_moved": None, name: value})
