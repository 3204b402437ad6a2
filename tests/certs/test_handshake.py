"""Issued certificates in real mutual TLS handshakes over a socket, verified as strictly as Python can."""

import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs import Authority, KeyKind
from tests.support.pki import Pki, TlsFiles, client_context, server_context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, *, server_name: str) -> tuple[str, str]:
    """Connect both ends and exchange a message: the common name the server saw, and the TLS version.

    Raises what the client met, with what the server met as its cause, or else what the server met.
    """

    def serve(listener: socket.socket) -> str:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            with server.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(tls.recv(5))
                peer = tls.getpeercert() or {}
                return _common_name(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(5)
        served = pool.submit(serve, listener)
        with socket.create_connection(listener.getsockname(), timeout=5) as connection:
            try:
                with client.wrap_socket(connection, server_hostname=server_name) as tls:
                    tls.sendall(b"hello")
                    if tls.recv(5) != b"hello":
                        raise ssl.SSLError("the server hung up")
                    version = tls.version() or ""
            except OSError as error:  # every SSL error is one
                raise error from served.exception(5)
        return served.result(5), version


def _common_name(peer: Mapping[str, object]) -> str:
    subject = peer.get("subject", ())
    assert isinstance(subject, tuple)
    return next((value for part in subject for member, value in part if member == "commonName"), "")


@pytest.fixture
def server_files(pki: Pki) -> TlsFiles:
    return pki.server("vtn.example.org", "*.fleet.example.org", "10.0.0.7", "::1")


@pytest.mark.parametrize("name", ["vtn.example.org", "home.fleet.example.org", "10.0.0.7", "::1"])
def test_both_sides_trust_each_other(pki: Pki, server_files: TlsFiles, name: str) -> None:
    """The server is verified under every one of its names and learns the client's id."""
    client, version = handshake(
        server_context(server_files, client_certificate_required=True),
        client_context(pki.ca, pki.client("ven-17")),
        server_name=name,
    )

    assert client == "ven-17"
    assert version == "TLSv1.3"


def test_tls_1_2_is_enough(pki: Pki, server_files: TlsFiles) -> None:
    """TLS-002: 1.2 is the minimum."""
    client = client_context(pki.ca)
    client.maximum_version = ssl.TLSVersion.TLSv1_2

    assert handshake(server_context(server_files), client, server_name="vtn.example.org") == ("", "TLSv1.2")


def test_rsa_certificates_work_for_devices_without_elliptic_curves(tmp_path: Path) -> None:
    """All three certificates of the chain with RSA keys."""
    authority = Authority.create("old CA", now=lambda: datetime.now(UTC), key_kind=KeyKind.RSA_2048)
    ca = authority.save(tmp_path).certificate
    pair = authority.issue_server("vtn.example.org", key_kind=KeyKind.RSA_2048).save(tmp_path)
    own = authority.issue_client("ven-17", key_kind=KeyKind.RSA_2048).save(tmp_path)

    client, _ = handshake(
        server_context(TlsFiles(ca, pair.certificate, pair.key), client_certificate_required=True),
        client_context(ca, TlsFiles(ca, own.certificate, own.key)),
        server_name="vtn.example.org",
    )

    assert client == "ven-17"


@pytest.mark.parametrize("name", ["other.example.org", "fleet.example.org", "10.0.0.8"])
def test_a_wrong_name_fails(pki: Pki, server_files: TlsFiles, name: str) -> None:
    """TLS-004: a certificate for another name is refused."""
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(server_context(server_files), client_context(pki.ca), server_name=name)


@pytest.fixture
def other_pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path, now=lambda: datetime.now(UTC))


def test_a_server_of_another_authority_fails(pki: Pki, other_pki: Pki) -> None:
    """TLS-004: also when that authority has the same name."""
    server = server_context(other_pki.server("vtn.example.org"))

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client_context(pki.ca), server_name="vtn.example.org")


def test_a_client_of_another_authority_fails(pki: Pki, other_pki: Pki, server_files: TlsFiles) -> None:
    """The server refuses a client id that its own authority did not certify.

    The client learns it as an alert, an end or a reset of the connection, whichever comes first: only the server's
    reason is asked.
    """
    server = server_context(server_files, client_certificate_required=True)

    with pytest.raises(OSError) as caught:  # noqa: PT011 - its cause is asked, not its words
        handshake(server, client_context(pki.ca, other_pki.client("ven-17")), server_name="vtn.example.org")

    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_a_client_certificate_cannot_pose_as_a_server(pki: Pki) -> None:
    """A VEN that can issue nothing must not be able to play the VTN either."""
    issued = pki.authority.issue_client("ven-17", alternative_names=["vtn.example.org"]).save(pki.directory / "posing")
    server = server_context(TlsFiles(pki.ca, issued.certificate, issued.key))

    with pytest.raises(
        ssl.SSLCertVerificationError, match=r"[Uu]nsuitable certificate purpose|unsupported certificate"
    ):
        handshake(server, client_context(pki.ca), server_name="vtn.example.org")


@pytest.mark.parametrize(("days", "reason"), [(-20, "expired"), (20, "not yet valid")])
def test_a_certificate_outside_its_time_fails(tmp_path: Path, days: int, reason: str) -> None:
    """What is written into a certificate comes from the clock that was passed in."""
    today = datetime.now(UTC)
    moment = today - timedelta(days=30)
    pki = Pki(tmp_path, now=lambda: moment)
    moment = today + timedelta(days=days)
    pair = pki.authority.issue_server("vtn.example.org", lifetime=timedelta(days=10)).save(tmp_path)
    server = server_context(TlsFiles(pki.ca, pair.certificate, pair.key))

    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        handshake(server, client_context(pki.ca), server_name="vtn.example.org")
