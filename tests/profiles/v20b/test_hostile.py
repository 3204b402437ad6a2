"""Documents that want to do harm, and documents that are merely broken: each is refused in words, and does nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.errors import NotAMessage, Refused
from openadr_profiles.v20b.reading import MAX_BYTES, MAX_DEPTH, MAX_SIBLINGS, read
from openadr_profiles.v20b.writing import write
from tests.profiles.v20b.samples import SAMPLES

POLL = write(m.Poll(ven_id="VEN"))
START = POLL.index(b"<oadr:oadrPayload")


def with_prologue(prologue: str, text: str = "VEN") -> bytes:
    body = POLL.replace(b">VEN<", f">{text}<".encode())
    return body[:START] + prologue.encode() + body[START:]


def bomb(levels: int) -> str:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    return f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]>'


NO_MESSAGES: dict[str, tuple[bytes, str]] = {
    "billion laughs": (with_prologue(bomb(10), "&e9;"), "document type declaration or entities"),
    "external entity": (
        with_prologue('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;"),
        "document type declaration",
    ),
    "external DTD": (with_prologue('<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd">'), "document type declaration"),
    "empty DTD": (with_prologue("<!DOCTYPE oadrPayload>"), "document type declaration"),
    "parameter entity": (
        with_prologue('<!DOCTYPE x [<!ENTITY % p SYSTEM "http://192.0.2.1/x">%p;]>'),
        "document type declaration",
    ),
    "instruction before": (with_prologue("<?php echo 1 ?>"), "processing instructions"),
    "stylesheet": (with_prologue('<?xml-stylesheet href="http://192.0.2.1/x.xsl"?>'), "processing instructions"),
    "instruction within": (POLL.replace(b">VEN<", b">V<?x?>EN<"), "processing instructions"),
    "undefined entity": (with_prologue("", "&nothing;"), "not readable XML"),
    "depth of the parser": (b"<a>" * 100_000, "not readable XML"),
    "depth of ours": (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), "nested too deeply"),
    "attributes": (b"<a " + b" ".join(b'x%d="1"' % n for n in range(50_000)) + b"/>", "too many attributes"),
    "siblings": (b"<a>" + b"<b/>" * (MAX_SIBLINGS + 1) + b"</a>", "too many others in it"),
    "elements": (b"<a>" + b"<b/>" * 100_001 + b"</a>", "too many elements"),
    "50 MB": (b"x" * (50 << 20), "bytes are too many"),
    "null byte": (POLL.replace(b">VEN<", b">V\0EN<"), "null bytes"),
    "UTF-16": (POLL.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "null bytes, as UTF-16 text does"),
    "Latin-1": (POLL.replace(b">VEN<", b">V\xe9N<"), "not readable XML"),
    "null reference": (POLL.replace(b">VEN<", b">V&#0;N<"), "not readable XML"),
    "surrogate reference": (POLL.replace(b">VEN<", b">V&#xD800;N<"), "not readable XML"),
    "nothing": (b"", "not readable XML"),
    "JSON": (b"{}", "not readable XML"),
    "byte order mark": (b"\xef\xbb\xbf", "not readable XML"),
    "cut short": (POLL[:-1], "not readable XML"),
    "two documents": (POLL + POLL, "not readable XML"),
    "another root": (b"<a/>", "its outermost element is a; expected"),
    "version a": (POLL.replace(b"oadr-2.0b", b"oadr-2.0a"), r"a message of OpenADR 2\.0a; expected one of 2\.0b"),
    "unknown namespace": (POLL.replace(b"oadr-2.0b", b"oadr-2.0c"), "its outermost element is"),
    "unknown message": (POLL.replace(b"oadrPoll", b"oadrPol"), "oadrPol is no message of OpenADR"),
    "message of another namespace": (POLL.replace(b"oadr:oadrPoll", b"ei:oadrPoll"), "oadrPoll is no message"),
    "no signed object": (POLL.replace(b"oadrSignedObject", b"oadrUnsigned"), "expected exactly one oadrSignedObject"),
}


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_what_holds_no_message_is_refused(name: str) -> None:
    """B-TRN-003, B-TRN-004 and 1.3: HTTP 400, with a reason in words."""
    body, said = NO_MESSAGES[name]
    with pytest.raises(NotAMessage, match=said):
        read(body)


def test_a_bomb_of_attributes_or_namespaces_is_refused_or_read() -> None:
    """B-TRN-003: what fits into the bounds is only read, however odd."""
    names = " ".join(f'xmlns:n{n}="urn:{n}"' for n in range(20_000))
    body = POLL.replace(b"<oadr:oadrPoll ", f"<oadr:oadrPoll {names} ".encode())

    assert len(body) < MAX_BYTES
    assert read(body).message == m.Poll(ven_id="VEN")


def test_a_place_of_schemas_is_ignored(tmp_path: Path) -> None:
    """B-GEN-003: it is neither fetched nor a fault."""
    trap = tmp_path / "trap.xsd"
    trap.write_text("no schema at all")
    hint = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x {trap} urn:y http://192.0.2.1/"'
    body = POLL.replace(b"<oadr:oadrPoll ", f"<oadr:oadrPoll {hint} ".encode())

    assert read(body).message == m.Poll(ven_id="VEN")


def test_a_comment_within_a_text_does_not_cut_it() -> None:
    """B-GEN-006: an id is all of its text; half of one might be somebody else's."""
    assert read(POLL.replace(b">VEN<", b">VEN<!-- x -->_2<")).message == m.Poll(ven_id="VEN_2")
    assert read(POLL.replace(b">VEN<", b"><![CDATA[V<]]>EN<")).message == m.Poll(ven_id="V<EN")


