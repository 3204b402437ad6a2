"""The token of the local API: made once, in a file that only its owner reads."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from typing import Final

from ven.errors import VenError

_LONGEST: Final = 1024


def is_loopback(host: str) -> bool:
    """Return True if an address reaches nobody but this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def made_token(file: Path) -> str:
    """Return the token in a file; a file that does not exist is made, for its owner alone (0600).

    Raises:
        VenError: it cannot be read or made, or has no token in it.
    """
    try:
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_urlsafe(32) + "\n")
        except FileExistsError:
            pass
        return read_token(file)
    except OSError as error:
        raise VenError(f"local.token_file {file} cannot be used: {error.strerror}") from error


def read_token(file: Path) -> str:
    """Return the token in a file; raises OSError, or VenError if there is none in it."""
    with file.open(encoding="utf-8", errors="replace") as opened:
        token = opened.read(_LONGEST).strip()
    if not token:
        raise VenError(f"local.token_file {file} is empty: delete it, and a new token is made")
    return token
