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
        (("name.catalog.instructure.com",), URL), ((f"{URL}/",), URL), ((f" {URL} ",), URL),
        (("HTTPS://Name.catalog.instructure.com",), URL), (("127.1.2.3", "http"), "http://127.1.2.3"),
        (("name.example", "https", 8443), "https://name.example:8443"),
        (("name.example", None, 443), "https://name.example"), (("name.example", None, 80), "https://name.example:80"),
        (("https://name.example:444", None, 8443), "https://name.example:444"),
        (("127.0.0.1", "http", 8474), "http://127.0.0.1:8474"),
        *(((url,), url) for url in ("http://localhost:8474", "http://[::1]:8474")),
    ],
)  # fmt: skip
def test_urls(parts, origin):
    assert parse(base_url=catalog_origin(*parts)).base_url == origin


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((None,), "empty"), (("  ",), "empty"), (("ftp://name.example",), "scheme 'ftp'"),
        (("https://name.example/admin/api_keys",), "give https://name.example alone"),
        (("https://name.example?x=1",), "alone"), (("https://user:s3cret@name.example",), "user info"),
        (("https://name.example@evil.example",), "user info"), (("https://localhost@evil.example",), "user info"),
        *(((host,), "no valid host") for host in ("https://", "na me.example", "a..b", "x" * 64 + ".example")),
        (("name.example", None, 999999), "port 999999"), (("name.example", None, -1), "port -1"),
        *(((f"https://{rest}",), "not a URL") for rest in ("name.example:port", "name.example:99999", "[::1")),
        # That only look like this machine, to which plain http may go.
        *(((f"http://{host}",), "Catalog URL") for host in (
            "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.", "evil.example:8474",
            "127.0.0.1@evil.example", "evil.example\\@127.0.0.1", "127.0.0.1\\@evil.example",
            "evil.example#127.0.0.1", "evil.example?127.0.0.1", "0.0.0.0:8474", "2130706433", "127.1", "127。0。0。1",
            "loсalhost", "192.168.0.1:8474",  # noqa: RUF001 - the letter that looks like a c is Cyrillic
        )),
    ],
)  # fmt: skip
def test_urls_that_are_refused(parts, says):
    with pytest.raises(CatalogParameterError, match=says) as caught:
        parse(base_url=catalog_origin(*parts), token="t0ken-s3cret")
    assert "Catalog URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", ["t0ken-s3cret", "sandbox", "Sandbox-s3cret", "s3cret-sandbox-token"])
def test_plain_http_elsewhere_is_for_the_sandboxs_token_alone(token):
    url = "http://name.example:8474"
    assert parse(base_url=url, token=" sandbox-token").base_url == url
    with pytest.raises(CatalogParameterError, match=f"give https:.*{url} would send the token in the clear") as caught:
        parse(base_url=url, token=token)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("blank", [None, "", " "])
def test_defaults_and_what_is_left_blank(blank):
    names = ("timeout", "page_size", "max_concurrency", "hash_secret", "request_encoding", "paths", "verify", "proxy")
    settings = parse(**dict.fromkeys(names, blank))
    assert [getattr(settings, name) for name in names] == [60, 100, 4, None, "json", {}, True, None]
    assert settings == parse()


def test_values_as_text(tmp_path):
    """As a form or a URI gives them; numbers and paths are in tests/hooks."""
    (tmp_path / "ca.pem").touch()
    assert parse(verify=str(tmp_path / "ca.pem")).verify == str(tmp_path / "ca.pem")
    assert parse(verify="true").verify is True
    assert parse(base_url="http://127.0.0.1", verify="False").verify is False
    assert parse(token=" t0ken\n").token.get_secret_value() == "t0ken"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", True), ("page_size", True), ("max_concurrency", True), ("paths", {"orders": "/a\nb"}),
        ("proxy", "http://"), ("proxy", "http://u:p\uff03w@h:80"),
        ("proxy", "http://u:pw@:80"), ("proxy", "http://u:pw@h:port"), ("proxy", "socks5://h:1"),
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


def test_a_proxy_that_would_see_the_token():
    with pytest.raises(CatalogParameterError, match="a proxy would see the token"):
        parse(base_url="http://127.0.0.1", proxy="http://proxy.example")


@pytest.mark.parametrize("name", ["token", "hash_secret", "proxy"])
def test_no_error_and_no_repr_shows_a_secret(name):
    assert "s3cret" not in repr(parse(**{name: "http://s3cret"}))
    with pytest.raises(CatalogParameterError) as caught:
        parse(**{name: 's3cret"\n', "page_size": 1000})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("value", [0, 1000, "10", 1.5, True])
@pytest.mark.parametrize("name", ["page_size", "max_concurrency"])
def test_overrides_for_one_read(name, value):
    check_reading_parameters(None, None, None)
    check_reading_parameters(100, 32, "accept")
    with pytest.raises(CatalogParameterError, match=name):
        check_reading_parameters(**{"page_size": None, "max_concurrency": None, "on_data_moved": None, name: value})
