"""The XML schemas of OpenADR 2.0b, which the installed `openleadr` package ships."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lxml import etree

_MAIN: Final = "oadr_20b.xsd"


def path() -> Path:
    """Return the file of the main schema; raises ModuleNotFoundError with the remedy."""
    found = find_spec("openleadr")  # does not import it: that loads its own server
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "the schemas of OpenADR 2.0b are not installed: pip install 'openadr-fleet[oadr20b]'", name="openleadr"
        )
    return Path(found.origin).parent / "schema" / _MAIN


class _OfThread(threading.local):
    """A schema of its own for each thread: what it finds wrong stands in the schema until the next document."""

    loaded: etree.XMLSchema | None = None


_OF_THREAD: Final = _OfThread()


def schema() -> etree.XMLSchema:
    """Return the schema of all messages, loaded once in each thread, in some 20 ms."""
    if _OF_THREAD.loaded is None:
        _OF_THREAD.loaded = etree.XMLSchema(etree.parse(str(path()), etree.XMLParser(no_network=True)))
    return _OF_THREAD.loaded
