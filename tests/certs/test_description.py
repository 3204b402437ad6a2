"""What a certificate says."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import Authority, KeyKind, NotACertificate, describe, read_certificates

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def authority() -> Authority:
    return Authority.create("Fleet CA", now=lambda: NOON)


def test_a_server_certificate_names_its_hosts(authority: Authority) -> None:
    """The name itself comes first, and no name twice."""
    issued = authority.issue_server("vtn.example.org", alternative_names=["10.0.0.7", "vtn.example.org", "::1"])

    described = describe(issued.certificate)

    assert described.subject == "CN=vtn.example.org"
    assert described.issuer == "CN=Fleet CA"
    assert described.alternative_names == ("vtn.example.org", "10.0.0.7", "::1")
    assert described.usages == ("server",)
    assert described.key == "EC P-256"
    assert described.not_after == NOON + timedelta(days=397)
    assert not described.expired(NOON)
    assert described.expired(NOON + timedelta(days=398))


def test_a_client_certificate_and_an_authority_say_what_they_are(authority: Authority) -> None:
    """A client has no host names."""
    client = describe(authority.issue_client("ven-17", key_kind=KeyKind.RSA_2048).certificate)

    assert (client.usages, client.alternative_names, client.key) == (("client",), (), "RSA 2048")
    assert describe(authority.certificate).usages == ("authority",)


def test_the_openadr_fingerprint_is_the_end_of_the_sha_256(authority: Authority) -> None:
    """OpenADR 2.0b: ten bytes in hexadecimal, separated by colons, which is how a VEN is registered."""
    certificate = authority.issue_client("ven-17").certificate
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest().upper()

    described = describe(certificate)

    assert described.sha256.replace(":", "") == digest
    assert described.openadr_fingerprint.replace(":", "") == digest[-20:]
    assert described.openadr_fingerprint.count(":") == 9


def test_files_may_hold_a_chain_in_pem_or_one_certificate_in_der(authority: Authority, tmp_path: Path) -> None:
    """Both are in use."""
    issued = authority.issue_server("localhost")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(issued.certificate_pem + authority.certificate_pem)
    single = tmp_path / "single.der"
    single.write_bytes(issued.certificate.public_bytes(Encoding.DER))

    assert read_certificates(chain) == [issued.certificate, authority.certificate]
    assert read_certificates(single) == [issued.certificate]


def test_a_key_is_not_shown_as_a_certificate(authority: Authority, tmp_path: Path) -> None:
    """Naming what it is helps more than a parser's message."""
    pair = authority.save(tmp_path)

    with pytest.raises(NotACertificate, match=r"ca\.key holds a private key"):
        read_certificates(pair.key)
