"""Which event loop a server runs on."""

import asyncio
import sys

import pytest
import uvloop

from oadr.process import loop


async def _running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_uvloop_is_used_where_it_is_installed() -> None:
    """It answers more requests per second."""
    assert isinstance(loop.run(_running()), uvloop.Loop)


def test_a_server_runs_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a choice, not a need."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert isinstance(loop.run(_running()), asyncio.SelectorEventLoop)
