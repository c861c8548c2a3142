"""TLS for real: a certificate of one's own, trusted or not."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_catalog.errors import CatalogUnavailableError
from tests.api.test_pagination import made_up_rows, read
from tests.stand_in import Paging, paged, stand_in


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a self-signed certificate for 127.0.0.1; its file is the CA bundle that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    bundle, private = folder / "ca.pem", folder / "key.pem"
    bundle.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    return bundle, context


def test_a_ca_bundle_of_the_connection(connect, certificate):
    bundle, context = certificate
    with stand_in(paged(made_up_rows(25), Paging(most=10, relative=True), "orders"), context) as catalog:
        assert read(connect(catalog.url, verify=str(bundle))) == made_up_rows(25)


def test_a_certificate_that_nobody_vouches_for(connect, certificate, no_backoff):
    with stand_in(paged([], Paging(), "orders"), certificate[1]) as catalog:
        with pytest.raises(CatalogUnavailableError, match=r"TLS failed.*self-signed"):
            read(connect(catalog.url))
    assert not catalog.requests, "the token stays here"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_on_loopback(connect, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with stand_in(paged(made_up_rows(2), Paging(), "orders"), certificate[1]) as catalog:
        assert read(connect(catalog.url, verify=False)) == made_up_rows(2)
