"""The credentials with which panels are vens of their own: a file of join lines that nobody else may read."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bridge_mqtt.errors import BadCredentials
from openadr_profiles.join_line import BadJoinLine, JoinLine
from openadr_profiles.panel import UnsafePanelId, check_panel_id

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a file: many more than the longest lines of 10,000 panels have."""


@dataclass(frozen=True)
class PanelCredential:
    """The client of one panel at the VTN."""

    ven_id: str
    client_id: str
    secret: SecretStr = field(repr=False)
    token_url: str | None


def read_credentials(file: Path, url: str) -> dict[str, PanelCredential]:
    """Return the credentials in a file by panel; ``oadr vtn client add-many`` writes such files.

    Raises:
        BadCredentials: the file cannot be read, others may read it, or a line is no join line, is for another VTN than
            ``url``, or names a panel that cannot be one or that an earlier line names.
    """
    found: dict[str, PanelCredential] = {}
    for number, text in enumerate(_text_of(file).splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        where = f"{file}, line {number}"
        try:
            line = JoinLine.decode(text)
            ven_id = check_panel_id(line.ven_name)
        except (BadJoinLine, UnsafePanelId) as error:
            raise BadCredentials(f"{where}: {error}") from None
        if line.url.rstrip("/") != url:
            raise BadCredentials(f"{where}: it is for the VTN {line.url}, expected {url} as in vtn.url")
        if ven_id in found:
            raise BadCredentials(f"{where}: panel {ven_id} has credentials in an earlier line, expected one line each")
        found[ven_id] = PanelCredential(ven_id, line.client_id, SecretStr(line.client_secret), line.token_url)
    if not found:
        raise BadCredentials(f"{file} has no join line, expected one for each panel")
    return found


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            about = file.stat()
            if stat.S_IMODE(about.st_mode) & _OTHERS:
                raise BadCredentials(f"others may read {file}, which holds secrets: chmod 600 {file}")
            if about.st_size > _LARGEST:
                raise BadCredentials(f"{file} has {about.st_size:,} bytes, expected at most {_LARGEST:,}")
            return opened.read(_LARGEST).decode("ascii", errors="replace")
    except OSError as error:
        raise BadCredentials(f"{file} cannot be read: {error.strerror}") from None