def test_the_encoding_that_a_document_claims_does_not_matter() -> None:
    """B-TRN-004: it is UTF-8 or it is refused; a claim cannot hide a document type declaration."""
    claimed = POLL.replace(b'encoding="UTF-8"', b'encoding="ISO-8859-1"').replace(b">VEN<", ">Vé<".encode())

    assert read(claimed).message == m.Poll(ven_id="Vé")


def test_an_entity_bomb_ends_before_the_schema() -> None:
    """Requirements 3.3, fault 1: the parser that checks while it reads ends the interpreter with this document."""
    with pytest.raises(NotAMessage):
        read(with_prologue('<!DOCTYPE x [<!ENTITY v "VEN">]>', "&v;"))


_BITS = (
    *(b"<!DOCTYPE x>", b"<?x?>", b"&x;", b"\0", b"\xff", b"]]>", b"<![CDATA[", b"<!--", b"-->", b"\xef\xbb\xbf"),
    *(b"<ei:venID/>", b"<x/>", b"</ei:venID>", b"text"),
)
_TEXTS = (
    *(b"NaN", b"INF", b"-1", b"99999999999999999999", b"1e308", b"P1W", b"P", b"PT1.5S", b"2026-13-01T00:00:00Z"),
    *(b"2026-01-31T16:00:00+01:00", b"2026-01-31T16:00:00", b"true", b"x-", b"&lt;", b"", b"\xd9\xa1", b"x" * 5000),
)


def mutated(chance: random.Random, body: bytes) -> bytes:
    """Return a document in which a few places are cut, doubled, moved or filled with something unpleasant."""
    for _ in range(chance.randint(1, 3)):
        tags = [place for place, byte in enumerate(body) if byte == ord("<") and place > 600] or [0]
        at = chance.choice(tags)
        text = body.find(b">", at) + 1
        end = max(text, body.find(b"<", text))
        match chance.randrange(8):
            case 0 | 1 | 2:
                body = body[:text] + chance.choice(_TEXTS) + body[end:]
            case 3:
                body = body[:at] + chance.choice(_BITS) + body[at:]
            case 4:
                close = body.find(b">", body.find(b"</", at)) + 1
                body = body[:close] + body[at:close] + body[close:]
            case 5:
                close = body.find(b">", body.find(b"</", at)) + 1
                body = body[:at] + body[close:]
            case 6:
                place = chance.randrange(len(body) + 1)
                body = body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]
            case _:
                other = chance.choice(SAMPLES)
                body = body[:at] + other[other.find(b"<ei:") : other.find(b"</oadr:oadr")] + body[at:]
    return body


def test_no_mutated_document_does_anything_but_be_read_or_refused() -> None:
    """Issue 12, bad input: 3,000 of them, no other error and no crash."""
    chance = random.Random(20)
    descriptions: list[str] = []
    ends = {"read": 0, "refused": 0, "no message": 0}
    for number in range(3000):
        body = mutated(chance, SAMPLES[number % len(SAMPLES)])
        try:
            write(read(body).message)
            ends["read"] += 1
        except Refused as refused:
            ends["refused"] += 1
            descriptions.append(refused.description)
        except NotAMessage as error:
            ends["no message"] += 1
            descriptions.append(error.reason)

    assert all(count > 100 for count in ends.values()), ends
    assert all(0 < len(description) < 1000 for description in descriptions)
