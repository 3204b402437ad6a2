"""Messages that are nearly right: two validators agree on each, and our reader says why it is refused."""

from __future__ import annotations

import re

import pytest

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.errors import Refused
from openadr_profiles.v20b.layout.messages import NAMES
from openadr_profiles.v20b.reading import read
from tests.profiles.v20b.judges import verdict
from tests.profiles.v20b.samples import MESSAGES, SAMPLES

BY_NAME = {NAMES[type(message)]: body for message, body in zip(MESSAGES, SAMPLES, strict=True)}
EVENTS = "oadrDistributeEvent"
UPDATE = "oadrUpdateReport"


def changed(name: str, old: str, new: str) -> bytes:
    """Return a sample in which the first place of a text (a regular expression) is changed."""
    text, count = re.subn(old, new, BY_NAME[name].decode(), count=1, flags=re.DOTALL)
    assert count == 1, (name, old)
    return text.encode()


_STATE = (
    "<oadr:oadrPayloadResourceStatus><oadr:oadrOnline>true</oadr:oadrOnline>"
    "<oadr:oadrManualOverride>false</oadr:oadrManualOverride></oadr:oadrPayloadResourceStatus>"
)
SCHEMA_REFUSES = {
    "a missing element": (
        "oadrPoll",
        "<ei:venID>.*</ei:venID>",
        "",
        "something is missing in oadrPoll; expected venID",
    ),
    "an extra element": ("oadrPoll", "(<ei:venID>.*</ei:venID>)", r"\1\1", "venID is not expected here"),
    "an element of another namespace": (
        "oadrPoll",
        "ei:venID>00123</ei:venID",
        "oadr:venID>1</oadr:venID",
        "expected venID",
    ),
    "a wrong order": (
        "oadrCancelOpt",
        "(<pyld:requestID>.*</pyld:requestID>)(<ei:optID>.*</ei:optID>)",
        r"\2\1",
        "optID is not expected here; expected requestID",
    ),
    "text between elements": ("oadrPoll", "<ei:venID>", "text<ei:venID>", "text is not expected in oadrPoll"),
    "an unknown attribute": ("oadrPoll", "<ei:venID>", '<ei:venID x="1">', "attribute 'x' is not allowed"),
    "a version without namespace": ("oadrPoll", "ei:schemaVersion", "schemaVersion", "'schemaVersion' is not allowed"),
    "an offset": (EVENTS, "16:00:00Z", "17:00:00+01:00", "expected an instant in UTC"),
    "a date": (EVENTS, "2026-01-31T16:00:00Z", "2026-01-31", "expected an instant in UTC"),
    "the 30th of February": (EVENTS, "2026-01-31T", "2026-02-30T", "expected an instant in UTC"),
    "weeks as ISO has them": (EVENTS, "PT1H", "P1W", "'P1W' is malformed; expected a duration such as PT15M"),
    "half a second": (EVENTS, "PT1H", "PT0.5S", "no fractions"),
    "a duration of words": (EVENTS, "PT1H", "one hour", "'one hour' is malformed"),
    "an unknown status": (EVENTS, ">far<", ">later<", "'later' is not allowed; expected one of 'none', 'far'"),
    "an unknown type of signal": (EVENTS, ">setpoint<", ">x-mine<", "'x-mine' is not allowed; expected one of 'delta'"),
    "a signal name of one's own": (EVENTS, ">LOAD_DISPATCH<", ">MINE<", "or one that begins with x-"),
    "a negative number": (EVENTS, "modificationNumber>1", "modificationNumber>-1", "a whole number, not negative"),
    "a text for a number": (EVENTS, "ei:value>0<", "ei:value>zero<", "'zero' is not allowed; expected a number"),
    "a comma": (EVENTS, "ei:value>0.5<", "ei:value>0,5<", "'0,5' is not allowed; expected a number"),
    "a unit with the name of another": (EVENTS, "RealPower", "ApparentPower", "expected RealPower"),
    "an unknown scale": (EVENTS, "siScaleCode>k", "siScaleCode>kilo", "'kilo' is not allowed; expected one of 'p'"),
    "a code of words": ("oadrResponse", ">200<", ">OK<", "'OK' is malformed; expected three digits"),
    "yes": ("oadrCancelReport", ">true<", ">yes<", "'yes' is not allowed; expected true or false"),
    "confidence over 100": (UPDATE, "confidence>90", "confidence>101", "101"),
    "an opt of one's own": ("oadrCreateOpt", ">optOut<", ">maybe<", "expected one of 'optIn', 'optOut'"),
}
SCHEMA_ALLOWS = {
    "no zone": (EVENTS, "16:00:00Z", "16:00:00", "has no zone; expected an instant in UTC"),
    "a year before Christ": (EVENTS, "2026-01-31T", "-0044-03-15T", "is no instant"),
    "NaN": (EVENTS, "ei:value>0<", "ei:value>NaN<", "'NaN' is no usable number"),
    "infinity": (UPDATE, "ei:value>12.5<", "ei:value>-INF<", "'-INF' is no usable number"),
    "more than 32 bits": (UPDATE, "ei:value>12.5<", "ei:value>1e308<", "'1e308' is no usable number"),
    "a number beyond all counts": (EVENTS, "modificationNumber>1", "modificationNumber>4294967295", "out of range"),
    "a long id": ("oadrPoll", "00123", "x" * 256, "256 characters are too long; expected at most 255"),
    "a long text": (EVENTS, "a &lt;comment&gt;", "x" * 5000, "5000 characters are too long"),
    "ten thousand years": (EVENTS, "PT1H", "P10000Y", "is too long; expected a duration"),
    "digits of another script": (EVENTS, "PT1H", "PT١H", "is not a duration"),
    "a state in place of a value": (
        EVENTS,
        "<ei:payloadFloat><ei:value>0</ei:value></ei:payloadFloat>",
        _STATE,
        "oadrPayloadResourceStatus has no meaning here",
    ),
}


