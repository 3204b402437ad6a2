"""XML signatures of messages (B-SEC-008 to B-SEC-011).

A signature is detached and beside the message: it has two references, to the oadrSignedObject and to a ReplayProtect
with a timestamp and a nonce, both by SHA-256 over Canonical XML 1.0, and is made with an RSA or an elliptic key.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from lxml import etree
from lxml.etree import _Element
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from openadr_profiles.v20b import fingerprint
from openadr_profiles.v20b.errors import BadSignature
from openadr_profiles.v20b.instants import format_instant_20b
from openadr_profiles.v20b.layout.namespaces import DS, DSP, NAMESPACES, name
from openadr_profiles.v20b.layout.texts import MAX_ID
from openadr_profiles.v20b.reading import MAX_BYTES, Received, message_of, parse, read_element
from openadr_profiles.v31.errors import Invalid
from openadr_profiles.v31.instant import parse_instant

WINDOW: Final = timedelta(seconds=60)
"""How far a timestamp may be from now, to either side, unless configured otherwise (B-SEC-010)."""

_C14N: Final = CanonicalizationMethod.CANONICAL_XML_1_0
_SIGNED_OBJECT: Final = name("oadr:oadrSignedObject").clark
_ID: Final = name("oadr:Id").clark
_OBJECT_ID: Final = "oadrSignedObject"
_SIGNATURE: Final = f"{{{DS}}}Signature"
_REFERENCES: Final = 2
_MIN_RSA_BITS: Final = 2048
_MIN_ELLIPTIC_BITS: Final = 256
_METHODS: Final = frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256})
_CONFIGURATION: Final = SignatureConfiguration(
    location="./",
    expect_references=_REFERENCES,
    signature_methods=_METHODS,
    digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
    ignore_ambiguous_key_info=True,  # the enrolled certificate decides, whatever else is beside it
    default_reference_c14n_method=_C14N,
)


class SigningKey:
    """A private key and its certificate, loaded once: reading an RSA key takes longer than a hundred signatures."""

    def __init__(self, key_pem: bytes, certificate_pem: bytes, passphrase: bytes | None = None) -> None:
        """Load them; raises ValueError that says what is wrong, and never shows the key."""
        try:
            key = load_pem_private_key(key_pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("the key cannot be read; expected PEM, and its passphrase if it has one") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("the key is of a kind that OpenADR 2.0b does not sign with; expected RSA or elliptic")
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if certificate.public_key() != key.public_key():
            raise ValueError("the certificate is not that of the key")
        self._key = key
        self._certificates = [certificate]
        self._signer = XMLSigner(
            method=SignatureConstructionMethod.detached,
            signature_algorithm=SignatureMethod.RSA_SHA256
            if isinstance(key, rsa.RSAPrivateKey)
            else SignatureMethod.ECDSA_SHA256,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=_C14N,
        )
        # A verifier sees the signature in the payload, whose declarations are part of its canonical form.
        self._signer.namespaces = {"ds": DS, **NAMESPACES}
        self.fingerprint = fingerprint.of(certificate.public_bytes(Encoding.DER))

    def sign(self, signed_object: _Element, replay_protect: _Element) -> _Element:
        """Return the signature over both."""
        return self._signer.sign(
            signed_object,
            key=self._key,
            cert=self._certificates,
            reference_uri=f"#{_OBJECT_ID}",
            signature_properties=replay_protect,
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """A message whose signature holds: read from the very element that the signature covers (B-SEC-011).

    A VTN refuses a second message with the same ``nonce`` until ``expires``; later its timestamp is too old anyway.
    """

    received: Received
    fingerprint: str
    timestamp: datetime
    nonce: str
    expires: datetime


def sign(body: bytes, key: SigningKey, *, now: datetime, nonce: str | None = None) -> bytes:
    """Return a payload that `writing` wrote with a signature; a nonce is drawn unless one is given."""
    root = etree.fromstring(body)
    signed_object = root[0]
    signed_object.set(_ID, _OBJECT_ID)
    signature = key.sign(signed_object, _replay_protect(now, nonce or secrets.token_hex(16)))
    root.insert(0, signature)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def verify(
    body: bytes,
    fingerprints: Collection[str],
    *,
    now: datetime,
    window: timedelta = WINDOW,
    max_bytes: int = MAX_BYTES,
) -> Verified:
    """Check the signature of a payload, made with a certificate of one of these fingerprints, and read what it covers.

    Whether the nonce is new is for the caller to look up, in a store that all its processes share (B-SEC-010).

    Raises:
        BadSignature: there is none, it does not hold, it is by somebody else, too old, or too far ahead (B-SEC-009)
        NotAMessage, Refused: as `reading.read`
    """
    root = parse(body, max_bytes=max_bytes)
    message_of(root)
    signature = _signature_of(root)
    certificate, by = _certificate_of(signature, fingerprints, now)
    verifier = XMLVerifier()
    try:
        results = verifier.verify(root, x509_cert=certificate, expect_config=_CONFIGURATION)
    except (SignXMLException, etree.LxmlError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadSignature(f"it does not hold: {str(error)[:200]}") from None
    covered_by = results if isinstance(results, list) else [results]
    elements = [result.signed_xml for result in covered_by if result.signed_xml is not None]
    covered = [element for element in elements if element.tag == _SIGNED_OBJECT]
    if len(covered) != 1:
        raise BadSignature("it does not cover the oadrSignedObject; expected a reference to it")
    timestamp, nonce = _protection([element for element in elements if element.tag != _SIGNED_OBJECT], now, window)
    received = read_element(covered[0])
    return Verified(received, by, timestamp, nonce, timestamp + window)


def _replay_protect(now: datetime, nonce: str) -> _Element:
    element = etree.Element(f"{{{DSP}}}ReplayProtect", nsmap={"dsp": DSP})
    etree.SubElement(element, f"{{{DSP}}}timestamp").text = format_instant_20b(now)
    etree.SubElement(element, f"{{{DSP}}}nonce").text = nonce
    element.set("Id", "replayProtect")
    element.set("Target", f"#{_OBJECT_ID}")
    return element


def _signature_of(root: _Element) -> _Element:
    """Return the only signature, which is of the one form that is allowed; more than that is not looked into."""
    signatures = list(root.iter(_SIGNATURE))
    if not signatures:
        raise BadSignature("there is none; expected a ds:Signature in oadrPayload")
    if len(signatures) > 1 or signatures[0].getparent() is not root:
        raise BadSignature("there are several, or it is in the wrong place; expected one directly in oadrPayload")
    methods = [element.get("Algorithm") for element in signatures[0].iter(f"{{{DS}}}CanonicalizationMethod")]
    transforms = [element.get("Algorithm") for element in signatures[0].iter(f"{{{DS}}}Transform")]
    if any(algorithm != _C14N.value for algorithm in (*methods, *transforms)):
        raise BadSignature("it transforms what it covers in a way that is not allowed; expected Canonical XML 1.0 only")
    references = list(signatures[0].iter(f"{{{DS}}}Reference"))
    if len(references) != _REFERENCES or any(not (each.get("URI") or "").startswith("#") for each in references):
        raise BadSignature("expected two references within the document: oadrSignedObject and ReplayProtect")
    return signatures[0]


def _certificate_of(signature: _Element, fingerprints: Collection[str], now: datetime) -> tuple[x509.Certificate, str]:
    """Return the certificate that is enrolled among those in the signature, and its fingerprint."""
    for element in signature.iter(f"{{{DS}}}X509Certificate"):
        try:
            der = base64.b64decode("".join((element.text or "").split()), validate=True)
        except ValueError:
            raise BadSignature("its certificate cannot be read; expected X.509 in base64") from None
        by = fingerprint.of(der)
        if by in fingerprints:  # what somebody else made is not looked into
            break
    else:
        raise BadSignature("it is not made with an enrolled certificate")
    certificate = x509.load_der_x509_certificate(der)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise BadSignature("its certificate is not valid now")
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
        raise BadSignature(f"its key is too short; expected RSA of at least {_MIN_RSA_BITS} bits")
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < _MIN_ELLIPTIC_BITS:
        raise BadSignature(f"its key is too short; expected an elliptic one of at least {_MIN_ELLIPTIC_BITS} bits")
    return certificate, by


def _protection(elements: list[_Element], now: datetime, window: timedelta) -> tuple[datetime, str]:
    """Return timestamp and nonce of the one ReplayProtect that the signature covers."""
    found = [each for element in elements for each in element.iter(f"{{{DSP}}}ReplayProtect")]
    if len(found) != 1:
        raise BadSignature("it does not cover one ReplayProtect; expected a reference to it")
    nonce = found[0].findtext(f"{{{DSP}}}nonce") or ""
    if not 0 < len(nonce) <= MAX_ID:
        raise BadSignature(f"its nonce is missing or too long; expected 1 to {MAX_ID} characters")
    try:
        timestamp = parse_instant((found[0].findtext(f"{{{DSP}}}timestamp") or "").strip())
    except Invalid as error:
        raise BadSignature(f"its timestamp is wrong: {error.problem}") from None
    apart = now - timestamp
    if abs(apart) > window:
        seconds = round(abs(apart).total_seconds())
        when = f"{seconds} s ago" if apart > timedelta(0) else f"{seconds} s ahead of this clock"
        raise BadSignature(f"it was made {when}; expected at most {round(window.total_seconds())} s")
    return timestamp, nonce
