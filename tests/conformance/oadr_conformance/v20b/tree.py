"""Elements of OpenADR 2.0b: names with the usual prefixes, a parser for what a stranger sent, and the schema."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

from lxml import etree

from oadr_conformance.errors import Misused

Element: TypeAlias = etree._Element

NAMESPACES: Final = {
    "oadr": "http://openadr.org/oadr-2.0b/2012/07",
    "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
    "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
    "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
    "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
    "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
    "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
    "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "dsp": "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_SHOWN: Final = {
    prefix: NAMESPACES[prefix] for prefix in ("oadr", "ei", "pyld", "emix", "power", "scale", "xcal", "strm")
}
SCHEMA_VERSION: Final = f"{{{NAMESPACES['ei']}}}schemaVersion"
SCHEMA_LOCATION: Final = f"{{{NAMESPACES['xsi']}}}schemaLocation"


def tag(name: str) -> str:
    """`ei:venID` -> the same with its namespace spelt out."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def el(name: str, *content: str | Element | None) -> Element:
    """Return an element with this text and these children, in this order; None is left out."""
    made = etree.Element(tag(name), nsmap=_SHOWN)
    for one in content:
        if isinstance(one, str):
            made.text = one
        elif one is not None:
            made.append(one)
    return made


def maybe(name: str, text: str | None) -> Element | None:
    """Return an element with this text, or None for None."""
    return None if text is None else el(name, text)


def message(name: str, *content: str | Element | None, version: str | None = "2.0b") -> Element:
    """Return the root of a message, with its schemaVersion."""
    made = el(name, *content)
    if version is not None:
        made.set(SCHEMA_VERSION, version)
    return made


def payload(root: Element) -> bytes:
    """Return a whole document that carries one message."""
    return written(el("oadr:oadrPayload", el("oadr:oadrSignedObject", root)))


def written(root: Element) -> bytes:
    """Return a document with its declaration, in UTF-8."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def parsed(body: bytes) -> Element:
    """Return the root element of a document, without entities, network and DTD.

    Raises:
        etree.XMLSyntaxError: it is not well-formed.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(body, parser)


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return etree.QName(element).localname


@cache
def _folder() -> Path:
    found = find_spec("openleadr")
    if found is None or found.origin is None:
        raise Misused("the schemas of 2.0b come with the package openleadr: pip install 'openadr-fleet[oadr20b]'")
    return Path(found.origin).parent / "schema"


@cache
def schema() -> etree.XMLSchema:
    """Return the schema of 2.0b, from the files that the package openleadr installs."""
    return etree.XMLSchema(etree.parse(_folder() / "oadr_20b.xsd"))


def flaws(root: Element) -> list[str]:
    """Return what the schema has against a document, in its words; nothing if it is valid."""
    checker = schema()
    if checker.validate(root):
        return []
    # The log of lxml's validators has no type: it is a list of entries with a line and a message.
    return [f"line {entry.line}: {entry.message}" for entry in checker.error_log]
