"""The requests that our client has sent in processes of its own (`recorder/sitecustomize.py` writes them down)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

RECORDER: Final = Path(__file__).parent / "recorder"
"""The folder that processes must have in PYTHONPATH."""

Request: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], bytes | None]
"""Method, URL, query, and body."""


class Sent:
    """The requests in a file, to which processes add lines while it is read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def read(self) -> Iterator[Request]:
        """Give the requests that have been added since they were last read; half a line waits for the rest of it."""
        if not self._file.exists() or self._file.stat().st_size == self._read:
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            lines = file.readlines()
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self._read += len(line)
            sent = json.loads(line)
            query = tuple((name, value) for name, value in sent["query"])
            yield sent["method"], sent["url"], query, None if sent["body"] is None else sent["body"].encode()
