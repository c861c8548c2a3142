"""TLS for real: a certificate of one's own, trusted or not."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.errors import CatalogUnavailableError
from tests.client.test_pagination import made_up_rows, read
from tests.faults import front
from tests.stand_in import Paging, paged, stand_in


def test_a_ca_bundle_of_the_connection(connect, certificate):
    bundle, context = certificate
    with stand_in(paged(made_up_rows(25), Paging(most=10, relative=True), "orders"), context) as catalog:
        assert read(connect(catalog.url, verify=str(bundle))) == made_up_rows(25)


def test_a_certificate_that_nobody_vouches_for(connect, certificate, no_backoff):
    with stand_in(paged([], Paging(), "orders"), certificate[1]) as catalog:
        with pytest.raises(CatalogUnavailableError, match=r"TLS failed.*self-signed"):
            read(connect(catalog.url))
    assert not catalog.requests, "the token stays here"


def test_the_ca_bundle_of_the_connection_goes_before_that_of_the_environment(connect, certificate, monkeypatch):
    """The environment's is for all that requests ask; it concerns hosts that are not this machine."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setenv("no_proxy", "*")
    with stand_in(paged(made_up_rows(25), Paging(most=10, relative=True), "orders")) as catalog:
        port = int(catalog.url.rpartition(":")[2])
        with front.front(port, "dns", page=999, lasting=False) as network:
            assert read(connect(network.url, verify=str(front.ca_bundle()))) == made_up_rows(25)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_on_loopback(connect, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with stand_in(paged(made_up_rows(2), Paging(), "orders"), certificate[1]) as catalog:
        assert read(connect(catalog.url, verify=False)) == made_up_rows(2)
