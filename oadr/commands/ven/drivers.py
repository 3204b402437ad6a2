"""``oadr ven drivers``: the drivers that can be named in ``driver.kind``."""

from __future__ import annotations

from oadr.errors import reporting
from oadr.terminal.output import JsonOption, show_rows

_COLUMNS = {"kind": "Kind", "package": "Package", "about": "About", "problem": "Problem"}


def drivers(*, as_json: JsonOption = False) -> None:
    """List the drivers that are built in or installed. Nothing is switched, and no device is asked."""
    with reporting():
        from ven.drivers.registry import known_drivers

        rows = [
            {"kind": each.kind, "package": each.package, "about": each.about, "problem": each.problem}
            for each in known_drivers()
        ]
        show_rows(rows, _COLUMNS, as_json=as_json, title="Drivers", empty="no drivers")
