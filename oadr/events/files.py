"""Read the event in a file: JSON or YAML as the standard writes one, or CSV with a line for each interval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from oadr.errors import Exit, Failure
from oadr.files import bounded_bytes
from openadr_profiles.fleet.event_text import UnreadableEvent, event_from_csv, event_from_document, looks_like_csv
from openadr_profiles.v31 import EventRequest

MOST_BYTES: Final = 4 * 1024 * 1024


def read_event(file: Path, *, now: datetime, program_id: Callable[[], str]) -> EventRequest:
    """Read the event in a file; ``-`` is standard input. One in JSON or YAML without programID gets ``program_id()``.

    Raises:
        Failure: the file cannot be read (configuration) or is not an event (usage); it names file and member.
    """
    text = _text(file)
    name = "standard input" if str(file) == "-" else str(file)
    suffix = file.suffix.lower()
    try:
        if suffix == ".csv" or (str(file) == "-" and looks_like_csv(text)):
            return event_from_csv(text, now=now, program_id=program_id())
        is_json = suffix == ".json" or text.lstrip()[:1] == "{"
        return event_from_document(text, is_json=is_json, program_id=program_id)
    except UnreadableEvent as error:
        raise Failure(f"{name}: {error}", Exit.USAGE) from None


def _text(file: Path) -> str:
    body = bounded_bytes(file, most=MOST_BYTES, what="event")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: not UTF-8 text: {error}", Exit.USAGE) from None
