"""Default locations of files: one folder per user, independent of the current working directory."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Return the user's data folder, ``~/.local/share/openadr-fleet`` on Linux; it may not exist."""
    return platformdirs.user_data_path("openadr-fleet", appauthor=False)


def default_database() -> str:
    """Return the URL of the database that is used when none is given."""
    return f"sqlite:///{data_folder() / 'vtn.sqlite3'}"
