"""XML signatures of 2.0b: detached, over the message and a ReplayProtect, as any VEN has to make them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from oadr_conformance.errors import Misused
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.subject import ClientCert
from oadr_conformance.v20b.tree import NAMESPACES, Element, el, parsed, tag, written

_C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_METHODS: Final = {
    "EC": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "RSA": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
}
_PROPERTY: Final = "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties"


def signed(root: Element, identity: ClientCert, *, offset_s: int = 0) -> bytes:
    """Return a whole document with a message and its signature; the time in it is off by `offset_s` seconds.

    Raises:
        Misused: the key cannot be read, or is of another kind.
    """
    key, der = _key_of(identity)
    document = el("oadr:oadrPayload", el("oadr:oadrSignedObject", root))
    document[0].set(tag("oadr:Id"), "oadrSignedObject")
    moment = datetime.now(UTC) + timedelta(seconds=offset_s)
    replay = el(
        "dsp:ReplayProtect",
        el("dsp:timestamp", moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
        el("dsp:nonce", secrets.token_hex(16)),
    )
    prop = _ds("SignatureProperty", replay, Id="ReplayProtect", Target="#ReplayProtect")
    signature = _ds("Signature")
    document.insert(0, signature)
    properties = _ds("SignatureProperties", prop)
    held = _ds("Object", properties)
    info = _ds(
        "SignedInfo",
        _ds("CanonicalizationMethod", Algorithm=_C14N),
        _ds("SignatureMethod", Algorithm=_METHODS["EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "RSA"]),
    )
    certificate = _ds("X509Certificate", base64.b64encode(der).decode())
    for part in (info, _ds("SignatureValue"), _ds("KeyInfo", _ds("X509Data", certificate)), held):
        signature.append(part)
    info.append(_reference("#oadrSignedObject", document[1]))
    info.append(_reference("#ReplayProtect", prop, Type=_PROPERTY))
    signature[1].text = base64.b64encode(_sign(key, _canonical(info))).decode()
    return written(document)


def with_other_nonce(body: bytes, _ven_id: str) -> bytes:
    """Return the document with a nonce that nobody signed."""
    root = parsed(body)
    nonce = root.find(".//dsp:nonce", NAMESPACES)
    if nonce is None:
        raise ValueError("no nonce")
    nonce.text = secrets.token_hex(16)
    return written(root)


def wrapped(body: bytes, _ven_id: str) -> bytes:
    """Return the document with an unsigned message in place of the signed one, which is kept aside in the signature."""
    root = parsed(body)
    kept = root[1]
    fresh = el("oadr:oadrSignedObject", messages.query_registration("conformance-unsigned"))
    fresh.set(tag("oadr:Id"), "other")
    root.replace(kept, fresh)
    held = root.find("ds:Signature/ds:Object", NAMESPACES)
    if held is None:
        raise ValueError("no object in the signature")
    held.append(kept)
    return written(root)


def _key_of(identity: ClientCert) -> tuple[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, bytes]:
    try:
        key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise Misused(f"{identity.key} cannot sign: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Misused(f"{identity.key} is no EC and no RSA key")
    return key, certificate.public_bytes(serialization.Encoding.DER)


def _sign(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    length = (key.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def _canonical(element: Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=False, with_comments=False)


def _reference(uri: str, element: Element, **attributes: str) -> Element:
    digest = base64.b64encode(hashlib.sha256(_canonical(element)).digest()).decode()
    return _ds(
        "Reference",
        _ds("Transforms", _ds("Transform", Algorithm=_C14N)),
        _ds("DigestMethod", Algorithm=_SHA256),
        _ds("DigestValue", digest),
        URI=uri,
        **attributes,
    )


def _ds(name: str, *content: str | Element, **attributes: str) -> Element:
    made = etree.Element(tag(f"ds:{name}"), nsmap={"ds": NAMESPACES["ds"], "dsp": NAMESPACES["dsp"]})
    for attribute, value in attributes.items():
        made.set(attribute, value)
    for one in content:
        if isinstance(one, str):
            made.text = one
        else:
            made.append(one)
    return made
