"""Namespaces of OpenADR 2.0b, and names in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NAMESPACES: Final = {
    "oadr": "http://openadr.org/oadr-2.0b/2012/07",
    "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
    "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
    "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
    "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
    "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
    "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
    "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
    "gml": "http://www.opengis.net/gml/3.2",
}
"""The prefixes that are written; what is read may have any."""

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
DSP: Final = "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
OADR_20A: Final = "http://openadr.org/oadr-2.0a/2012/07"


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its namespace: as the tree has it (``clark``) and as it is written (``prefixed``)."""

    clark: str
    prefixed: str


def name(prefixed: str) -> Name:
    """Return the name that is written as ``ei:venID`` and the like."""
    prefix, _, local = prefixed.partition(":")
    return Name(f"{{{NAMESPACES[prefix]}}}{local}", prefixed)


def local_name(tag: object) -> str:
    """Return a name of the tree without its namespace."""
    return str(tag).rpartition("}")[2]
