"""Logs of a running program: one line an entry on standard error, readable on a terminal, JSON elsewhere."""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO

import structlog

from oadr.terminal.text import visible


def configure(*, level: str = "info", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, which libraries use, with the same look.

    ``stream`` is where entries go, standard error if it is not given.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[structlog.typing.Processor] = (
        [_shown, structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback)]
        if terminal
        else [structlog.processors.ExceptionRenderer(_TRACEBACKS), structlog.processors.JSONRenderer()]
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[*_FOREIGN, *renderer], foreign_pre_chain=shared)
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)


def _shown(_: object, __: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Control characters in what is logged (a venName, an error of a server) are shown, never sent to the terminal."""
    return {visible(key): visible(str(value)) if _may_hold_text(value) else value for key, value in entry.items()}


def _may_hold_text(value: object) -> bool:
    """Numbers and what structlog needs as it is (exc_info) hold no text from outside."""
    return not isinstance(value, bool | int | float | tuple | BaseException | None)


def _plain_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write(visible(text.getvalue(), keep="\n"))


# Without local variables: they may hold secrets.
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_FOREIGN: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
