"""Hear what a websocket tells."""

from __future__ import annotations

from typing import Any

from tests.vtn.ears import Ear


def said(notification: Any) -> tuple[str, str, str]:
    """Return what happened to what, in short."""
    return notification["operation"], notification["objectType"], notification["object"]["id"]


async def told(ear: Ear, count: int) -> list[tuple[str, str, str]]:
    """The next notifications in short."""
    return [said(await ear.notification()) for _ in range(count)]
