"""Tell what an operator hands to a household: credentials, shown once, as a join line, a picture of it and files."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass, field
from typing import Final

import segno
from markupsafe import Markup
from segno import DataOverflowError

from openadr_profiles.join_line import BadJoinLine, JoinLine
from vtn.auth.clients import Credentials
from vtn.join_lines import JoinLines

_HEAD: Final = "# How this VEN reaches its VTN, with its secret: keep it to yourself. docs/ven.md has all settings.\n"


@dataclass(frozen=True, slots=True)
class HandedFile:
    """A file to download: its content is part of the page, so it is nowhere else."""

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """The credentials of one VEN. It is part of one answer and never stored.

    ``line`` is None where the address of the VTN is not known; ``note`` says so. ``picture`` is None for a line that is
    too long for a QR code.
    """

    ven_name: str
    client_id: str
    secret: str = field(repr=False)
    line: str | None = field(repr=False)
    picture: Markup | None = field(repr=False)
    files: tuple[HandedFile, ...] = field(repr=False)
    note: str | None


def handout(made: Credentials, lines: JoinLines, *, ven_name: str) -> Handout:
    """Return what is shown of credentials that were made just now. They are shown even if there is no line for them."""
    note = lines.note
    told = lines.told(made.client_id, made.secret, ven_name=ven_name)
    line = None
    try:
        line = None if told is None else told.encode()
    except BadJoinLine as error:
        note = f"No join line: {error}."
    return Handout(
        ven_name=ven_name,
        client_id=made.client_id,
        secret=made.secret,
        line=line,
        picture=None if line is None else qr_code(line),
        files=() if told is None or line is None else tuple(_files(told, line)),
        note=note,
    )


def qr_code(text: str) -> Markup | None:
    """Return a text as a QR code, an SVG without styles or scripts; None if it is too long for one."""
    try:
        code = segno.make(text, error="l", micro=False)
    except DataOverflowError:
        return None
    # Squares and nothing else: the text itself is not in it.
    return Markup(code.svg_inline(svgclass="qr", lineclass=None, omitsize=True, light="#fff", border=4))  # noqa: S704


def settings_of(told: JoinLine, *, ca_file: str | None) -> str:
    """Return a line as settings of the VEN (TOML)."""
    members = told.connection() | ({} if ca_file is None else {"ca_file": ca_file})
    named = [f"ven_name = {_toml(told.ven_name)}", *(f"vtn.{name} = {_toml(value)}" for name, value in members.items())]
    return _HEAD + "\n".join(named) + "\n"


def file_stem(name: str) -> str:
    """Return a name as that of a file: letters, digits, dots, dashes; never hidden and never empty."""
    kept = "".join(each if each.isascii() and (each.isalnum() or each in "-._") else "-" for each in name)
    return kept.lstrip(".-")[:64] or "ven"


def _files(told: JoinLine, line: str) -> list[HandedFile]:
    stem = file_stem(told.ven_name)
    ca_file = None if told.ca is None else f"{stem}-ca.pem"
    found = [
        data_file(f"{stem}.join", "text/plain", f"{line}\n"),
        data_file(f"{stem}.toml", "application/toml", settings_of(told, ca_file=ca_file)),
    ]
    if told.ca is not None and ca_file is not None:
        found.append(data_file(ca_file, "application/x-pem-file", ssl.DER_cert_to_PEM_cert(told.ca)))
    return found


def data_file(name: str, kind: str, content: str) -> HandedFile:
    return HandedFile(name, f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}")


def _toml(text: str) -> str:
    """Return a text as TOML writes it: as JSON, but for the character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
