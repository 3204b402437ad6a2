"""Start-up without what a command does not use of its libraries; each part says what it saves of a start.

Figures are processor time of CPython 3.11 on one core of a small server; ``scripts/bench start`` measures whole starts.
Imported first, before any of the libraries it is about.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_THRESHOLD: Final = 250_000
"""More objects than a start makes. Collections while importing find little, and take a sixth of a start."""


def begin() -> None:
    """Spare the start what it does not need; called once, by the entry point of a process."""
    gc.set_threshold(_THRESHOLD)
    # Plugins of pydantic are looked for in the files of every installed package (0.02 s); we have none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Help and errors in plain text: to draw boxes around them takes more than all the rest of `oadr --help` (0.2 s).
    os.environ.setdefault("TYPER_USE_RICH", "0")


def resume_collecting() -> None:
    """Collect garbage as Python does by itself; called when a program that goes on running has started."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


_USUAL: Final = gc.get_threshold()


def end() -> None:
    """Leave everything where it is: the interpreter would look for garbage once more before it exits (0.05 s)."""
    gc.freeze()


def import_structlog() -> None:
    """Import structlog without rich, which it takes for coloured tracebacks if it is there (0.06 s); ours are plain."""
    with _hidden("rich"):
        import structlog  # noqa: F401 (for later)


def import_aiohttp() -> None:
    """Import aiohttp without the system's certificate authorities (0.08 s, 3 MB).

    It reads them twice, for connections whose owner names no TLS context, and holds them for good. Ours all name one;
    others would trust nobody.
    """
    if "aiohttp" in sys.modules:
        return
    with _without_authorities():
        import aiohttp  # noqa: F401 (for later)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Have the imports of the block not find a library, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]


@contextmanager
def _without_authorities() -> Iterator[None]:
    """Have OpenSSL find no authorities where it looks for those of the system."""
    usual = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ.update(dict.fromkeys(usual, os.devnull))
    try:
        yield
    finally:
        for name, value in usual.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