@pytest.mark.parametrize("name", SCHEMA_REFUSES)
def test_what_the_schema_refuses_is_refused_in_words(name: str) -> None:
    """B-GEN-001 and 1.3: 454, with path, line, problem and what was expected; both validators refuse it."""
    sample, old, new, said = SCHEMA_REFUSES[name]
    body = changed(sample, old, new)

    assert not verdict(body)
    with pytest.raises(Refused) as refused:
        read(body)
    assert refused.value.code == "454"
    assert refused.value.name == sample
    assert said in refused.value.description
    assert refused.value.description.startswith(f"{sample}")
    assert all(problem.line >= 2 for problem in refused.value.problems)


@pytest.mark.parametrize("name", SCHEMA_ALLOWS)
def test_what_the_schema_allows_and_the_profile_does_not_is_refused_in_words(name: str) -> None:
    """B-GEN-001 and 1.1: 454; both validators accept it."""
    sample, old, new, said = SCHEMA_ALLOWS[name]
    body = changed(sample, old, new)

    assert verdict(body)
    with pytest.raises(Refused) as refused:
        read(body)
    assert refused.value.code == "454"
    assert said in refused.value.description


@pytest.mark.parametrize("version", ["2.0a", "x-2.0c", "3.0"])
def test_another_version_is_refused(version: str) -> None:
    """B-GEN-002: 459, also for a value that the schema would refuse."""
    with pytest.raises(Refused, match=r"expected 2\.0b") as refused:
        read(changed("oadrPoll", 'schemaVersion="2.0b"', f'schemaVersion="{version}"'))
    assert refused.value.code == "459"


ODD = {
    "no version": ("oadrPoll", ' ei:schemaVersion="2.0b"', ""),
    "spaces around a word": ("oadrCreatePartyRegistration", ">2.0b<", ">\n 2.0b <"),
    "a number for a boolean": ("oadrCancelReport", ">true<", "> 1 <"),
    "weeks without P": (EVENTS, "PT5M", "1W"),
    "a duration of nothing": (EVENTS, "PT5M", "P"),
    "a plus": (EVENTS, "PT5M", "+PT5M"),
    "minutes for hours": (EVENTS, "PT1H", "PT60M"),
    "midnight": (EVENTS, "2026-01-31T16:00:00Z", "2026-01-31T24:00:00Z"),
    "nanoseconds": (EVENTS, "16:00:00Z", "16:00:00.123456789Z"),
    "an exponent": (UPDATE, "ei:value>12.5<", "ei:value>1.25E1<"),
    "zeros in front": (EVENTS, "modificationNumber>1", "modificationNumber>0001"),
    "an empty request id": ("oadrQueryRegistration", ">r<", "><"),
    "an empty market context": (EVENTS, "http://example.com/programs/1[^<]*", ""),
    "a reason of one's own": ("oadrCreateOpt", ">economic<", ">x-because<"),
    "something in components": (EVENTS, "<xcal:components/>", "<xcal:components><x/></xcal:components>"),
}


@pytest.mark.parametrize("name", ODD)
def test_oddities_that_are_legal_are_read(name: str) -> None:
    """B-GEN-008, B-GEN-010: what is legal is understood."""
    sample, old, new = ODD[name]
    body = changed(sample, old, new)

    assert verdict(body)
    assert read(body).name == sample


def test_ids_are_texts() -> None:
    """B-GEN-006: no trimming, no numbers, no booleans."""
    for text in ("00123", "1.2.3", "true", " a ", "1e5", "0x10", "", "None"):
        assert read(changed("oadrPoll", ">00123<", f">{text}<")).message == m.Poll(ven_id=text)


def test_every_problem_is_told_with_its_place() -> None:
    """1.3: several mistakes are one answer, and the elements of one name are counted."""
    body = BY_NAME[EVENTS].replace(b">far<", b">later<").replace(b"><", b">\n<")
    with pytest.raises(Refused) as refused:
        read(body)

    first, second = refused.value.problems
    assert first.path == "oadrDistributeEvent/oadrEvent[1]/eiEvent/eventDescriptor/eventStatus"
    assert second.path == "oadrDistributeEvent/oadrEvent[2]/eiEvent/eventDescriptor/eventStatus"
    assert body.decode().splitlines()[first.line - 1] == "<ei:eventStatus>later</ei:eventStatus>"
    assert refused.value.description.endswith("(and 1 more)")


def test_a_refusal_knows_what_to_echo() -> None:
    """B-GEN-007: the requestID of the message that is wrong, and the ids its reply has to have."""
    with pytest.raises(Refused) as refused:
        read(changed("oadrCreateOpt", ">optOut<", ">maybe<"))
    assert (refused.value.request_id, refused.value.opt_id, refused.value.ven_id) == ("r", "opt-1", "00123")

    with pytest.raises(Refused) as refused:
        read(changed("oadrCancelOpt", "<ei:optID>opt-1</ei:optID>", f"<ei:optID>{'x' * 9999}</ei:optID>"))
    assert (refused.value.request_id, refused.value.opt_id) == ("r", "")
