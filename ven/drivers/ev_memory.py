"""Keep in a file which limits of chargers are ours and what they were set to before, for the next process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ven.drivers.ev_charger import Charger
from ven.errors import DriverFailed

_MOST_BYTES = 1 << 20


def take_up(file: Path, chargers: Mapping[str, Charger]) -> None:
    """Read what an earlier process has kept; does nothing without a file.

    Raises:
        DriverFailed: the file is there and cannot be read, or is another.
    """
    try:
        if not file.exists():
            return
        with file.open("rb") as opened:
            found = json.loads(opened.read(_MOST_BYTES))
        for id_, charger in chargers.items():
            if id_ in found["limits"]:
                charger.take_up(found["limits"][id_])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DriverFailed(f"{file} does not hold the limits of chargers: {type(error).__name__}") from error


def keep(file: Path, chargers: Mapping[str, Charger]) -> None:
    """Write the limits that are ours, whole or not at all; raises DriverFailed."""
    kept = {id_: limit for id_, charger in chargers.items() if (limit := charger.kept()) is not None}
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        new.write_text(json.dumps({"limits": kept}), encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise DriverFailed(f"{file} cannot be written: {error.strerror}") from error
