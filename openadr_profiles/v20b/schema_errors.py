"""Say what the schema finds wrong, in words: the path of names, the line, the problem, and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lxml.etree import _Element, _ListErrorLog, _LogEntry

from openadr_profiles.v20b.errors import Problem
from openadr_profiles.v20b.layout.namespaces import local_name, name

MOST: Final = 10
"""How many problems of one message are told."""
_SIGNED_OBJECT: Final = name("oadr:oadrSignedObject").clark
_NAMESPACE: Final = re.compile(r"\{[^}]*\}")
_HEAD: Final = re.compile(r"Element '([^']*)'(?:, attribute '([^']*)')?: (.*)", re.DOTALL)
_STEP: Final = re.compile(r"(?:([^:\[/]*):)?([^\[/]+)(?:\[(\d+)\])?")
_EXPECTED: Final = re.compile(r"Expected is (?:one of )?\( (.*) \)\.")
_PATTERN: Final = re.compile(r"\[facet 'pattern'\] The value '(.*)' is not accepted by the pattern '(.*)'\.", re.DOTALL)
_ENUMERATION: Final = re.compile(
    r"\[facet 'enumeration'\] The value '(.*)' is not an element of the set \{(.*)\}\.", re.DOTALL
)
_NOT_VALID: Final = re.compile(
    r"'(.*)' is not a valid value of the (?:\w+ type|local \w+ type)(?: '(.*)')?\.", re.DOTALL
)
_FIXED: Final = re.compile(r"The .* '(.*)' does not match the fixed value constraint '(.*)'\.", re.DOTALL)
_SHOWN: Final = 60
_WORDS: Final = {
    "DurationValueType": "a duration such as PT15M or P1DT2H (no fractions, weeks as days)",
    "DateTimeType": "an instant in UTC such as 2026-01-31T16:00:00Z",
    "dateTime": "an instant in UTC such as 2026-01-31T16:00:00Z",
    "float": "a number",
    "decimal": "a decimal number",
    "double": "a number",
    "boolean": "true or false",
    "unsignedInt": "a whole number, not negative",
    "ResponseCodeType": "three digits",
    "ConfidenceType": "a whole number from 0 to 100",
    "ISO3AlphaCurrencyCodeContentType": "a currency of ISO 4217 such as EUR",
    "ID": "an XML name that is used once",
    "signalNameType": "SIMPLE, ELECTRICITY_PRICE, another name of the standard, or one that begins with x-",
    "OptReasonType": "a reason of the standard such as economic, or one that begins with x-",
    "reportNameType": "a name of the standard such as TELEMETRY_USAGE, or one that begins with x-",
    "ReportTypeType": "a type of the standard such as usage, or one that begins with x-",
    "ReadingTypeType": "a type of the standard such as Direct Read, or one that begins with x-",
    "oadrDataQualityTypeType": "a quality such as Quality Good - Non Specific, or one that begins with x-",
    "schemaVersionType": "2.0b",
}
_PATTERN_WORDS: Final = (
    (r"(\d+W)", _WORDS["DurationValueType"]),
    (r"T\d{2}:", _WORDS["DateTimeType"]),
    ("[0-9][0-9][0-9]", _WORDS["ResponseCodeType"]),
)


def problems_of(root: _Element, log: _ListErrorLog) -> list[Problem]:
    """Return what a schema found, the first few, each place once, in the order of the document."""
    found: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for entry in log:
        element = _found(root, entry)
        path = path_of(element)
        attribute, problem = _in_words(entry.message)
        place = (f"{path}/@{attribute}" if attribute else path, problem)
        if place not in seen:
            seen.add(place)
            found.append(Problem(place[0], entry.line, problem))
        if len(found) == MOST:
            break
    return found or [Problem("", 1, "the schema refuses it without a reason")]


def path_of(element: _Element) -> str:
    """Return the names of the elements from the message down, with a number where several have one name."""
    steps: list[str] = []
    current: _Element | None = element
    while current is not None and current.tag != _SIGNED_OBJECT:
        steps.append(_step(current))
        current = current.getparent()
    return "/".join(reversed(steps))


def _step(element: _Element) -> str:
    local = local_name(element.tag)
    parent = element.getparent()
    if parent is None:
        return local
    alike = [child for child in parent if child.tag == element.tag] if parent.tag != _SIGNED_OBJECT else []
    return f"{local}[{alike.index(element) + 1}]" if len(alike) > 1 else local


def _found(root: _Element, entry: _LogEntry) -> _Element:
    """Return the element that an entry is about: the log gives its path with the prefixes of the document."""
    current = root
    for step in (entry.path or "").lstrip("/").split("/")[1:]:
        match = _STEP.fullmatch(step)
        if match is None:
            break
        prefix, local, number = match.groups()
        alike = [child for child in current if local == "*" or (child.prefix, local_name(child.tag)) == (prefix, local)]
        position = int(number or 1) - 1
        if position >= len(alike):
            break
        current = alike[position]
    return current


def _in_words(message: str) -> tuple[str, str]:
    """Return the attribute that a message of the library is about, or nothing, and the problem."""
    match = _HEAD.fullmatch(message.strip())
    if match is None:
        return "", _plain(message)
    attribute = local_name(match[2] or "")
    return attribute, _problem(local_name(match[1]), match[3])


def _problem(element: str, text: str) -> str:
    expected = _EXPECTED.search(text)
    names = _plain(expected[1]) if expected else ""
    if text.startswith("This element is not expected"):
        return f"{element} is not expected here; expected {names or 'nothing more'}"
    if text.startswith("Missing child element"):
        return f"something is missing in {element}; expected {names}"
    if text.startswith("Character content"):
        return f"text is not expected in {element}; expected elements only"
    return _problem_of_value(text) or _plain(text)


def _problem_of_value(text: str) -> str | None:
    for pattern, expected in _OF_VALUES:
        if match := pattern.match(text):
            kind = "malformed" if pattern is _PATTERN else "not allowed"
            return f"{_value(match[1])} is {kind}; expected {expected(match[2] or '')}"
    return None


def _form(pattern: str) -> str:
    return next((words for part, words in _PATTERN_WORDS if part in pattern), f"text of the form {pattern}")


def _type(given: str) -> str:
    kind = local_name(given.replace("xs:", "}"))
    return _WORDS.get(kind, f"a value of the type {kind}")


_OF_VALUES: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (_PATTERN, _form),
    (_ENUMERATION, lambda words: f"one of {_plain(words)}"),
    (_FIXED, str),
    (_NOT_VALID, _type),
)


def _value(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _plain(text: str) -> str:
    short = _NAMESPACE.sub("", text).strip().removesuffix(".")
    return short if len(short) <= 400 else f"{short[:400]}..."
