"""The join line: all that a VEN needs to reach its VTN, as one word that a utility hands to a household.

It is ``oadrjoin1_`` and then, in URL-safe base64 without padding: the length of the content in two bytes, the content
(a map in MessagePack), and the first six bytes of the SHA-256 of all before. Length and hash tell a line that was cut
off, or changed on its way, from one that is whole. The number in the prefix is the version of this form.

A line holds a secret: whoever has it is that VEN to the VTN.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Annotated, Final, Self

import msgspec

from openadr_profiles.addresses import web_address

PREFIX: Final = "oadrjoin1_"
LONGEST: Final = 4000
"""More characters a terminal does not take in one line (4,095 on Linux)."""

_LENGTH_BYTES: Final = 2
_HASH_BYTES: Final = 6
_ANY_VERSION: Final = re.compile(r"oadrjoin(\d{1,9})_")
LONGEST_CERTIFICATE: Final = 2200
"""Bytes (DER) of the certificate of an authority in a line."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Address = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class BadJoinLine(Exception):
    """A text is no join line, or one cannot be made; the message says why, and shows nothing of its content."""


class JoinLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold what a join line says.

    ``url`` is the API's root with its version. ``token_url`` is where tokens are fetched, if that is not where the VTN
    says. ``ca`` is the certificate (DER) of a private authority to trust for the VTN.
    """

    url: _Address
    client_id: _Name
    client_secret: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    ven_name: _Name
    token_url: _Address | None = None
    ca: Annotated[bytes, msgspec.Meta(min_length=1, max_length=LONGEST_CERTIFICATE)] | None = None

    def __repr__(self) -> str:
        return f"JoinLine(url={self.url!r}, client_id={self.client_id!r}, ven_name={self.ven_name!r})"

    def encode(self) -> str:
        """Return the line; raises BadJoinLine if a part is too long."""
        content = msgspec.msgpack.encode(self)
        self._decoded(content)
        raw = len(content).to_bytes(_LENGTH_BYTES) + content
        line = PREFIX + base64.urlsafe_b64encode(raw + _hash(raw)).decode().rstrip("=")
        if len(line) > LONGEST:
            raise BadJoinLine(f"the join line would have {len(line):,} characters; expected at most {LONGEST:,}")
        return line

    def connection(self) -> dict[str, str]:
        """Return what it says of the connection by the names of the settings ``vtn.…``; ``ca`` needs a file."""
        members = {
            "url": self.url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_url": self.token_url,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return what a line says. Blanks and ends of lines in it are left out, as a mail may have wrapped it.

        Raises:
            BadJoinLine: it is cut off, was changed, is of a newer version, or is something else.
        """
        line = "".join(text[: 2 * LONGEST].split())
        if not line:
            raise BadJoinLine("there is no join line; expected one that begins with " + PREFIX)
        if not line.startswith(PREFIX):
            raise BadJoinLine(_something_else(line))
        if len(line) > LONGEST or len(text) > 2 * LONGEST:
            raise BadJoinLine(f"the join line is too long; expected at most {LONGEST:,} characters")
        raw = _bytes_of(line.removeprefix(PREFIX))
        length = int.from_bytes(raw[:_LENGTH_BYTES])
        expected = len(PREFIX) + -(-(_LENGTH_BYTES + length + _HASH_BYTES) * 8 // 6)
        if len(raw) < _LENGTH_BYTES or len(line) < expected:
            raise BadJoinLine(
                f"the join line is cut off after {len(line)} characters{_of(raw, expected)}: copy all of it"
            )
        if len(line) > expected:
            raise BadJoinLine(f"the join line has {len(line)} characters; expected {expected}: copy it alone")
        if _hash(raw[:-_HASH_BYTES]) != raw[-_HASH_BYTES:]:
            raise BadJoinLine("the join line is not as it was made, a character has changed: copy it again")
        return cls._decoded(raw[_LENGTH_BYTES:-_HASH_BYTES])

    @classmethod
    def _decoded(cls, content: bytes) -> Self:
        try:
            found = msgspec.msgpack.decode(content, type=cls)
            for url in filter(None, (found.url, found.token_url)):
                web_address(url)
        except (msgspec.DecodeError, ValueError) as error:
            raise BadJoinLine(f"the join line cannot be used: {error}") from None
        return found


def _something_else(line: str) -> str:
    if version := _ANY_VERSION.match(line):
        return f"this is a join line of version {version[1]}; this program understands version 1: use a newer one"
    if PREFIX.startswith(line):
        return f"the join line is cut off after {len(line)} characters: copy all of it"
    return f"this is no join line; expected one that begins with {PREFIX}"


def _bytes_of(text: str) -> bytes:
    """Return what base64 says; of a text that is cut off, its whole bytes."""
    whole = text[:-1] if len(text) % 4 == 1 else text
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadJoinLine("the join line has characters that do not belong to it: copy it again, and alone") from None


def _of(raw: bytes, expected: int) -> str:
    return f" of {expected}" if len(raw) >= _LENGTH_BYTES and expected <= LONGEST else ""


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(PREFIX.encode() + raw).digest()[:_HASH_BYTES]
