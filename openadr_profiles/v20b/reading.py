"""XML as messages: bounded, without entities, checked by the schema as a second step, then typed.

The parser loads nothing, neither DTDs nor what they name, and a document with a DTD, an entity or a processing
instruction is refused before the schema sees it (B-TRN-003, B-TRN-004).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from lxml import etree
from lxml.etree import _Element

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.errors import NotAMessage, Problem, Refused
from openadr_profiles.v20b.layout.elements import Unreadable
from openadr_profiles.v20b.layout.messages import BY_NAME
from openadr_profiles.v20b.layout.namespaces import DS, NAMESPACES, OADR_20A, local_name, name
from openadr_profiles.v20b.layout.texts import MAX_ID
from openadr_profiles.v20b.messages import Message
from openadr_profiles.v20b.schema_errors import path_of, problems_of
from openadr_profiles.v20b.schemas import schema

MAX_BYTES: Final = 1 << 20
MAX_ELEMENTS: Final = 50_000
MAX_DEPTH: Final = 40
MAX_SIBLINGS: Final = 5_000
"""Elements of one parent, and attributes of all: more than the intervals that a message of 1 MiB can have.

The schema says of each element that is wrong where it is, for which it counts those before it: many empty ones would
keep a server busy for seconds.
"""
VERSION: Final = "2.0b"

_PAYLOAD: Final = name("oadr:oadrPayload").clark
_SIGNED_OBJECT: Final = name("oadr:oadrSignedObject").clark
_SIGNATURE: Final = f"{{{DS}}}Signature"
_SCHEMA_VERSION: Final = name("ei:schemaVersion").clark
_REQUEST_ID: Final = name("pyld:requestID").clark
_VEN_ID: Final = name("ei:venID").clark
_OPT_ID: Final = name("ei:optID").clark
_PARSER: Final = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    attribute_defaults=False,
    huge_tree=False,
    remove_comments=True,  # so that one within a text does not cut it short
    encoding="utf-8",  # whatever the document says
)
_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_TOO_MANY: Final = etree.XPath(f"boolean(//*[{MAX_SIBLINGS + 1}])")
_TOO_MANY_ATTRIBUTES: Final = etree.XPath(f"boolean((//@*)[{MAX_SIBLINGS + 1}])")
_INSTRUCTIONS: Final = etree.XPath("boolean(//processing-instruction())")
_SIGNED_OBJECTS: Final = etree.XPath("count(//oadr:oadrSignedObject)", namespaces={"oadr": NAMESPACES["oadr"]})
_FORBIDDEN: Final = re.compile(rb"<!(DOCTYPE|ENTITY)")
_MESSAGES_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: the typed message, the name of its element, its tree, and whether it has a signature.

    The signature has not been looked at; `signing.verify` does.
    """

    message: Message
    name: str
    tree: _Element
    signed: bool


def read(body: bytes, *, max_bytes: int = MAX_BYTES) -> Received:
    """Read a whole payload.

    Raises:
        NotAMessage: the bytes hold no message of this profile, or are larger or deeper than allowed
        Refused: the message is recognised and wrong: not of this version (459), or against the schema or the rules that
            the schema cannot say, such as instants without zone, NaN, or ids of more than 255 characters (454)
    """
    root = parse(body, max_bytes=max_bytes)
    return _read(root, message_of(root), signed=root[0].tag == _SIGNATURE)


def read_element(signed_object: _Element) -> Received:
    """Read the message in an oadrSignedObject that stands for itself, as a verified signature gives it; as `read`."""
    return _read(signed_object, _message_in(signed_object), signed=True)


def _read(root: _Element, element: _Element, *, signed: bool) -> Received:
    message_name = local_name(element.tag)
    version = element.get(_SCHEMA_VERSION)
    if version is not None and version.strip() != VERSION:
        _refuse(
            element,
            Code.COMPLIANCE_ERROR,
            [_problem(element, f"schemaVersion is {version[:40]!r}; expected {VERSION}")],
        )
    checker = schema()
    if not checker.validate(root):
        _refuse(element, Code.INVALID_DATA, problems_of(root, checker.error_log))
    try:
        message: Any = BY_NAME[message_name].read(element)
    except Unreadable as error:
        _refuse(element, Code.INVALID_DATA, [_problem(error.element, error.problem)])
    return Received(message, message_name, root, signed)


