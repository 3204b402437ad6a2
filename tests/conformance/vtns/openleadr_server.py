"""A server of another project, openleadr, as its documentation sets one up; a process, for bad input may end it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from openleadr import OpenADRServer


async def _serve(port: int) -> None:
    server = OpenADRServer(vtn_id="StrangerVTN", http_port=port, http_host="127.0.0.1")

    async def registered(_info: dict[str, Any]) -> tuple[str, str]:
        return "VEN-One", "registration-1"

    async def reported(*_args: Any, **_more: Any) -> None:
        return None

    server.add_handler("on_create_party_registration", registered)
    server.add_handler("on_register_report", reported)
    await server.run()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
