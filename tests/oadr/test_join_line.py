"""The join line by itself: whatever is not whole, or is something else, is told apart, and shows no secret."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs import Authority
from oadr.commands.vtn.join import certificate_in_file
from openadr_profiles.join_line import LONGEST, PREFIX, BadJoinLine, JoinLine
from tests.support.pki import Pki

SECRET = "a secret of forty-three characters, made up"
TOLD = JoinLine(url="https://vtn.example/openadr3/3.1.0", client_id="home-1", client_secret=SECRET, ven_name="Haus Ü")
LINE = TOLD.encode()


def problem(text: str) -> str:
    with pytest.raises(BadJoinLine) as raised:
        JoinLine.decode(text)
    assert SECRET not in str(raised.value)
    return str(raised.value)


def test_a_line_says_what_was_put_in(pki: Pki) -> None:
    whole = msgspec.structs.replace(TOLD, token_url="https://tokens.example/token", ca=certificate_in_file(pki.ca))
    for told in (TOLD, whole):
        assert JoinLine.decode(told.encode()) == told
    assert len(LINE) < 300
    assert len(whole.encode()) < LONGEST
    assert SECRET not in repr(TOLD) + LINE


def test_ends_of_lines_and_blanks_do_no_harm() -> None:
    assert JoinLine.decode(f"  {LINE[:60]}\r\n {LINE[60:]}\n") == TOLD


def test_a_line_that_is_cut_off_says_so() -> None:
    for length in range(1, len(LINE)):
        assert "cut off" in problem(LINE[:length])


@settings(max_examples=300)
@given(place=st.integers(len(PREFIX), len(LINE) - 1), letter=st.sampled_from("ABCdef019-_"))
def test_a_character_that_was_changed_is_found_or_does_no_harm(place: int, letter: str) -> None:
    """The last character has bits that mean nothing."""
    try:
        found = JoinLine.decode(LINE[:place] + letter + LINE[place + 1 :])
    except BadJoinLine:
        return
    assert found == TOLD
    assert letter == LINE[place] or place == len(LINE) - 1


@settings(max_examples=50)
@given(st.text(max_size=60) | st.text("oadrjin1_ABC-=", max_size=300).map(PREFIX.__add__))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadJoinLine):
        JoinLine.decode(text)


def made_of(content: bytes) -> str:
    """Return a line that is whole, with any content."""
    from openadr_profiles import join_line

    raw = len(content).to_bytes(2) + content
    return PREFIX + base64.urlsafe_b64encode(raw + join_line._hash(raw)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no join line"),
        ("home-1 5CJCaMJjPD6w0gngGa", "this is no join line; expected one that begins with oadrjoin1_"),
        ("oadrjoin2_AAAA", "a join line of version 2"),
        (f"{LINE}{LINE}", "copy it alone"),
        (f"{LINE}.", "characters that do not belong"),
        (PREFIX + "A" * 100_000, "too long"),
        (made_of(b"\xff"), "cannot be used"),
        (made_of(msgspec.msgpack.encode({"url": "https://vtn.example"})), "missing required field `client_id`"),
        (made_of(msgspec.msgpack.encode(msgspec.structs.replace(TOLD, url="ftp://x"))), "expected a URL such as"),
        (made_of(msgspec.msgpack.encode(msgspec.structs.replace(TOLD, ven_name=""))), "length >= 1 - at `$.ven_name`"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    assert said in problem(text)


def test_a_line_that_a_terminal_would_cut_off_is_not_made() -> None:
    long = msgspec.structs.replace(TOLD, client_secret="s" * 1000, ca=b"c" * 2200, url="https://x/" + "u" * 400)
    with pytest.raises(BadJoinLine, match=r"would have \d,\d\d\d characters; expected at most 4,000"):
        long.encode()


def test_an_authority_is_one_certificate(tmp_path: Path) -> None:
    ca = Authority.create("other", now=lambda: datetime.now(UTC)).save(tmp_path).certificate
    file = tmp_path / "file.pem"
    file.write_text("text before\n" + ca.read_text())
    assert certificate_in_file(file) == certificate_in_file(ca)
    for text, said in (
        (2 * ca.read_text(), "has 2 certificates"),
        ("nothing", "has 0 certificates"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "no readable certificate"),
    ):
        file.write_text(text)
        with pytest.raises(BadJoinLine, match=said):
            certificate_in_file(file)
    with pytest.raises(BadJoinLine, match="cannot be read"):
        certificate_in_file(tmp_path / "gone.pem")