def parse(body: bytes, *, max_bytes: int = MAX_BYTES) -> _Element:
    """Return the root of a document that is within bounds and has nothing that could act; raises NotAMessage."""
    if len(body) > max_bytes:
        raise NotAMessage(f"{len(body)} bytes are too many; expected at most {max_bytes}")
    if b"\0" in body:
        raise NotAMessage("it has null bytes, as UTF-16 text does; expected XML in UTF-8")
    if _FORBIDDEN.search(body):
        raise NotAMessage("it has a document type declaration or entities; expected none")
    tags = body.count(b"<")
    if tags > 2 * MAX_ELEMENTS:
        raise NotAMessage(f"it has too many elements; expected at most {MAX_ELEMENTS}")
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise NotAMessage(f"it is not readable XML: {_syntax(error)}") from None
    except ValueError as error:
        raise NotAMessage(f"it is not readable XML: {str(error)[:_MESSAGES_SHOWN]}") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.doctype:
        raise NotAMessage("it has a document type declaration; expected none")
    if body.count(b"<?") > body.startswith(b"<?xml") and _INSTRUCTIONS(root):
        raise NotAMessage("it has processing instructions; expected none")
    if tags > MAX_DEPTH and _TOO_DEEP(root):
        raise NotAMessage(f"its elements are nested too deeply; expected at most {MAX_DEPTH} levels")
    if tags > MAX_SIBLINGS and _TOO_MANY(root):
        raise NotAMessage(f"an element of it has too many others in it; expected at most {MAX_SIBLINGS}")
    if body.count(b"=") > MAX_SIBLINGS and _TOO_MANY_ATTRIBUTES(root):
        raise NotAMessage(f"it has too many attributes; expected at most {MAX_SIBLINGS}")
    return root


def message_of(root: _Element) -> _Element:
    """Return the element of the message in a payload; raises NotAMessage if it is none that is known."""
    if root.tag != _PAYLOAD:
        namespace = etree.QName(root).namespace
        if namespace == OADR_20A:
            raise NotAMessage("it is a message of OpenADR 2.0a; expected one of 2.0b")
        raise NotAMessage(f"its outermost element is {_shown(root)}; expected {_PAYLOAD}")
    signed = [child for child in root if child.tag == _SIGNED_OBJECT]
    if len(signed) != 1 or (len(root) > 1 and _SIGNED_OBJECTS(root) != 1):
        raise NotAMessage("expected exactly one oadrSignedObject, directly in oadrPayload")
    return _message_in(signed[0])


def _message_in(signed_object: _Element) -> _Element:
    if len(signed_object) != 1:
        raise NotAMessage(f"oadrSignedObject has {len(signed_object)} elements; expected one message")
    element = signed_object[0]
    if etree.QName(element).namespace != NAMESPACES["oadr"] or local_name(element.tag) not in BY_NAME:
        raise NotAMessage(f"{_shown(element)} is no message of OpenADR 2.0b; expected one such as oadrPoll")
    return element


def _refuse(element: _Element, code: Code, problems: list[Problem]) -> NoReturn:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise Refused(
        code,
        f"{first}{more}",
        local_name(element.tag),
        _said(element, _REQUEST_ID),
        problems=tuple(problems),
        ven_id=_said(element, _VEN_ID),
        opt_id=_said(element, _OPT_ID),
    )


def _said(element: _Element, tag: str) -> str:
    """Return what a message says in the first element of a name, or nothing, also if it is too long for an id."""
    found = next(element.iter(tag), None)
    text = (found.text or "") if found is not None else ""
    return text if len(text) <= MAX_ID else ""


def _problem(element: _Element, problem: str) -> Problem:
    return Problem(path_of(element), element.sourceline or 0, problem)


def _shown(element: _Element) -> str:
    return str(element.tag)[:_MESSAGES_SHOWN]


def _syntax(error: etree.XMLSyntaxError) -> str:
    message = (error.msg or "it is empty").removesuffix(" (<string>, line 1)")
    return message[:_MESSAGES_SHOWN]
