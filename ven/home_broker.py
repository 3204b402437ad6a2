"""Hold where the MQTT broker of a home is, and who we are to it. No connection: it is read without an MQTT library."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from openadr_client import BrokerSettings

_LONGEST_SECRET: Final = 4096


class HomeBroker(BrokerSettings):
    """Name the broker of the home and who we are to it; ``password_file`` holds the password in a file of its own.

    ``client_id`` differs for each process unless it is given: two programs with one id throw each other out.
    """

    client_id: Annotated[
        str, Field(min_length=1, max_length=128, default_factory=lambda: f"openadr-ven-{secrets.token_hex(4)}")
    ]
    password_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_password(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("password_file") is None:
            return given
        if given.get("password") is not None:
            raise ValueError("give either password or password_file, not both")
        return {**given, "password": secret_in(Path(given["password_file"]), "password_file")}


def secret_in(file: Path, option: str) -> str:
    """Return the secret that a file holds, without the line's end; raises ValueError naming the option and the file."""
    try:
        with file.open(encoding="utf-8") as opened:
            secret = opened.read(_LONGEST_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"{option} {file} cannot be read: {why}") from None
    if not 0 < len(secret) <= _LONGEST_SECRET:
        raise ValueError(f"{option} {file}: expected one line with 1 to {_LONGEST_SECRET} characters")
    return secret
