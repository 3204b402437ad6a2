"""Signatures: both ways with openleadr's, and what an attacker may try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from openleadr import messaging

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.errors import BadSignature, NotAMessage, Refused
from openadr_profiles.v20b.signing import SigningKey, Verified, sign, verify
from openadr_profiles.v20b.writing import write
from tests.profiles.v20b.judges import verdict

NOW = datetime(2026, 1, 31, 16, tzinfo=UTC)
POLL = m.Poll(ven_id="00123")
OADR = "{http://openadr.org/oadr-2.0b/2012/07}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"


class Signer:
    """A key of a test, as PEM and loaded."""

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "VEN")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1000))
            .not_valid_after(NOW + timedelta(days=1000))
            .sign(key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.loaded = SigningKey(self.key, self.certificate)
        self.fingerprint = self.loaded.fingerprint


@pytest.fixture(scope="module", params=["elliptic", "RSA"])
def signer(request: pytest.FixtureRequest) -> Signer:
    if request.param == "elliptic":
        return Signer(ec.generate_private_key(ec.SECP256R1()))
    return Signer(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def elliptic() -> Signer:
    return Signer(ec.generate_private_key(ec.SECP256R1()))


def signed(signer: Signer, message: m.Message = POLL, *, at: datetime = NOW, nonce: str = "n1") -> bytes:
    return sign(write(message), signer.loaded, now=at, nonce=nonce)


def checked(body: bytes, signer: Signer, *, now: datetime = NOW) -> Verified:
    return verify(body, {signer.fingerprint}, now=now)


def test_a_signature_holds_for_the_message_it_covers(signer: Signer) -> None:
    """B-SEC-008, B-SEC-010, B-SEC-011: RSA and elliptic keys; the message is read from what was covered."""
    body = signed(signer)
    found = checked(body, signer, now=NOW + timedelta(seconds=60))

    assert verdict(body)
    assert found.received.message == POLL
    assert (found.fingerprint, found.timestamp, found.nonce) == (signer.fingerprint, NOW, "n1")
    assert found.expires == NOW + timedelta(seconds=60)
    assert body.count(b"rsa-sha256") + body.count(b"ecdsa-sha256") == 1
    assert body.count(b"http://www.w3.org/2001/04/xmlenc#sha256") == 2


def test_openleadr_accepts_our_signature(signer: Signer) -> None:
    """B-SEC-008, judged by another implementation."""
    body = sign(write(POLL), signer.loaded, now=datetime.now(UTC))
    tree = messaging.validate_xml_schema(body)

    messaging.validate_xml_signature(tree, cert_fingerprint=signer.fingerprint)


def test_openleadrs_signature_is_accepted(signer: Signer) -> None:
    """B-SEC-008, made by another implementation, which puts the time of this machine into it."""
    body = messaging.create_message(
        "oadrPoll", cert=signer.certificate.decode(), key=signer.key, ven_id="ven one"
    ).encode()

    assert checked(body, signer, now=datetime.now(UTC)).received.message == m.Poll(ven_id="ven one")


@pytest.mark.parametrize(
    ("seconds", "said"), [(61, "61 s ago; expected at most 60 s"), (-61, "61 s ahead of this clock; expected at most")]
)
def test_a_signature_outside_the_window_is_refused(elliptic: Signer, seconds: int, said: str) -> None:
    """B-SEC-010: too old, and too far ahead."""
    with pytest.raises(BadSignature, match=said):
        checked(signed(elliptic), elliptic, now=NOW + timedelta(seconds=seconds))


def test_a_message_without_signature_is_refused(elliptic: Signer) -> None:
    """B-SEC-009."""
    with pytest.raises(BadSignature, match="there is none"):
        checked(write(POLL), elliptic)


def test_a_signature_of_somebody_else_is_refused(elliptic: Signer, signer: Signer) -> None:
    """B-SEC-011: valid, and by a certificate that is not enrolled."""
    with pytest.raises(BadSignature, match="not made with an enrolled certificate"):
        checked(signed(signer), elliptic)


def test_a_certificate_shown_beside_another_key_is_refused(elliptic: Signer, signer: Signer) -> None:
    """B-SEC-011: the enrolled certificate is public, so whoever sends it has proved nothing."""
    enrolled = b"".join(elliptic.certificate.splitlines()[1:-1])
    own = b"".join(signer.certificate.splitlines()[1:-1])
    body = signed(signer).replace(b"\n", b"").replace(own, enrolled)

    assert enrolled in body
    with pytest.raises(BadSignature, match="does not hold"):
        checked(body, elliptic)


@pytest.mark.parametrize("change", [(b"00123", b"00124"), (b">n1<", b">n2<"), (b"16:00:00Z", b"16:00:01Z")])
def test_what_was_changed_after_signing_is_refused(elliptic: Signer, change: tuple[bytes, bytes]) -> None:
    """B-SEC-011: message, nonce and timestamp are all covered."""
    with pytest.raises(BadSignature, match="Digest mismatch"):
        checked(signed(elliptic).replace(*change), elliptic)


Wrap: TypeAlias = Callable[[etree._Element, etree._Element], None]


def _wrapped_in_object(root: etree._Element, forged: etree._Element) -> None:
    """Keep the signed object in the signature, where it still resolves, and put another in its place."""
    original = root[1]
    root.remove(original)
    etree.SubElement(root[0], f"{DS}Object").append(original)
    root.append(forged)


def _beside(root: etree._Element, forged: etree._Element) -> None:
    root.append(forged)


def _before(root: etree._Element, forged: etree._Element) -> None:
    root.insert(1, forged)


def _within(root: etree._Element, forged: etree._Element) -> None:
    forged.append(root[1])
    root.append(forged)


@pytest.mark.parametrize("wrap", [_wrapped_in_object, _beside, _before, _within])
def test_a_signed_object_that_was_moved_aside_is_refused(elliptic: Signer, wrap: Wrap) -> None:
    """B-SEC-011: exactly one oadrSignedObject, and it is the one that is read."""
    root = etree.fromstring(signed(elliptic))
    forged = etree.fromstring(write(m.Poll(ven_id="forged")))[0]
    wrap(root, forged)

    with pytest.raises((BadSignature, NotAMessage, Refused)):
        checked(etree.tostring(root), elliptic)


def test_a_second_signature_is_refused(elliptic: Signer) -> None:
    """B-SEC-011: it is never in doubt which one is checked."""
    root = etree.fromstring(signed(elliptic))
    root.insert(0, etree.fromstring(signed(elliptic))[0])

    with pytest.raises(BadSignature, match="several"):
        checked(etree.tostring(root), elliptic)


@pytest.mark.parametrize(
    "algorithm",
    [
        b"http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        b"http://www.w3.org/TR/1999/REC-xslt-19991116",
        b"http://www.w3.org/TR/1999/REC-xpath-19991116",
        b"http://www.w3.org/2000/09/xmldsig#base64",
        b"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    ],
)
def test_other_transforms_are_refused(elliptic: Signer, algorithm: bytes) -> None:
    """B-SEC-008: only Canonical XML 1.0; nothing in a message is a program."""
    canonical = b'Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"'
    body = signed(elliptic)
    assert body.count(canonical) == 2
    body = body.replace(canonical, b'Transform Algorithm="' + algorithm + b'"')

    with pytest.raises(BadSignature, match=r"expected Canonical XML 1\.0 only"):
        checked(body, elliptic)


def test_a_reference_out_of_the_document_is_refused(elliptic: Signer) -> None:
    """B-SEC-008: nothing is fetched."""
    with pytest.raises(BadSignature, match="within the document"):
        checked(signed(elliptic).replace(b'URI="#prop"', b'URI="http://192.0.2.1/x"'), elliptic)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ecdsa-sha256", b"hmac-sha256"),
        (b"ecdsa-sha256", b"ecdsa-sha1"),
        (b"xmlenc#sha256", b"xmldsig-more#sha224"),
    ],
)
def test_other_algorithms_are_refused(elliptic: Signer, old: bytes, new: bytes) -> None:
    """B-SEC-008: SHA-256 with RSA or an elliptic key, whatever else a library knows."""
    with pytest.raises(BadSignature):
        checked(signed(elliptic).replace(old, new), elliptic)


_PARTS = ["SignatureValue", "X509Certificate", "DigestValue"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        *((part, None) for part in (*_PARTS, "SignedInfo", "KeyInfo", "X509Data", "Object", "SignatureMethod")),
        *((part, text) for part in _PARTS for text in ("", "?", "AAAA", "\u0661" * 9)),
    ],
)
def test_a_broken_signature_is_refused_with_words(elliptic: Signer, part: str, text: str | None) -> None:
    """B-SEC-009: whatever is missing or no base64, nothing else is raised."""
    root = etree.fromstring(signed(elliptic))
    found = list(root.iter(f"{DS}{part}"))
    assert found
    for element in found:
        parent = element.getparent()
        assert parent is not None
        if text is None:
            parent.remove(element)
        else:
            element.text = text

    with pytest.raises(BadSignature):
        checked(etree.tostring(root), elliptic)


def test_a_certificate_that_has_expired_is_refused(elliptic: Signer) -> None:
    """B-SEC-014."""
    later = NOW + timedelta(days=1001)
    with pytest.raises(BadSignature, match="not valid now"):
        checked(signed(elliptic, at=later), elliptic, now=later)


@pytest.mark.parametrize(
    "make", [lambda: rsa.generate_private_key(65537, 1024), lambda: ec.generate_private_key(ec.SECP224R1())]
)
def test_a_short_key_is_refused(make: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]) -> None:
    """B-SEC-003: RSA of 2048 bits and elliptic keys of 256 are the least."""
    short = Signer(make())
    with pytest.raises(BadSignature, match="its key is too short"):
        checked(signed(short), short)


def test_a_key_that_does_not_fit_is_named(elliptic: Signer, signer: Signer) -> None:
    """A configuration with the wrong pair of files fails when it is loaded, without showing the key."""
    with pytest.raises(ValueError, match="the certificate is not that of the key"):
        SigningKey(elliptic.key, signer.certificate)
    with pytest.raises(ValueError, match="the key cannot be read") as refused:
        SigningKey(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", elliptic.certificate)
    assert "c2VjcmV0" not in str(refused.value)
