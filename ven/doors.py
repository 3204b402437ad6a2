"""Open the doors through which an owner looks at a running VEN and says what they want; each is there only if set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from openadr_client import Clock
from ven.control import Control
from ven.loops import Loop
from ven.settings import VenSettings


class Doors:
    """Hold the local API and Home Assistant, as ``loops`` for the agent to keep going.

    ``lock`` is the one around the steps of `Control`; ``act`` has a step done at once; ``more_problems`` returns what
    goes wrong elsewhere, by its name.

    Raises:
        LibraryMissing: Home Assistant is set, and there is no library for MQTT.
    """

    def __init__(
        self,
        settings: VenSettings,
        control: Control,
        *,
        clock: Clock,
        lock: asyncio.Lock,
        act: Callable[[], None],
        more_problems: Callable[[], dict[str, str]],
    ) -> None:
        self.loops: tuple[Loop, ...] = ()
        self._told: list[Callable[[], None]] = []
        self._asked: list[Callable[[], dict[str, str]]] = [more_problems]
        local, shown = settings.local, settings.home_assistant
        if local.port is None and shown.broker is None:
            return
        from ven.desk import OwnerDesk  # noqa: PLC0415 # an agent without doors needs none

        desk = OwnerDesk(
            control, name=settings.ven_name, clock=clock, lock=lock, act=act, more_problems=self._more_problems
        )
        if local.port is not None:
            from ven.local_api.server import LocalApi  # noqa: PLC0415 # an agent without it needs no HTTP server
            from ven.page.routes import VenPage  # noqa: PLC0415

            page = partial(VenPage, settings, control, desk, clock)
            api = LocalApi(local, desk, clock=clock, page=page)
            self.loops += (Loop("local API", api.run),)
            self._told.append(api.tell)
        if shown.broker is not None:
            from ven.home_assistant.connection import HomeAssistant  # noqa: PLC0415 # which needs a library for MQTT

            home = HomeAssistant(
                shown, shown.broker, ven_name=settings.ven_name, control=control, desk=desk, clock=clock
            )
            self.loops += (Loop("Home Assistant", home.run),)
            self._told.append(home.tell)
            self._asked.append(lambda: home.problems)

    def tell(self) -> None:
        """Have each door look for changes: something may have happened. Does nothing else, and does not raise."""
        for tell in self._told:
            tell()

    def _more_problems(self) -> dict[str, str]:
        return {what: problem for ask in self._asked for what, problem in ask().items()}
