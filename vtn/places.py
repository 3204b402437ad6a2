"""Where a VTN keeps what nobody has named a place for: one folder per user, whatever folder a command is run in."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """The user's folder for data of this program, ``~/.local/share/openadr-fleet`` on Linux; it may not be there."""
    return platformdirs.user_data_path("openadr-fleet", appauthor=False)


def default_database() -> str:
    """The URL of the database that is used when none is given."""
    return f"sqlite:///{data_folder() / 'vtn.sqlite3'}"
